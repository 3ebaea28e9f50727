"""Masking of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980), N2V2 and structN2V.

A few pixels of each patch are replaced by a random neighbor, and the network predicts
their original values. A whole batch is masked on its device, in shapes that do not depend
on the draws, so that a GPU never waits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from napari_hush.n2v.windows import (
    Offsets,
    copied,
    hidden_places,
    limits,
    looked_up,
    struct_table,
    windows,
    windows_sorted,
)

if TYPE_CHECKING:
    from napari_hush.config import N2VManipulateConfig


@dataclass(frozen=True)
class Masked:
    """A masked batch and the targets of its masked pixels."""

    patches: Tensor
    """``(B, C, *spatial)`` float32, with masked pixels replaced."""
    pixels: Tensor
    """``(B * C, K)`` int64, flat spatial indices of the masked pixels."""
    values: Tensor
    """``(B * C, K)`` float32, their original values."""
    weights: Tensor
    """``(B * C, K)`` float32, 1, or 0 for an unused slot."""
    part: float | Tensor = 1.0
    """Weight of these patches in the loss of the whole batch, 0 to 1."""


def mask(
    batch: Tensor,
    config: N2VManipulateConfig,
    generator: torch.Generator,
    first: int = 0,
    whole: int | None = None,
) -> Masked:
    """Replace random pixels of every patch and channel.

    Parameters
    ----------
    batch : Tensor
        ``(B, C, *spatial)`` float32.
    config : N2VManipulateConfig
        Window, percentage and strategy.
    generator : torch.Generator
        On the device of `batch`; the draws depend on its state alone.
    first, whole : int
        If `batch` is a part of a larger batch: the index of its first patch in that batch,
        and the size of that batch, for which the draws are made.
    """
    batches, channels, *spatial = batch.shape
    flat = batch.reshape(batches * channels, math.prod(spatial))
    part_rows = slice(first * channels, (first + batches) * channels)
    all_pixels, all_weights = choose_pixels(
        channels * (batches if whole is None else whole),
        spatial,
        config.masked_pixel_percentage,
        generator,
    )
    pixels, weights = all_pixels[part_rows], all_weights[part_rows]
    values = flat.gather(1, pixels)
    hidden = config.hidden(len(spatial)) if config.hides_neighbours else ()
    if config.strategy == "median":
        new = _medians(flat, pixels, spatial, config.roi_size, hidden)
    else:
        neighbours = choose_neighbours(
            all_pixels, spatial, config.roi_size, generator, hidden
        )
        new = flat.gather(1, neighbours[part_rows])
    draw_values = _RandomValues(flat, part_rows, len(all_pixels), generator)
    has_visible = _has_visible(pixels, spatial, config.roi_size, hidden)
    if has_visible is not None:
        new = torch.where(has_visible, new, draw_values(new.shape[1]))
    # Unused slots repeat the pixel of slot 0 and must write the same value.
    new = torch.where(weights > 0, new, new[:, :1])
    patches = copied(flat)
    if hidden:
        around = _around(pixels, spatial, hidden)
        patches.scatter_(1, around, draw_values(around.shape[1]))
    patches.scatter_(1, pixels, new)
    part = 1.0 if whole in (None, batches) else weights.sum() / all_weights.sum()
    return Masked(patches.reshape(batch.shape), pixels, values, weights, part)


def loss(prediction: Tensor, masked: Masked) -> Tensor:
    """Mean squared error at the masked pixels.

    Parameters
    ----------
    prediction : Tensor
        ``(B, C, *spatial)``, the network's output for ``masked.patches``.
    masked : Masked
        The masked batch.

    Returns
    -------
    Tensor
        A float32 scalar.
    """
    flat = prediction.float().reshape(len(masked.pixels), -1)
    error = flat.gather(1, masked.pixels) - masked.values
    weight = masked.weights.sum().clamp(min=1)  # 0 where no masked pixel counts
    return (masked.weights * error.square()).sum() / weight


def choose_pixels(
    n: int, spatial: Sequence[int], percentage: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw one pixel in every box of a grid (stratified sampling).

    Boxes have a volume of ``100 / percentage`` pixels. Those at the far border reach beyond
    the patch; a pixel drawn there does not count, which keeps the percentage exact on
    average.

    Parameters
    ----------
    n : int
        Number of patches.
    spatial : sequence of int
        Their size in pixels.
    percentage : float
        Percentage of the pixels to draw.
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
    spatial = tuple(spatial)
    boxes = _boxes(spatial, percentage, generator.device)
    draws = torch.rand(
        (n, len(boxes.corners[0]), len(spatial)),
        generator=generator,
        device=generator.device,
    )
    pixels = torch.zeros((), dtype=torch.int64, device=generator.device)
    counts = torch.ones((), dtype=torch.bool, device=generator.device)
    # Axis by axis with Python numbers: copying tensors of them would make a GPU wait.
    for axis, size in enumerate(spatial):
        index = ((boxes.corners[axis] + draws[..., axis]) * boxes.sides[axis]).long()
        pixels = pixels * size + index
        counts = counts & (index < size)
    return torch.where(counts, pixels, pixels[:, :1]), counts.float()


def choose_neighbours(
    pixels: Tensor,
    spatial: Sequence[int],
    roi_size: int,
    generator: torch.Generator,
    hidden: Offsets = (),
) -> Tensor:
    """Draw a pixel from the window around each pixel, uniformly, without the pixel itself.

    At the border the window is moved inside the patch.

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
    hidden : tuple of offsets
        Neighbors that are not drawn, as in `N2VManipulateConfig.hidden`.

    Returns
    -------
    Tensor
        ``(n, K)`` int64 flat indices; the pixel itself if its whole window is hidden.
    """
    table = windows(tuple(spatial), roi_size, pixels.device)
    own = looked_up(table.own, pixels)
    if hidden:
        invisible = hidden_places(tuple(spatial), roi_size, hidden, pixels.device)
        counts = looked_up(invisible.counts, own)
        draws = torch.rand(pixels.shape, generator=generator, device=pixels.device)
        # 0.999.. times the count may round up to it.
        nth = torch.minimum((draws * counts).long(), counts - 1)
        place = nth + (nth[..., None] >= looked_up(invisible.skips, own)).sum(-1)
        if not invisible.never_all:
            place = torch.where(counts > 0, place, own)
    else:
        nth = torch.randint(
            len(table.steps) - 1, pixels.shape, generator=generator, device=pixels.device
        )
        place = nth + (nth >= own)
    return looked_up(table.first, pixels) + looked_up(table.steps, place)


def struct_offsets(config: N2VManipulateConfig, dims: int) -> Tensor:
    """Neighbors that structN2V masks with each pixel (Broaddus et al., ISBI 2020).

    Returns
    -------
    Tensor
        ``(M, dims)`` int64, offsets ``((Z), Y, X)`` in pixels without the pixel itself;
        ``M`` is 0 without structN2V.
    """
    return struct_table(config.hidden(dims), dims, torch.device("cpu"))


@dataclass(frozen=True, eq=False)
class _Boxes:
    """A grid of boxes: their sides, and per axis the index of each box, ``(K,)``."""

    sides: tuple[float, ...]
    corners: tuple[Tensor, ...]


@lru_cache(maxsize=8)
def _boxes(spatial: tuple[int, ...], percentage: float, device: torch.device) -> _Boxes:
    sides = _box(spatial, 100 / percentage)
    cells = [torch.arange(math.ceil(n / s)) for n, s in zip(spatial, sides, strict=True)]
    corners = torch.meshgrid(*cells, indexing="ij")
    return _Boxes(tuple(sides), tuple(c.flatten().float().to(device) for c in corners))


def _medians(
    flat: Tensor, pixels: Tensor, spatial: Sequence[int], roi_size: int, hidden: Offsets
) -> Tensor:
    """Median of the visible pixels of each window; infinite if there are none.

    Of an even number of pixels it is the lower of the two in the middle.
    """
    device = pixels.device
    table = windows(tuple(spatial), roi_size, device)
    own, first = looked_up(table.own, pixels), looked_up(table.first, pixels)
    if not hidden:
        middle = (len(table.steps) - 2) // 2
        return windows_sorted(flat, first, table.steps, own[..., None])[..., middle]
    invisible = hidden_places(tuple(spatial), roi_size, hidden, device)
    left_out = looked_up(invisible.places, own)
    ordered = windows_sorted(flat, first, table.steps, left_out)
    middles = ((looked_up(invisible.counts, own) - 1) // 2).clamp(min=0)
    return ordered.gather(-1, middles[..., None])[..., 0]


def _has_visible(
    pixels: Tensor, spatial: Sequence[int], roi_size: int, hidden: Offsets
) -> Tensor | None:
    """Whether the window of each pixel has visible pixels; None if all windows have."""
    if not hidden:
        return None
    invisible = hidden_places(tuple(spatial), roi_size, hidden, pixels.device)
    if invisible.never_all:
        return None
    table = windows(tuple(spatial), roi_size, pixels.device)
    return looked_up(invisible.counts, looked_up(table.own, pixels)) > 0


def _around(pixels: Tensor, spatial: Sequence[int], hidden: Offsets) -> Tensor:
    """Flat indices ``(n, K * M)`` of hidden pixels; the pixel itself for those outside."""
    offsets = struct_table(hidden, len(spatial), pixels.device)
    inside = torch.ones((), dtype=torch.bool, device=pixels.device)
    steps = torch.zeros((), dtype=torch.int64, device=pixels.device)
    stride = 1
    for axis in reversed(range(len(spatial))):
        size = spatial[axis]
        index = (pixels // stride % size)[..., None] + offsets[:, axis]
        inside = inside & (index >= 0) & (index < size)
        steps = steps + offsets[:, axis] * stride
        stride *= size
    return (pixels[..., None] + inside * steps).flatten(1)


@dataclass(frozen=True, eq=False)
class _RandomValues:
    """Random values between the minimum and the maximum of each patch ``(n, P)``.

    The patches are rows `rows` of a larger batch of `num_rows`.
    """

    flat: Tensor
    rows: slice
    num_rows: int
    generator: torch.Generator

    def __call__(self, count: int) -> Tensor:
        """``(n, count)`` values."""
        low, high = limits(self.flat)
        draws = torch.rand(
            (self.num_rows, count), generator=self.generator, device=self.flat.device
        )
        return low + draws[self.rows] * (high - low)


def _box(spatial: Sequence[int], volume: float) -> list[float]:
    """Sides of a box of `volume` pixels: a cube, but no larger than the patch."""
    sides = [0.0] * len(spatial)
    left = sorted(range(len(spatial)), key=lambda axis: spatial[axis])
    while left:
        side = volume ** (1 / len(left))
        axis = left.pop(0)
        sides[axis] = min(side, float(spatial[axis]))
        volume /= sides[axis]
    return sides
