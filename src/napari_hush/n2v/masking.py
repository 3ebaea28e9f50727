"""The blind spot of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980) and its kin.

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
    values = flat.gather(1, pixels)
    hidden = struct_offsets(config, len(spatial)).to(batch.device)
    if config.strategy == "median":
        new = _medians(flat, pixels, spatial, config.roi_size, hidden)
    else:
        neighbours = choose_neighbours(pixels, spatial, config.roi_size, generator)
        new = flat.gather(1, neighbours)
        if len(hidden):
            correlated = _is_among(neighbours, pixels, spatial, hidden)
            new = torch.where(correlated, _any_value(flat, new.shape, generator), new)
    # Slots that repeat slot 0 must also write what slot 0 writes.
    new = torch.where(weights > 0, new, new[:, :1])
    patches = flat
    if len(hidden):
        around = _around(pixels, spatial, hidden)
        patches = patches.scatter(1, around, _any_value(flat, around.shape, generator))
    patches = patches.scatter(1, pixels, new)
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
    first, side = _windows(pixels, spatial, roi_size)
    strides = _strides(spatial, device)
    window_strides = _strides(side.tolist(), device)
    place = pixels[..., None] // strides % torch.tensor(tuple(spatial), device=device)
    own = ((place - first) * window_strides).sum(-1)
    drawn = torch.randint(
        math.prod(min(roi_size, size) for size in spatial) - 1,
        pixels.shape,
        generator=generator,
        device=device,
    )
    drawn = drawn + (drawn >= own)
    chosen = first + drawn[..., None] // window_strides % side
    return (chosen * strides).sum(-1)


def struct_offsets(config: N2VManipulateConfig, dims: int) -> Tensor:
    """Neighbours that structN2V hides with a masked pixel (Broaddus et al., ISBI 2020).

    Returns
    -------
    Tensor
        ``(M, dims)`` int64, offsets ``((Z), Y, X)`` in pixels, never all zero; ``M`` is 0
        without structN2V. All lie in the YX plane.
    """
    half = config.struct_mask_span // 2
    along = [i for i in range(-half, half + 1) if i]
    y, x = [(i, 0) for i in along], [(0, i) for i in along]
    match config.struct_mask_axis:
        case "none":
            plane = []
        case "horizontal":
            plane = x
        case "vertical":
            plane = y
        case "cross":
            plane = y + x
        case "square":
            plane = y + x + [(i, j) for i in along for j in along]
    offsets = [(0,) * (dims - 2) + offset for offset in plane]
    return torch.tensor(offsets, dtype=torch.int64).reshape(-1, dims)


def _medians(
    flat: Tensor, pixels: Tensor, spatial: Sequence[int], roi_size: int, hidden: Tensor
) -> Tensor:
    """Median of the window around each pixel, without it and what is hidden with it."""
    strides = _strides(spatial, pixels.device)
    first, side = _windows(pixels, spatial, roi_size)
    inside = torch.cartesian_prod(*(torch.arange(n, device=pixels.device) for n in side))
    chosen = ((first[..., None, :] + inside.reshape(-1, len(side))) * strides).sum(-1)
    window = flat.gather(1, chosen.flatten(1)).reshape(chosen.shape)
    out = chosen == pixels[..., None]
    if len(hidden):
        out |= _is_among(chosen, pixels[..., None], spatial, hidden)
    return torch.where(out, torch.nan, window).nanmedian(-1).values


def _windows(
    pixels: Tensor, spatial: Sequence[int], roi_size: int
) -> tuple[Tensor, Tensor]:
    """First place ``(n, K, dims)`` of the window around each pixel, and its sides."""
    limit = torch.tensor(tuple(spatial), device=pixels.device)
    side = limit.clamp(max=roi_size)
    place = pixels[..., None] // _strides(spatial, pixels.device) % limit
    first = torch.minimum((place - side // 2).clamp(min=0), limit - side)
    return first, side


def _around(pixels: Tensor, spatial: Sequence[int], hidden: Tensor) -> Tensor:
    """Flat indices ``(n, K * M)`` of what is hidden; the pixel itself beyond the border."""
    strides = _strides(spatial, pixels.device)
    limit = torch.tensor(tuple(spatial), device=pixels.device)
    place = (pixels[..., None] // strides % limit)[..., None, :] + hidden
    inside = ((place >= 0) & (place < limit)).all(-1)
    return torch.where(inside, (place * strides).sum(-1), pixels[..., None]).flatten(1)


def _is_among(
    others: Tensor, pixels: Tensor, spatial: Sequence[int], hidden: Tensor
) -> Tensor:
    """Whether each of `others` is hidden with its pixel."""
    strides = _strides(spatial, pixels.device)
    limit = torch.tensor(tuple(spatial), device=pixels.device)
    offset = others[..., None] // strides % limit - pixels[..., None] // strides % limit
    return (offset[..., None, :] == hidden).all(-1).any(-1)


def _any_value(flat: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Random values between the least and the largest of each patch."""
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    draws = torch.rand(shape, generator=generator, device=flat.device)
    return low + draws * (high - low)


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
