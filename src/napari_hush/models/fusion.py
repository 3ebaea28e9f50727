"""Networks fused for prediction: equal results in less time."""

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

_OPERATOR = "_convolution_pointwise"
"""Operator of oneDNN that `torch.compile` uses; torch does not promise its name."""


def fuse_batch_norm(network: UNet) -> UNet:
    """A copy of `network` in evaluation mode, with batch normalization in the weights.

    A normalization with fixed statistics is a factor and an offset per filter, which fit
    into the convolution before it (Jacob et al., CVPR 2018, arXiv:1712.05877, section 3.2).
    Results differ by rounding alone.
    """
    copied = copy.deepcopy(network).eval()
    for module in list(copied.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for i, (layer, following) in enumerate(itertools.pairwise(module)):
            if isinstance(following, nn.BatchNorm2d | nn.BatchNorm3d):
                module[i] = fuse_conv_bn_eval(cast("nn.Conv2d", layer), following)
                module[i + 1] = nn.Identity()
    return copied


def fuse_relu(network: UNet, precision: Precision) -> UNet:
    """Fuse the convolutions of `network` with their ReLU, if oneDNN supports it here.

    The result has the same bits and takes less time, since intermediate results are not
    written and read. (Torch alone does not use oneDNN for very small images, and rounds
    differently there.) Takes a result of `fuse_batch_norm`, and returns it, changed in
    place; `precision` is its arithmetic: not every CPU has instructions for bfloat16.
    """
    if not _can_fuse(torch.bfloat16 if precision == "bf16" else torch.float32):
        return network
    for module in network.modules():
        if not isinstance(module, nn.Sequential):
            continue
        indices = [n for n, m in enumerate(module) if not isinstance(m, nn.Identity)]
        for first, second in itertools.pairwise(indices):
            layer = module[first]
            if (
                isinstance(layer, nn.Conv2d)
                and layer.in_channels % 8 == 0  # for fewer, oneDNN rounds differently
                and layer.groups == 1
                and isinstance(module[second], nn.ReLU)
            ):
                module[first], module[second] = _ConvReLU(layer), nn.Identity()
    return network


class _ConvReLU(nn.Module):
    """A 2D convolution and its ReLU."""

    def __init__(self, layer: nn.Conv2d) -> None:
        super().__init__()
        self._layer = layer

    def forward(self, x: Tensor) -> Tensor:
        layer, dtype = self._layer, x.dtype
        if torch.is_autocast_enabled("cpu"):  # which does not know this operator
            dtype = torch.get_autocast_dtype("cpu")
        bias = None if layer.bias is None else layer.bias.to(dtype)
        return _conv_relu(x.to(dtype), layer.weight.to(dtype), bias, layer.padding)


def _conv_relu(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Any) -> Tensor:
    operator = getattr(torch.ops.mkldnn, _OPERATOR)
    found: Tensor = operator(
        x, weight, bias, list(padding), [1, 1], [1, 1], 1, "relu", [], ""
    )
    return found


@functools.cache
def _can_fuse(dtype: torch.dtype) -> bool:
    """Whether torch has the operator here, and its result is right."""
    if not hasattr(torch.ops.mkldnn, _OPERATOR):
        return False
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last
    x = torch.randn(1, 8, 32, 32, generator=generator).to(dtype, memory_format=layout)
    weight = torch.randn(8, 8, 3, 3, generator=generator).to(dtype, memory_format=layout)
    bias = torch.randn(8, generator=generator).to(dtype)
    expected = torch.relu(torch.conv2d(x, weight, bias, padding=1))
    try:
        found = _conv_relu(x, weight, bias, (1, 1))
    except (RuntimeError, TypeError):  # no instructions for it, or other arguments
        return False
    return torch.allclose(found.float(), expected.float(), rtol=0.02, atol=0.02)
