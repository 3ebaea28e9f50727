"""Flips and rotations of patches in the YX plane, as views without a copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.config.transforms import Transform

_FLIP = 4
"""An operation is ``k + 4 * flipped``: flip along X, then rotate by ``k * 90`` degrees."""
OPERATIONS = 8
"""Number of operations."""


@dataclass(frozen=True)
class Augmentation:
    """Random flips and rotations, drawn for many patches at once."""

    transforms: Sequence[Transform]
    """Applied one after the other, independently; empty for none."""
    square: bool
    """Whether patches are square; others are never rotated by 90 or 270 degrees."""

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw one operation (0 to 7; 0 changes nothing) for each of `n`."""
        drawn: NDArray[np.int64] = np.zeros(n, np.int64)
        for transform in self.transforms:
            fit = [k for k in transform.operations if self.square or k % 2 == 0]
            if fit:
                happens = rng.random(n) < transform.p
                chosen = np.array(fit)[rng.integers(0, len(fit), n)]
                drawn = np.where(happens, _after(chosen, drawn), drawn)
        return drawn


def _after(second: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The operation equal to `first` followed by `second`."""
    # A flip reverses the rotation before it.
    turns = np.where(second >= _FLIP, second - first, second + first)
    flipped = (second >= _FLIP) ^ (first >= _FLIP)
    both: NDArray[np.int64] = turns % _FLIP + _FLIP * flipped
    return both


def transformed(patch: NDArray[Any], operation: int) -> NDArray[Any]:
    """A view of ``(..., Y, X)`` after an `operation` of `Augmentation` (0 to 7)."""
    if operation >= _FLIP:
        patch = patch[..., ::-1]
    match operation % _FLIP:
        case 1:
            return patch.swapaxes(-1, -2)[..., ::-1, :]
        case 2:
            return patch[..., ::-1, ::-1]
        case 3:
            return patch.swapaxes(-1, -2)[..., ::-1]
    return patch
