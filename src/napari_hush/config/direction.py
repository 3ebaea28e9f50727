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
    from collections.abc import Callable, Sequence

_OPERATIONS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "mirroring along X": lambda y, x: (y, -x),
    "mirroring along Y": lambda y, x: (-y, x),
    "turning by 180 degrees": lambda y, x: (-y, -x),
    "turning by 90 degrees": lambda y, x: (x, -y),
}


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
    flip_x, flip_y, half, quarter = (name not in unfit for name in _OPERATIONS)
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
        if isinstance(transform, XYFlipConfig):
            does = [transform.flip_x, transform.flip_y, False, False]
        else:
            does = [False, False, True, not transform.half_turns_only]
        for name, done in zip(_OPERATIONS, does, strict=True):
            if done and name in unfit:
                return name
    return None


def _unfit(config: N2VManipulateConfig, dims: int) -> set[str]:
    hidden = set(config.hidden(dims))
    return {
        name
        for name, operation in _OPERATIONS.items()
        if {(*rest, *operation(y, x)) for *rest, y, x in hidden} != hidden
    }
