import pytest
import torch

from napari_hush.config import UNetConfig
from napari_hush.models import UNet, halo


def positive(config):
    """A network through which every input pixel that can matter does matter."""
    network = UNet(config).eval()
    for name, value in network.state_dict().items():
        value.fill_(0.0 if "bias" in name or "mean" in name else 1.0)
    return network


@pytest.mark.parametrize("n2v2", [False, True])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_halo_is_what_gradients_reach(depth, n2v2):
    config = UNetConfig(depth=depth, num_channels_init=8, use_batch_norm=False, n2v2=n2v2)
    network = positive(config)
    size = 4 * network.halo // network.multiple * network.multiple
    reach = 0
    for phase in range(network.multiple):
        # Max-pooling passes gradients to the larger pixel only: try both ways round.
        for slope in (1.0, -1.0):
            x = (slope * torch.arange(size) / size + 2).expand(1, 1, network.multiple, size)
            x = x.clone().requires_grad_()
            pixel = size // 2 // network.multiple * network.multiple + phase
            network(x)[0, 0, 0, pixel].backward()
            touched = x.grad[0, 0].abs().sum(0).nonzero().ravel()
            reach = max(reach, int(pixel - touched.min()), int(touched.max() - pixel))
    assert reach == network.halo == halo(depth, n2v2=n2v2)


def test_halos():
    assert [halo(depth) for depth in (1, 2, 3, 4)] == [10, 26, 58, 122]
    assert [halo(depth, n2v2=True) for depth in (1, 2, 3, 4)] == [11, 29, 65, 137]


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_of_n2v2_keeps_a_constant_and_has_no_top_skip(dims):
    config = UNetConfig(n2v2=True, conv_dims=dims, num_channels_init=8)
    network = UNet(config).eval()
    pooled = network._pool(torch.full((1, 2) + (8,) * dims, 0.3))
    torch.testing.assert_close(pooled, torch.full((1, 2) + (4,) * dims, 0.3))
    assert network.decoder[-1][0].in_channels == 8
    assert network(torch.randn((2, 1) + (8,) * dims)).shape == (2, 1) + (8,) * dims


def test_the_blurred_halving_is_a_blur_of_maxima():
    x = torch.tensor([0.0, 4.0, 1.0, 1.0, 2.0, 8.0, 3.0, 5.0])
    maxima = [4, 4, 1, 2, 8, 8, 5, 5]
    left = [maxima[0], *maxima]  # the border repeated
    expected = [(left[i] + 2 * maxima[i] + maxima[i + 1]) / 4 for i in (0, 2, 4, 6)]
    pool = UNet(UNetConfig(n2v2=True, num_channels_init=8))._pool
    found = pool(x.expand(1, 1, 2, 8))[0, 0, 0]
    assert found.tolist() == expected


@pytest.mark.parametrize(("dims", "parameters"), [(2, 333_729), (3, 997_857)])
def test_default_networks_have_the_usual_size(dims, parameters):
    network = UNet(UNetConfig(conv_dims=dims))
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("dims", "shape"), [(2, (3, 2, 16, 24)), (3, (2, 2, 4, 16, 8))])
def test_shapes(dims, shape, residual):
    for independent in (True, False):
        config = UNetConfig(
            conv_dims=dims,
            in_channels=2,
            num_classes=2,
            num_channels_init=8,
            independent_channels=independent,
            residual=residual,
        )
        assert UNet(config)(torch.randn(shape)).shape == shape


def test_independent_channels_do_not_see_each_other():
    config = UNetConfig(in_channels=2, num_classes=2, num_channels_init=8)
    network = UNet(config).eval()
    x = torch.randn(1, 2, 16, 16)
    y = x.clone()
    y[:, 1] += 1
    torch.testing.assert_close(network(x)[:, 0], network(y)[:, 0])


def test_a_constant_volume_stays_constant_along_z():
    network = UNet(UNetConfig(conv_dims=3, num_channels_init=8)).eval()
    flat = network(torch.full((1, 1, 8, 64, 64), 0.7))[0, 0, :, 30:34, 30:34]
    assert flat.max() - flat.min() < 1e-5


def test_residual_adds_the_input():
    plain, residual = (
        positive(UNetConfig(num_channels_init=8, residual=r)) for r in (False, True)
    )
    x = torch.rand(1, 1, 16, 16)
    torch.testing.assert_close(residual(x), x - plain(x))
