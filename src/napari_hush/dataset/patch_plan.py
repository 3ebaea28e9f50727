"""The patch plan: places of the training and validation windows.

A window is a row of integers ``(image, *corner)``; a plan is an array of them. Windows lie
side by side, and the last one along an axis ends at the border, so every pixel is in a
window and only the last two along an axis can overlap. For patches of 4 x 4 pixels, a first
image of 4 x 10 (Y, X) and a second one of 8 x 4, the plan is::

    0  0 0      the corners in X are 0, 4 and 6, so that the last window
    0  0 4      ends at the border, pixel 10
    0  0 6
    1  0 0      the second image has windows at Y = 0 and 4
    1  4 0
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import flush_starts
from napari_hush.config.data import fitting_patch
from napari_hush.errors import DataError, counted

if TYPE_CHECKING:
    from napari_hush.io import Image

Windows = NDArray[np.int64]


def require_room(
    images: Sequence[Image], patch_size: tuple[int, ...], letters: str, step: int
) -> None:
    """Raise a DataError if an image is smaller than a patch along one of the `letters`.

    The message names the largest patch for all images, a multiple of `step` along Y and X.
    """
    steps = [1 if axis == "Z" else step for axis in letters]
    shapes = [image.axes.canonical_shape[2:] for image in images]
    for shape, image in zip(shapes, images, strict=True):
        for letter, size, patch in zip(letters, shape, patch_size, strict=True):
            if size < patch:
                fits = [
                    fitting_patch(shape, patch_size, steps, image.name)
                    for shape, image in zip(shapes, images, strict=True)
                ]
                most = " ".join(map(str, map(min, *fits, patch_size)))
                raise DataError(
                    f"A patch is {patch} pixels along {letter} but {image.name} has only "
                    f"{size}; use a patch size of at most {most}, or larger images."
                )


def grid(shapes: Sequence[tuple[int, ...]], patch_size: tuple[int, ...]) -> Windows:
    """All windows ``(n, 1 + spatial)`` of all images, in order: image, corner.

    The `shapes` are ``(C, (Z), Y, X)``, not smaller than the `patch_size` ((Z), Y, X).
    """
    parts = [np.empty((0, 1 + len(patch_size)), np.int64)]
    for position, (_, *spatial) in enumerate(shapes):
        axes = [flush_starts(n, p) for n, p in zip(spatial, patch_size, strict=True)]
        corners = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
        corners = corners.reshape(-1, corners.shape[-1])
        image = np.full((len(corners), 1), position)
        parts.append(np.hstack([image, corners]))
    return np.concatenate(parts).astype(np.int64)


def split(
    windows: Windows,
    patch_size: tuple[int, ...],
    percentage: float,
    minimum: int,
    rng: np.random.Generator,
    most: int = sys.maxsize,
) -> tuple[Windows, Windows]:
    """Draw windows for validation so that no pixel is in both parts; training comes first.

    Windows that overlap stay together. About ``max(round(n * percentage), minimum)``
    windows are drawn, or none where that would leave nothing to train on; if these are more
    than `most`, at most so many, evenly spread. Raises a DataError if `percentage` (0 to 1)
    or `minimum` is out of range.
    """
    total = len(windows)
    _check_split(percentage, minimum)
    if minimum > total:
        raise DataError(
            f"val_minimum_split is {minimum} but the data hold {counted(total, 'patch')}; "
            f"give at most {total}, or use smaller patches."
        )
    wanted = max(round(total * percentage), minimum)
    groups = _overlapping(windows, patch_size)
    chosen: list[int] = []
    order = rng.permutation(groups.max() + 1)
    sizes = np.bincount(groups)
    limited = wanted > most
    if limited:
        wanted = most
        spread = evenly(len(sizes), max(1, len(sizes) * most // total), rng)
        order = np.concatenate([rng.permutation(spread), order])
    taken = 0
    # Groups are drawn whole. The first pass takes those that do not exceed the number
    # wanted; if they are too few, the second one adds a single group that does.
    for exact in (True, False):
        for group in order:
            if taken >= wanted or (limited and chosen and not exact):
                break
            if sizes[group] and (not exact or sizes[group] <= wanted - taken):
                if taken + sizes[group] >= total:
                    continue
                chosen.append(int(group))
                taken += int(sizes[group])
                sizes[group] = 0
    validation = np.isin(groups, chosen)
    return windows[~validation], windows[validation][:most]


def evenly(total: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `count` numbers below `total`, ascending, one from each of as many parts."""
    count = min(count, total)
    bounds = np.arange(count + 1) * total // max(count, 1)
    return bounds[:-1] + (rng.random(count) * np.diff(bounds)).astype(np.int64)


def set_aside(
    total: int,
    percentage: float,
    minimum: int,
    rng: np.random.Generator,
    *,
    files: bool,
    most: int = sys.maxsize,
) -> set[int]:
    """Draw numbers of whole files, or of blocks of a single file, for validation.

    They are not more than `most`. Blocks are fewer than `minimum` where the file has few;
    one is left for training. Raises a DataError if `percentage` or `minimum` is out of
    range, or no file is left for training.
    """
    _check_split(percentage, minimum)
    wanted = min(max(round(total * percentage), minimum), most)
    if not files:
        wanted = min(wanted, total - 1, max(1, round(total * percentage)))
    elif wanted >= total:
        raise DataError(
            f"{wanted} of {counted(total, 'file')} would be set aside for validation, so "
            "that none is left to train on; give more files, a smaller val_percentage or "
            "val_minimum_split, or separate validation data."
        )
    return set(rng.permutation(total)[:wanted].tolist())


def by_image(windows: Windows) -> dict[int, NDArray[np.int64]]:
    """Group windows by image: their corners ``(n, spatial)``."""
    owners = windows[:, 0]
    return {int(image): windows[owners == image, 1:] for image in np.unique(owners)}


def _check_split(percentage: float, minimum: int) -> None:
    if not (isinstance(percentage, Real) and 0 <= percentage <= 1):
        raise DataError(f"val_percentage is {percentage!r}; give a share between 0 and 1.")
    if not (isinstance(minimum, Integral) and minimum >= 0):
        raise DataError(
            f"val_minimum_split is {minimum!r}; give a whole number, 0 or more."
        )


def _overlapping(windows: Windows, patch_size: tuple[int, ...]) -> NDArray[np.int64]:
    """Number the groups of windows that share pixels, ``(n,)``.

    Along an axis only the last window can overlap the one before, and then both corners
    round down to the same multiple of the patch size.
    """
    keys = windows.copy()
    for axis, patch in enumerate(patch_size):
        keys[:, 1 + axis] //= patch
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    return groups.reshape(-1).astype(np.int64)
