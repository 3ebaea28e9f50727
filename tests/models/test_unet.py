import pytest
import torch

from napari_hush.config import UNetConfig, fitting_pool_z
from napari_hush.errors import ConfigurationError
from napari_hush.models import UNet, halo
from napari_hush.models.weights import random_unet


def positive(config):
    """A network through which every input pixel that can matter does matter."""
    network = UNet(config).eval()
    for name, value in network.state_dict().items():
        value.fill_(0.0 if "bias" in name or "mean" in name else 1.0)
    return network


@pytest.mark.parametrize("n2v2", [False, True])
@pytest.mark.parametrize(
    ("pool_z", "axis"),
    [
        (None, 0),
        (None, 1),
        ((True,), 0),
        ((True,), 1),
        ((False,), 0),
        ((False, True), 0),
        ((False, True), 1),
        ((False, True), 2),
        ((True, False), 0),
        ((False, False), 0),
    ],
)
def test_the_halo_is_what_gradients_reach(pool_z, axis, n2v2):
    """None is the network in 2D, of depth 2."""
    if pool_z is None:
        config = UNetConfig(num_channels_init=8, use_batch_norm=False, n2v2=n2v2)
    else:
        config = UNetConfig(
            num_channels_init=8,
            use_batch_norm=False,
            n2v2=n2v2,
            conv_dims=3,
            depth=len(pool_z),
            pool_z=pool_z,
        )
    network = positive(config)
    step, halo = network.multiple[axis], network.halo[axis]
    size = -(-4 * halo // step) * step
    shape = list(network.multiple)
    shape[axis] = size
    along = [1] * len(shape)
    along[axis] = size
    reach = 0
    for phase in range(step):
        # Max-pooling passes gradients to the larger pixel only: try both ways round.
        for slope in (1.0, -1.0):
            x = (slope * torch.arange(size) / size + 2).reshape(1, 1, *along)
            x = x.expand(1, 1, *shape).clone().requires_grad_()
            pixel = size // 2 // step * step + phase
            y = network(x)[0, 0].movedim(axis, 0)[pixel]
            y.flatten()[0].backward()
            touched = x.grad[0, 0].movedim(axis, 0).flatten(1).abs().sum(1).nonzero()
            reach = max(reach, int(pixel - touched.min()), int(touched.max() - pixel))
    assert reach == halo


def test_halos():
    assert [halo((True,) * depth) for depth in (1, 2, 3, 4)] == [10, 26, 58, 122]
    blurred = [halo((True,) * depth, n2v2=True) for depth in (1, 2, 3, 4)]
    assert blurred == [11, 29, 65, 137]
    assert [halo((False,) * depth) for depth in (1, 2, 3, 4)] == [6, 10, 14, 18]


@pytest.mark.parametrize("n2v2", [False, True])
@pytest.mark.parametrize("planes", [1, 2, 3, 5, 6, 8, 16])
def test_any_number_of_planes_goes_through_a_network_made_for_it(planes, n2v2):
    config = UNetConfig(
        conv_dims=3,
        num_channels_init=8,
        n2v2=n2v2,
        pool_z=fitting_pool_z(planes, 2),
    )
    network = UNet(config)
    assert planes % network.multiple[0] == 0
    assert network.multiple[1:] == (4, 4)
    x = torch.randn(2, 1, planes, 8, 12)
    assert network(x).shape == x.shape


def test_z_is_halved_while_four_planes_are_left_and_at_the_last_levels():
    fits = {planes: fitting_pool_z(planes, 2) for planes in (1, 4, 5, 6, 8, 12, 16, 64)}
    none, one, both = (False, False), (False, True), (True, True)
    assert fits == {
        1: none,
        4: none,
        5: none,
        6: none,
        8: one,
        12: one,
        16: both,
        64: both,
    }


def test_the_weights_do_not_depend_on_which_levels_halve_z():
    """So that a file of an earlier version, without pool_z, is the network it was."""
    networks = []
    for pool_z in (None, (True, True), (False, True)):
        torch.manual_seed(0)
        networks.append(
            UNet(UNetConfig(conv_dims=3, num_channels_init=8, pool_z=pool_z)).eval()
        )
    states = [network.state_dict() for network in networks]
    assert all(state.keys() == states[0].keys() for state in states)
    assert all(torch.equal(states[0][k], state[k]) for state in states for k in state)
    x = torch.randn(1, 1, 8, 16, 16)
    assert torch.equal(networks[0](x), networks[1](x))
    assert not torch.allclose(networks[0](x), networks[2](x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pool_z": (True, True)}, "pool_z is for volumes"),
        ({"conv_dims": 3, "pool_z": (True,)}, "1 entries but the depth is 2"),
    ],
)
def test_pool_z_that_does_not_fit_the_network_is_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        UNetConfig.build(settings)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_of_n2v2_keeps_a_constant_and_has_no_top_skip(dims):
    config = UNetConfig(n2v2=True, conv_dims=dims, num_channels_init=8)
    network = UNet(config).eval()
    pooled = network._pools[0](torch.full((1, 2) + (8,) * dims, 0.3))
    torch.testing.assert_close(pooled, torch.full((1, 2) + (4,) * dims, 0.3))
    assert network.decoder[-1][0].in_channels == 8
    assert network(torch.randn((2, 1) + (8,) * dims)).shape == (2, 1) + (8,) * dims


def test_the_blurred_halving_is_a_blur_of_maxima():
    x = torch.tensor([0.0, 4.0, 1.0, 1.0, 2.0, 8.0, 3.0, 5.0])
    maxima = [4, 4, 1, 2, 8, 8, 5, 5]
    left = [maxima[0], *maxima]  # the border repeated
    expected = [(left[i] + 2 * maxima[i] + maxima[i + 1]) / 4 for i in (0, 2, 4, 6)]
    pool = UNet(UNetConfig(n2v2=True, num_channels_init=8))._pools[0]
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


@pytest.mark.parametrize("margin", [1, 2, 3, 7, 28, 33])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n2v2": True},
        {"depth": 1},
        {"depth": 3, "residual": True},
        {"in_channels": 2, "num_classes": 2},
        {"in_channels": 2, "num_classes": 3, "independent_channels": False},
        {"conv_dims": 3, "pool_z": (True, False)},
    ],
)
def test_what_lies_within_a_margin_that_nobody_needs_stays_the_same(settings, margin):
    torch.manual_seed(0)
    config = UNetConfig(num_channels_init=8, **settings)
    network = UNet(config).eval()
    planes = (4,) if config.conv_dims == 3 else ()
    batch = torch.randn(2, config.in_channels, *planes, 80, 72)
    with torch.no_grad():
        whole, inner = network(batch), network(batch, margin)
    assert torch.equal(inner, whole[..., margin:-margin, margin:-margin])


