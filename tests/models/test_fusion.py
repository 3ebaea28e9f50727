"""A folded network computes what the network computes."""

import pytest
import torch

from napari_hush.config import UNetConfig
from napari_hush.models import UNet, fuse_batch_norm


def _trained(**settings):
    """A network whose batch normalizations are far from doing nothing."""
    torch.manual_seed(0)
    network = UNet(UNetConfig(num_channels_init=8, depth=2, **settings))
    for module in network.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network.train()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"n2v2": True},
        {"conv_dims": 3},
        {"use_batch_norm": False},
        {"in_channels": 2, "num_classes": 2, "independent_channels": False},
    ],
    ids=str,
)
def test_folded_network_gives_the_same_picture(settings):
    network = _trained(**settings)
    config = network.config
    x = torch.randn(2, config.in_channels, *[16] * config.conv_dims)
    with torch.no_grad():
        small = fuse_batch_norm(network)(x)
        whole = network.eval()(x)
    assert (small - whole).abs().max() < 1e-5 * whole.abs().max()


def test_folding_takes_normalisations_away_and_leaves_the_original_as_it_was():
    network = _trained()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    small = fuse_batch_norm(network)
    kinds = [type(module).__name__ for module in small.modules()]
    assert "BatchNorm2d" not in kinds
    assert not small.training
    assert network.training
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
