"""The same network with fewer operations, for prediction."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from napari_hush.models.device import Precision
    from napari_hush.models.unet import UNet


def fuse_batch_norm(network: UNet) -> UNet:
    """A copy of `network` in evaluation mode, its batch normalisations part of the weights.

    A normalisation with fixed statistics is a factor and an offset per filter, which the
    convolution before it can do as well (Jacob et al., CVPR 2018, arXiv:1712.05877,
    section 3.2). Results differ by rounding alone.
    """
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for i, (layer, following) in enumerate(itertools.pairwise(module)):
            if isinstance(following, _NORMS):
                module[i] = fuse_conv_bn_eval(cast("nn.Conv2d", layer), following)
                module[i + 1] = nn.Identity()
    return copied


_NORMS = (nn.BatchNorm2d, nn.BatchNorm3d)


_OPERATOR = "_convolution_pointwise"
"""What torch calls it; `torch.compile` makes use of it, but its name is not promised."""


def fuse_relu(network: UNet, precision: Precision) -> UNet:
    """Join the convolutions of `network` with what rectifies them, where oneDNN can do it.

    The result is the same bits, in less time: nothing is read and written once more. (For
    very small images torch by itself takes no oneDNN, and rounds otherwise.)

    Parameters
    ----------
    network : UNet
        In evaluation mode, as `folded` makes it; it is changed in place.
    precision : {"32", "bf16"}
        How it will compute; not every processor has instructions for the latter.

    Returns
    -------
    UNet
        `network`.
    """
    if not _can_join(torch.bfloat16 if precision == "bf16" else torch.float32):
        return network
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        places = [n for n, m in enumerate(module) if not isinstance(m, nn.Identity)]
        for first, second in itertools.pairwise(places):
            layer = module[first]
            if (
                isinstance(layer, nn.Conv2d)
                and layer.in_channels % 8 == 0  # for few oneDNN has another way
                and isinstance(module[second], nn.ReLU)
            ):
                module[first], module[second] = _Rectified(layer), nn.Identity()
    return network


class _Rectified(nn.Module):
    """A convolution in 2D whose sums are rectified."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer, kind = self._layer, x.dtype
        if torch.is_autocast_enabled("cpu"):  # which does not know this operator
            kind = torch.get_autocast_dtype("cpu")
        bias = None if layer.bias is None else layer.bias.to(kind)
        return _joined(x.to(kind), layer.weight.to(kind), bias, layer.padding)


def _joined(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
    operator = getattr(torch.ops.mkldnn, _OPERATOR)
    found: Tensor = operator(
        x, weight, bias, list(padding), [1, 1], [1, 1], 1, "relu", [], ""
    )
    return found


@functools.cache
def _can_join(kind: torch.dtype) -> bool:
    """Whether torch has that operator here, and it does what it should."""
    if not hasattr(torch.ops.mkldnn, _OPERATOR):
        return False
    generator = torch.Generator().manual_seed(0)
    last = torch.channels_last
    x = torch.randn(1, 8, 32, 32, generator=generator).to(kind, memory_format=last)
    weight = torch.randn(8, 8, 3, 3, generator=generator).to(kind, memory_format=last)
    bias = torch.randn(8, generator=generator).to(kind)
    wanted = torch.relu(torch.conv2d(x, weight, bias, padding=1))
    try:
        found = _joined(x, weight, bias, (1, 1))
    except (RuntimeError, TypeError):  # no instructions for it, or other arguments
        return False
    return torch.allclose(found.float(), wanted.float(), rtol=0.02, atol=0.02)