def test_gradients_of_the_last_layer_are_those_of_a_convolution():
    torch.manual_seed(0)
    layer = UNet(
        UNetConfig(
            num_channels_init=8, num_classes=2, in_channels=2, independent_channels=False
        )
    ).last
    batch = torch.randn(2, 8, 12, 20, requires_grad=True)
    weights = torch.randn(2, 2, 12, 20)
    found = []
    for training in (True, False):
        layer.train(training)
        out = layer(batch)
        sums = (out * weights).sum()
        found.append([out, *torch.autograd.grad(sums, [batch, *layer.parameters()])])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("training", [True, False])
def test_no_patches_make_no_results(training):
    network = UNet(UNetConfig(num_channels_init=8, use_batch_norm=False)).train(training)
    assert network(torch.zeros(0, 1, 16, 16)).shape == (0, 1, 16, 16)


@pytest.mark.parametrize("settings", [{}, {"conv_dims": 3}, {"use_batch_norm": False}])
def test_random_weights_are_those_of_torch_and_leave_its_state_alone(settings):
    config = UNetConfig(depth=1, num_channels_init=8, **settings)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = UNet(config).state_dict()
    before = torch.random.get_rng_state()
    found = random_unet(config, 5).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, weight in expected.items():
        assert torch.equal(found[name], weight)
        assert found[name].stride() == weight.stride()


@pytest.mark.parametrize("dims", [2, 3])
def test_one_patch_with_one_pixel_at_the_bottleneck_has_no_variance(dims):
    config = UNetConfig(conv_dims=dims, depth=3, num_channels_init=8)
    network = random_unet(config, 0)
    one = torch.randn(1, 1, *[8] * dims, generator=torch.Generator().manual_seed(0))
    before = network.bottleneck[1].running_var.clone()
    network(one).square().mean().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters())
    assert torch.equal(network.bottleneck[1].running_var, before)
    network(torch.cat([one, -one]))  # two have one
    assert not torch.equal(network.bottleneck[1].running_var, before)
