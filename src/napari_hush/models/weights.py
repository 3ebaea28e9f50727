"""Random weights of new networks, and the shapes of weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from napari_hush.models.unet import UNet
from napari_hush.system.memory import require_memory

if TYPE_CHECKING:
    from napari_hush.config import UNetConfig


def weight_shapes(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Shapes of the weights and buffers of a network of `config`, without making it."""
    with torch.device("meta"):
        weights = UNet(config).state_dict()
    return {name: tuple(weight.shape) for name, weight in weights.items()}


def inflated(weights: Mapping[str, Tensor], network: UNet) -> dict[str, Tensor]:
    """Weights of the same network in 2D, or for one frame, for `network`; others as given.

    Each 2D kernel becomes the middle plane of a 3D one, so that a volume of equal planes is
    denoised as each plane is in 2D (compare Carreira and Zisserman, CVPR 2017), and the
    kernel of a frame that of the middle one; or both.
    """
    found = dict(weights)
    for name, own in network.state_dict().items():
        value = weights.get(name)
        if value is None or value.ndim < 4 or value.shape == own.shape:
            continue
        if value.ndim + 1 == own.ndim:
            value = _in_the_middle(value[:, :, None], 2, own.shape[2])
        if value.shape[1] == 1:
            value = _in_the_middle(value, 1, own.shape[1])
        found[name] = value
    return found


def _in_the_middle(kernel: Tensor, axis: int, size: int) -> Tensor:
    """`kernel`, of size 1 along `axis`, among zeros to the size given."""
    zeros = [torch.zeros_like(kernel)] * (size - 1)
    return torch.cat([*zeros[: size // 2], kernel, *zeros[size // 2 :]], axis)


def new_network(config: UNetConfig, seed: int = 0) -> UNet:
    """A network with random weights; OutOfMemoryError if it does not fit into memory."""
    needed = 4 * sum(math.prod(shape) for shape in weight_shapes(config).values())
    require_memory(
        needed,
        f"A network of depth {config.depth} with {config.num_channels_init} filters",
        "use fewer of either",
    )
    return random_unet(config, seed)


def check_weights(found: Mapping[str, tuple[int, ...]], config: UNetConfig) -> None:
    """Raise ValueError if the shapes are not those of a network of `config`."""
    expected = weight_shapes(config)
    for name in sorted(found.keys() | expected.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"the weights {name!r} are {found.get(name, 'missing')}, but a network of "
                f"this configuration has {expected.get(name, 'none of that name')}"
            )


def random_unet(config: UNetConfig, seed: int) -> UNet:
    """A network with the random weights of torch's layers, drawn from `seed`.

    Neither reads nor changes torch's random state, which other threads use as well.
    """
    with torch.device("meta"):
        network = UNet(config)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():  # in the order in which they are made
        if isinstance(layer, nn.Conv2d | nn.Conv3d):
            # As in reset_parameters. In one memory layout, since that decides the order.
            weight = torch.empty(layer.weight.shape)
            nn.init.kaiming_uniform_(weight, math.sqrt(5), generator=generator)
            layer.weight.data.copy_(weight)
            if layer.bias is not None:
                bound = weight[0].numel() ** -0.5
                layer.bias.data.uniform_(-bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            layer.reset_parameters()
    return network
