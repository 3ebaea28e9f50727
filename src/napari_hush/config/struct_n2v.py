"""Which ways of mirroring and turning leave the direction of the noise as it is.

structN2V hides the neighbours that share a pixel's noise. A patch that is turned shows the
network noise of another direction, which is no longer hidden; so only those operations
are fit that map what is hidden onto itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.config.transforms import (
    N2VManipulateConfig,
    Transform,
    XYFlipConfig,
    XYRandomRotate90Config,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = (
    "nothing",
    "turning by 90 degrees",
    "turning by 180 degrees",
    "turning by 270 degrees",
    "mirroring along X",
    "mirroring along a diagonal",
    "mirroring along Y",
    "mirroring along a diagonal",
)
"""What the operations of a transform do, by their numbers."""


def fitting_transforms(config: N2VManipulateConfig, dims: int) -> list[Transform]:
    """The most mirroring and turning that keeps the noise where it is hidden.

    Parameters
    ----------
    config : N2VManipulateConfig
        What is hidden; without structN2V everything fits.
    dims : {2, 3}
        Of the images.
    """
    unfit = _unfit(config, dims)
    fitting: list[Transform] = []
    quarter, half, flip_x, flip_y = (number not in unfit for number in (1, 2, 4, 6))
    if flip_x or flip_y:
        fitting.append(XYFlipConfig(flip_x=flip_x, flip_y=flip_y))
    if half:
        fitting.append(XYRandomRotate90Config(half_turns_only=not quarter))
    return fitting


def turned_noise(
    config: N2VManipulateConfig, dims: int, transforms: Sequence[Transform]
) -> str | None:
    """What among `transforms` would turn noise out of what is hidden; None if nothing."""
    unfit = _unfit(config, dims)
    for transform in transforms:
        for number in transform.operations:
            if number in unfit:
                return _NAMES[number]
    return None


def _unfit(config: N2VManipulateConfig, dims: int) -> set[int]:
    hidden = set(config.hidden(dims))
    return {
        number
        for number in range(len(_NAMES))
        if {(*rest, *_moved(number, y, x)) for *rest, y, x in hidden} != hidden
    }


def _moved(number: int, y: int, x: int) -> tuple[int, int]:
    """Where an operation takes an offset."""
    mirrored, turns = divmod(number, 4)
    if mirrored:
        x = -x
    for _ in range(turns):
        y, x = -x, y
    return y, x
