"""A sample of the pixels of an image, which may be larger than memory."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import flush_starts
from napari_hush.errors import DataError

if TYPE_CHECKING:
    from napari_hush.io import Image

Floats = NDArray[np.float64]

MOST_PIXELS = 2**24
"""Largest number of pixels read, channels included."""
SMALLEST = 16
"""Smallest size of an image along Y and X, in pixels."""

_BLOCK = 32  # side of the blocks that are compared, in pixels
_TILE = 1024  # side of the regions that are read
_SLAB = 8  # planes that are read together, for the correlation along Z
_MOST_BLOCKS = 1024
_ROUNDING = 2e-15  # of float64, relative to the largest pixel


def read_regions(
    image: Image, seed: int = 0, most: int = MOST_PIXELS
) -> list[NDArray[Any]]:
    """Read regions ``(C, Z, Y, X)`` of one shape; the whole image if it is small.

    They are those of `choose_regions`; Z is 1 without Z.

    Raises
    ------
    DataError
        If the image is smaller than 16 pixels along Y or X, or a pixel is not finite.
    """
    regions = []
    for number, *box in choose_regions(image, seed, most):
        region = np.asarray(image.samples[number][(slice(None), *box)])
        if region.dtype.kind == "f" and not np.isfinite(region).all():
            raise DataError(
                f"{image.name} has NaN or infinite pixels; crop them, or replace them "
                "with numpy.nan_to_num(pixels, posinf=0, neginf=0)."
            )
        regions.append(region if region.ndim == 4 else region[:, None])
    return regions


def choose_regions(
    image: Image, seed: int = 0, most: int = MOST_PIXELS
) -> list[tuple[Any, ...]]:
    """Choose regions of one shape: the number of a sample and slices ``((Z), Y, X)``.

    They have at most `most` pixels, channels included, but at least one is chosen: of one
    plane of 64 x 64 pixels if there are that many channels.

    Raises
    ------
    DataError
        If the image is smaller than 16 pixels along Y or X.
    """
    samples = image.samples
    channels, *spatial = samples[0].shape
    if min(spatial[-2:]) < SMALLEST:
        raise DataError(
            f"{image.name} is {spatial[-2]} x {spatial[-1]} pixels, too small to measure "
            f"noise; give an image of at least {SMALLEST} x {SMALLEST} pixels."
        )
    side = min(_TILE, max(math.isqrt(most) // 4, _BLOCK))
    size = [_fair(spatial[-2], side), _fair(spatial[-1], side)]
    if len(spatial) == 3:
        size.insert(0, min(spatial[0], _SLAB))
    least = [1] * (len(size) - 2) + [min(n, 2 * _BLOCK) for n in size[-2:]]
    for axes in (slice(-2, None), slice(-2)):  # fewer planes only where nothing else helps
        while channels * math.prod(size) > most and size[axes] != least[axes]:
            size[axes] = [
                max(n // 2, low) for n, low in zip(size[axes], least[axes], strict=True)
            ]
    starts = [flush_starts(n, step).tolist() for n, step in zip(spatial, size, strict=True)]
    places = list(itertools.product(range(len(samples)), *starts))
    number = max(1, most // (channels * math.prod(size)))
    if len(places) > number:
        drawn = np.random.default_rng(seed).choice(len(places), number, replace=False)
        places = [places[i] for i in sorted(drawn)]
    return [
        (number, *(slice(a, a + n) for a, n in zip(corner, size, strict=True)))
        for number, *corner in places
    ]


def cut_blocks(regions: list[NDArray[Any]], channel: int, seed: int = 0) -> Floats:
    """Cut one channel of the regions into blocks ``(n, Z, side, side)``, 1024 at most.

    The side is 32 pixels, or that of the region if it is smaller.
    """
    _, depth, *plane = regions[0].shape
    side = min(_BLOCK, *plane)
    places = [
        (number, y, x)
        for number in range(len(regions))
        for y in range(0, plane[0] - side + 1, side)
        for x in range(0, plane[1] - side + 1, side)
    ]
    limit = max(_MOST_BLOCKS // depth, 64)
    if len(places) > limit:
        drawn = np.random.default_rng(seed).choice(len(places), limit, replace=False)
        places = [places[i] for i in sorted(drawn)]
    return np.stack(
        [regions[number][channel, :, y : y + side, x : x + side] for number, y, x in places]
    ).astype(np.float64)


def rounding(dtype: np.dtype[Any]) -> float:
    """Relative difference of pixels of `dtype` that may be due to rounding, not noise."""
    own = float(np.finfo(dtype).eps) if dtype.kind == "f" else 0.0
    return max(own, _ROUNDING)


def _fair(size: int, most: int) -> int:
    """Side of equal tiles of about `most` pixels or fewer."""
    return math.ceil(size / math.ceil(size / most))
