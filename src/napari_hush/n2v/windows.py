"""Where replacements come from: the window around each pixel, kept as tables.

A window is moved inside at the border, so every pixel has one of the same size, in which
it stands at some place. All that masking needs to know of a pixel follows from that place
and is looked up. The tables depend on sizes alone and are made once for each device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

Offsets = tuple[tuple[int, ...], ...]
"""Neighbours as offsets ``((Z), Y, X)`` in pixels, in rising order."""


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of one size in patches of one size. Indices are flat.

    Attributes
    ----------
    first : Tensor
        ``(P,)`` int64: for each pixel of a patch, the first pixel of its window.
    own : Tensor
        ``(P,)`` int64: at which place of its window the pixel stands.
    steps : Tensor
        ``(N,)`` int64: for each place of a window, how far it is from the first.
    """

    first: Tensor
    own: Tensor
    steps: Tensor


@dataclass(frozen=True, eq=False)
class Hidden:
    """Which places of a window may not be used, for each place a pixel can have in it.

    Attributes
    ----------
    places : Tensor
        ``(N, M)`` int64: what is hidden, the pixel itself included; places that would be
        outside the window are the pixel itself again.
    skips : Tensor
        ``(N, M)`` int64, rising: the ``k``-th place that may be used is ``k`` plus the
        number of entries that are at most ``k``.
    counts : Tensor
        ``(N,)`` int64: how many places may be used.
    never_all : bool
        Whether at least one may be used, whatever the place.
    """

    places: Tensor
    skips: Tensor
    counts: Tensor
    never_all: bool


@lru_cache(maxsize=8)
def windows(spatial: tuple[int, ...], roi_size: int, device: torch.device) -> Windows:
    """The windows of `roi_size` (smaller where the patch is) in patches of `spatial`."""
    sides = _sides(spatial, roi_size)
    first = own = torch.zeros((), dtype=torch.int64)
    for size, side in zip(spatial, sides, strict=True):
        place = torch.arange(size)
        start = (place - side // 2).clamp(0, size - side)
        first = first[..., None] * size + start
        own = own[..., None] * side + (place - start)
    steps = torch.zeros((), dtype=torch.int64)
    for size, side in zip(spatial, sides, strict=True):
        steps = steps[..., None] * size + torch.arange(side)
    tables = (table.flatten().to(device) for table in (first, own, steps))
    return Windows(*tables)


@lru_cache(maxsize=8)
def hidden_places(
    spatial: tuple[int, ...], roi_size: int, hidden: Offsets, device: torch.device
) -> Hidden:
    """What of each window is `hidden` with its pixel, and the pixel itself."""
    sides = _sides(spatial, roi_size)
    within = [h for h in hidden if all(abs(o) < s for o, s in zip(h, sides, strict=True))]
    offsets = torch.tensor(sorted([*within, (0,) * len(sides)]))
    number = math.prod(sides)
    place = torch.stack(torch.unravel_index(torch.arange(number), sides), -1)
    found = place[:, None] + offsets
    inside = ((found >= 0) & (found < torch.tensor(sides))).all(-1)
    strides = torch.tensor([math.prod(sides[i + 1 :]) for i in range(len(sides))])
    flat = (found * strides).sum(-1)
    places = torch.where(inside, flat, torch.arange(number)[:, None])
    rank = inside.cumsum(-1) - 1
    # Offsets rise, so do the places inside; those outside are put behind every place.
    skips = torch.where(inside, flat - rank, number).sort(-1).values
    counts = number - inside.sum(-1)
    never_all = bool((counts > 0).all())
    return Hidden(places.to(device), skips.to(device), counts.to(device), never_all)


@lru_cache(maxsize=8)
def struct_table(hidden: Offsets, dims: int, device: torch.device) -> Tensor:
    """``(M, dims)`` int64 of the offsets."""
    return torch.tensor(hidden, dtype=torch.int64).reshape(-1, dims).to(device)


def _sides(spatial: Sequence[int], roi_size: int) -> tuple[int, ...]:
    return tuple(min(roi_size, size) for size in spatial)


def copied(flat: Tensor) -> Tensor:
    """A copy of float32 `flat`."""
    if flat.device.type == "cpu":
        return torch.from_numpy(flat.numpy().copy())
    return flat.clone()


def looked_up(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]``."""
    if table.device.type == "cpu":
        return torch.from_numpy(table.numpy().take(rows.numpy(), axis=0))
    return table[rows]


def limits(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest value of each row of ``(n, P)``, both ``(n, 1)``."""
    if flat.device.type == "cpu":
        rows = flat.numpy()
        low, high = rows.min(1, keepdims=True), rows.max(1, keepdims=True)
        return torch.from_numpy(low), torch.from_numpy(high)
    return flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)


def windows_sorted(flat: Tensor, first: Tensor, steps: Tensor, left_out: Tensor) -> Tensor:
    """The values in windows in rising order, those left out at the end.

    Parameters
    ----------
    flat : Tensor
        ``(n, P)`` float32.
    first : Tensor
        ``(n, K)`` int64: the first pixel of each window.
    steps : Tensor
        ``(N,)`` int64: how far the window's pixels are from its first.
    left_out : Tensor
        ``(n, K, M)`` int64: which places of its window are left out.

    Returns
    -------
    Tensor
        ``(n, K, N)`` float32, infinite where values were left out.
    """
    if flat.device.type == "cpu":
        rows = np.arange(len(flat))[:, None] * flat.shape[1]
        pixels = (first.numpy() + rows)[..., None] + steps.numpy()
        values = flat.numpy().ravel().take(pixels)
        np.put_along_axis(values, left_out.numpy(), np.inf, -1)
        values.sort(-1)
        return torch.from_numpy(values)
    pixels = first[..., None] + steps
    values = flat.gather(1, pixels.flatten(1)).reshape(pixels.shape)
    values.scatter_(-1, left_out, torch.inf)
    return values.sort(-1).values
