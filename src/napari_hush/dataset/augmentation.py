"""Mirroring and turning patches in the YX plane.

Each operation is a view, so it costs nothing beyond the copy into the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_hush.config.transforms import Transform

_MIRROR = 4
"""An operation is ``k + 4 * mirrored``: mirror along X, then turn by ``k * 90`` degrees."""
OPERATIONS = 8
"""How many operations there are."""


@dataclass(frozen=True)
class Augmentation:
    """Random mirroring and turning, drawn for many patches at once.

    Attributes
    ----------
    transforms : sequence of transform configurations
        Applied one after the other, independently; empty for none.
    square : bool
        Whether patches are square; others get no operation that exchanges Y and X.
    """

    transforms: Sequence[Transform]
    square: bool

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw one operation (0 to 7, 0 leaves a patch as it is) for each of `n`."""
        drawn: NDArray[np.int64] = np.zeros(n, np.int64)
        for transform in self.transforms:
            fit = [k for k in transform.operations if self.square or k % 2 == 0]
            if fit:
                happens = rng.random(n) < transform.p
                chosen = np.array(fit)[rng.integers(0, len(fit), n)]
                drawn = np.where(happens, _after(chosen, drawn), drawn)
        return drawn


def _after(second: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """The operation that does what `first` and then `second` do."""
    # A turn that is mirrored afterwards goes the other way round.
    turns = np.where(second >= _MIRROR, second - first, second + first)
    mirrored = (second >= _MIRROR) ^ (first >= _MIRROR)
    both: NDArray[np.int64] = turns % _MIRROR + _MIRROR * mirrored
    return both


def turned(patch: NDArray[Any], operation: int) -> NDArray[Any]:
    """A view of ``(..., Y, X)`` with one `operation` of `Augmentation` (0 to 7) done."""
    if operation >= _MIRROR:
        patch = patch[..., ::-1]
    match operation % _MIRROR:
        case 1:
            return patch.swapaxes(-1, -2)[..., ::-1, :]
        case 2:
            return patch[..., ::-1, ::-1]
        case 3:
            return patch.swapaxes(-1, -2)[..., ::-1]
    return patch
