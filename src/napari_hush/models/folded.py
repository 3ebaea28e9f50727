"""The same network with fewer operations, for prediction."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING, cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from napari_hush.models.unet import UNet


def folded(network: UNet) -> UNet:
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
