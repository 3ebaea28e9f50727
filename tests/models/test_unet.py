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


@pytest.mark.parametrize("depth", [1, 2])
def test_the_halo_is_what_gradients_reach(depth):
    config = UNetConfig(depth=depth, num_channels_init=8, use_batch_norm=False)
    network = positive(config)
    size = 4 * halo(depth) // network.multiple * network.multiple
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
    assert reach == halo(depth)


@pytest.mark.parametrize(("depth", "pixels"), [(1, 10), (2, 26), (3, 58), (4, 122)])
def test_halos(depth, pixels):
    assert halo(depth) == pixels


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
