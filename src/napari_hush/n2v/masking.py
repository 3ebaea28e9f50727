"""The blind spot of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980).

A few pixels of each patch are overwritten with a random neighbour, and the network is
asked for what stood there. It cannot copy the noise it does not see. Everything is done
for a whole batch on the device, with shapes that do not depend on the draws, so that a
GPU is never waited for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.config import N2VManipulateConfig


@dataclass(frozen=True)
class Masked:
    """A batch with blind spots and what it takes to compute the loss there.

    Attributes
    ----------
    patches : Tensor
        ``(B, C, *spatial)`` float32, masked pixels overwritten.
    pixels : Tensor
        ``(B * C, K)`` int64, flat spatial indices of the masked pixels.
    values : Tensor
        ``(B * C, K)`` float32, what stood there.
    weights : Tensor
        ``(B * C, K)`` float32, 1, or 0 for a slot that holds no pixel of its own.
    """

    patches: Tensor
    pixels: Tensor
    values: Tensor
    weights: Tensor


def mask(batch: Tensor, config: N2VManipulateConfig, generator: torch.Generator) -> Masked:
    """Overwrite random pixels of every patch and channel with a random neighbour.

    Parameters
    ----------
    batch : Tensor
        ``(B, C, *spatial)`` float32.
    config : N2VManipulateConfig
        Window and percentage.
    generator : torch.Generator
        On the device of `batch`; the draws depend on its state alone.
    """
    spatial = batch.shape[2:]
    flat = batch.reshape(batch.shape[0] * batch.shape[1], -1)
    pixels, weights = choose_pixels(
        len(flat), spatial, config.masked_pixel_percentage, generator
    )
    neighbours = choose_neighbours(pixels, spatial, config.roi_size, generator)
    # Slots that repeat slot 0 must also write what slot 0 writes.
    neighbours = torch.where(weights > 0, neighbours, neighbours[:, :1])
    values = flat.gather(1, pixels)
    patches = flat.scatter(1, pixels, flat.gather(1, neighbours))
    return Masked(patches.reshape(batch.shape), pixels, values, weights)


def loss(prediction: Tensor, masked: Masked) -> Tensor:
    """Mean squared error at the masked pixels.

    Parameters
    ----------
    prediction : Tensor
        ``(B, C, *spatial)``, the network's output for ``masked.patches``.
    masked : Masked
        Where to look, and what stood there.

    Returns
    -------
    Tensor
        A float32 scalar.
    """
    flat = prediction.float().reshape(len(masked.pixels), -1)
    error = flat.gather(1, masked.pixels) - masked.values
    return (masked.weights * error.square()).sum() / masked.weights.sum()


def choose_pixels(
    n: int,
    spatial: Sequence[int],
    percentage: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Draw one pixel in every box of a grid: spread out, and each pixel equally likely.

    Boxes have the volume that holds one pixel in ``100 / percentage``. Those at the far
    border reach beyond the patch; a pixel drawn there does not count, which keeps the
    percentage exact on average.

    Parameters
    ----------
    n : int
        Number of patches.
    spatial : sequence of int
        Their size in pixels.
    percentage : float
        Share of the pixels to draw, in percent.
    generator : torch.Generator
        Source of the draws.

    Returns
    -------
    pixels : Tensor
        ``(n, K)`` int64, flat indices. A slot whose draw does not count repeats the pixel
        of slot 0, which always counts.
    weights : Tensor
        ``(n, K)`` float32, 1 where the slot counts, else 0.
    """
    device = generator.device
    box = _box(spatial, 100 / percentage)
    cells = [math.ceil(size / side) for size, side in zip(spatial, box, strict=True)]
    corner = torch.cartesian_prod(*(torch.arange(c, device=device) for c in cells))
    corner = corner.reshape(-1, len(cells))
    draws = torch.rand((n, *corner.shape), generator=generator, device=device)
    side = torch.tensor(box, device=device)
    limit = torch.tensor(tuple(spatial), device=device)
    place = ((corner + draws) * side).long()
    counts = (place < limit).all(-1)
    pixels = (place * _strides(spatial, device)).sum(-1)
    return torch.where(counts, pixels, pixels[:, :1]), counts.float()


def choose_neighbours(
    pixels: Tensor,
    spatial: Sequence[int],
    roi_size: int,
    generator: torch.Generator,
) -> Tensor:
    """Draw a pixel from the window around each pixel, any but the pixel itself.

    Away from the border every offset of the window is equally likely. At the border the
    window is moved inside, so that there, too, each of its other pixels is equally likely
    and none is the pixel itself.

    Parameters
    ----------
    pixels : Tensor
        ``(n, K)`` int64 flat indices.
    spatial : sequence of int
        Size of the patches.
    roi_size : int
        Side of the window, odd; smaller along an axis that is shorter.
    generator : torch.Generator
        Source of the draws.

    Returns
    -------
    Tensor
        ``(n, K)`` int64 flat indices.
    """
    device = pixels.device
    window = [min(roi_size, size) for size in spatial]
    limit = torch.tensor(tuple(spatial), device=device)
    side = torch.tensor(window, device=device)
    strides = _strides(spatial, device)
    place = pixels[..., None] // strides % limit
    first = torch.minimum((place - side // 2).clamp(min=0), limit - side)
    window_strides = _strides(window, device)
    own = ((place - first) * window_strides).sum(-1)
    drawn = torch.randint(
        math.prod(window) - 1, pixels.shape, generator=generator, device=device
    )
    drawn = drawn + (drawn >= own)
    chosen = first + drawn[..., None] // window_strides % side
    return (chosen * strides).sum(-1)


def _box(spatial: Sequence[int], volume: float) -> list[float]:
    """Sides of a box of `volume` pixels: a cube, flattened where the patch is thin."""
    sides = [0.0] * len(spatial)
    left = sorted(range(len(spatial)), key=lambda axis: spatial[axis])
    while left:
        side = volume ** (1 / len(left))
        axis = left.pop(0)
        sides[axis] = min(side, float(spatial[axis]))
        volume /= sides[axis]
    return sides


def _strides(spatial: Sequence[int], device: torch.device) -> Tensor:
    strides = [math.prod(spatial[axis + 1 :]) for axis in range(len(spatial))]
    return torch.tensor(strides, device=device)
