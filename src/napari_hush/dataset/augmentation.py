"""Mirroring and turning patches in the YX plane.

Each operation is a view, so it costs nothing beyond the copy into the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.config import XYFlipConfig, XYRandomRotate90Config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_MIRROR = 4
"""An operation is ``k + 4 * mirrored``: mirror along X, then turn by ``k * 90`` degrees."""
OPERATIONS = 8
"""How many operations there are."""


@dataclass(frozen=True)
class Augmentation:
    """Random mirroring and turning, drawn for many patches at once.

    Attributes
    ----------
    transforms : sequence of XYFlipConfig or XYRandomRotate90Config
        Applied independently of each other; empty for none.
    square : bool
        Whether patches are square; others are only ever turned by 180 degrees.
    """

    transforms: Sequence[XYFlipConfig | XYRandomRotate90Config]
    square: bool

    def draw(self, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw one operation (0 to 7, 0 leaves a patch as it is) for each of `n`."""
        turns = np.zeros(n, np.int64)
        mirrored = np.zeros(n, np.int64)
        for transform in self.transforms:
            happens = rng.random(n) < transform.p
            if isinstance(transform, XYFlipConfig):
                along_y = rng.random(n) < _share_of_y(transform)
                mirrored |= happens
                # Mirroring along Y is mirroring along X, then a half turn.
                turns += 2 * (happens & along_y)
            else:
                quarters = self.square and not transform.half_turns_only
                turns += happens * (rng.integers(1, 4, n) if quarters else 2)
        return turns % 4 + _MIRROR * mirrored


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


def _share_of_y(flip: XYFlipConfig) -> float:
    """Among mirrored patches, the share mirrored along Y rather than X."""
    if flip.flip_x and flip.flip_y:
        return 0.5
    return 1.0 if flip.flip_y else 0.0
