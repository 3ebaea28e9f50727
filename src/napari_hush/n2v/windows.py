"""Tables of the window around each pixel, from which its replacement is drawn.

At the border a window is moved inside, so all windows have one size, and a pixel is at
some place of its window. Masking looks up all it needs by that place. Tables depend on
sizes alone and are made once per device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

Offsets = tuple[tuple[int, ...], ...]
"""Neighbors as offsets ``((Z), Y, X)`` in pixels, in ascending order."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one size in patches of one size; tensors are int64, indices are flat."""

    first: Tensor
    """``(P,)``: first pixel of the window of each pixel."""
    own: Tensor
    """``(P,)``: place of each pixel in its window."""
    steps: Tensor
    """``(N,)``: distance of each place from the first pixel of the window."""


@dataclass(frozen=True, eq=False)
class Hidden:
    """Hidden places of a window, for each place of its pixel; tensors are int64."""

    places: Tensor
    """``(N, M)``: hidden places and the pixel itself, also for those outside the window."""
    skips: Tensor
    """``(N, M)``, ascending: the ``k``-th visible place is ``k`` plus the number of entries
    that are at most ``k``."""
    counts: Tensor
    """``(N,)``: number of visible places."""
    never_all: bool
    """Whether at least one is visible for every place."""


@lru_cache(maxsize=8)
def windows(spatial: tuple[int, ...], roi_size: int, device: torch.device) -> Windows:
    """Windows of `roi_size`, at most that of the patch, in patches of size `spatial`."""
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
    """The places that are `hidden` with each place of a window."""
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
    # Offsets ascend, as do the places inside; those outside are put last.
    skips = torch.where(inside, flat - rank, number).sort(-1).values
    counts = number - inside.sum(-1)
    never_all = bool((counts > 0).all())
    return Hidden(places.to(device), skips.to(device), counts.to(device), never_all)


@lru_cache(maxsize=8)
def struct_table(hidden: Offsets, dims: int, device: torch.device) -> Tensor:
    """The offsets as ``(M, dims)`` int64."""
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
    """Minimum and maximum of each row of ``(n, P)``, both ``(n, 1)``."""
    if flat.device.type == "cpu":
        rows = flat.numpy()
        low, high = rows.min(1, keepdims=True), rows.max(1, keepdims=True)
        return torch.from_numpy(low), torch.from_numpy(high)
    return flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)


def windows_sorted(flat: Tensor, first: Tensor, steps: Tensor, left_out: Tensor) -> Tensor:
    """Sorted values ``(n, K, N)`` float32 of windows; those left out are infinite.

    Patches `flat` are ``(n, P)`` float32, first pixels of windows `first` ``(n, K)``,
    distances from them `steps` ``(N,)``, and places to leave out `left_out` ``(n, K, M)``,
    all int64.
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
