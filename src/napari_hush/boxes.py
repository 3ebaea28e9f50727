"""Cutting a shape into boxes that cover every pixel once.

A box is a tuple of slices, one per dimension, each with start and stop.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]
"""One slice with start and stop per dimension."""


class Boxes(Sequence[Box]):
    """Boxes of one size side by side, last axis fastest; those at the far border smaller.

    Boxes are made when asked for, so a shape may have any number of them.

    Parameters
    ----------
    shape : sequence of int
        Size along each dimension, in pixels.
    size : sequence of int
        Size of a box along each dimension, 1 or more.
    """

    def __init__(self, shape: Sequence[int], size: Sequence[int]) -> None:
        self._shape, self._size = tuple(shape), tuple(size)
        self.grid = tuple(-(-n // s) for n, s in zip(shape, size, strict=True))
        """Number of boxes along each dimension."""

    def __len__(self) -> int:
        return math.prod(self.grid)

    def __getitem__(self, number: int) -> Box:  # type: ignore[override]  # no slices
        if not 0 <= number < len(self):
            raise IndexError(f"Box {number} of {len(self)}")
        return self.at(np.unravel_index(number, self.grid))

    def at(self, position: Sequence[int | np.integer]) -> Box:
        """The box at a position in `grid`."""
        return tuple(
            slice(int(i) * s, min((int(i) + 1) * s, n))
            for i, s, n in zip(position, self._size, self._shape, strict=True)
        )


def box_size(
    shape: Sequence[int],
    limit: int,
    pieces: Sequence[int] | None = None,
    least: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Size of boxes of at most about `limit` pixels, grown along the last axes first.

    Parameters
    ----------
    shape : sequence of int
        What is cut, in pixels.
    limit : int
        Pixels of a box, unless `least` or a piece has more.
    pieces : sequence of int, optional
        A box is made of whole pieces of this size, for example the chunks of a file.
    least : sequence of int, optional
        Size that a box has at least; by default one piece.
    """
    pieces = (1,) * len(shape) if pieces is None else pieces
    size = list(pieces if least is None else least)
    for axis in reversed(range(len(size))):
        others = math.prod(size) // size[axis]
        fits = limit // others // pieces[axis] * pieces[axis]
        size[axis] = min(shape[axis], max(size[axis], fits))
    return tuple(size)


def spans(size: int, step: int, *, merge_rest: bool = False) -> list[slice]:
    """Cut one axis into spans of `step` pixels.

    The last span is shorter, or with `merge_rest` longer, so that none is below `step`
    unless the axis is.
    """
    stop = max(size - step, 0) + 1 if merge_rest else size
    return [slice(a, b) for a, b in itertools.pairwise([*range(0, stop, step), size])]


def flush_starts(size: int, step: int) -> NDArray[np.int64]:
    """Starts of windows of exactly `step` pixels that cover an axis of `size`.

    The last window ends at the border, so it may overlap the one before.
    """
    return np.minimum(np.arange(0, size, step), size - step)
