"""A bounded look at an image that may be far larger than memory."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.boxes import flush_starts
from napari_hush.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.io import Image

    Floats = NDArray[np.float32]

MOST_PIXELS = 2**24
"""How many pixels of an image are looked at, channels included."""
SMALLEST = 16
"""Least size of an image along Y and X, in pixels."""

_BLOCK = 32  # side of the blocks that are compared, in pixels
_TILE = 1024  # side of the regions that are read
_SLAB = 8  # planes that are read together, to see what neighbours along Z share
_MOST_BLOCKS = 1024


def read_regions(
    image: Image, seed: int = 0, most: int = MOST_PIXELS
) -> list[NDArray[Any]]:
    """Read regions of an image, all of it if it is small enough.

    Parameters
    ----------
    image : Image
        At least 16 pixels along Y and X; it may be on disk.
    seed : int
        The same seed gives the same regions.
    most : int
        How many pixels to read at most, channels included; the fewer, the smaller the
        regions.

    Returns
    -------
    list of ndarray
        ``(C, Z, Y, X)`` each, all of one shape, in the image's dtype; Z is 1 without Z.

    Raises
    ------
    DataError
        If the image is too small, or pixels are not finite.
    """
    samples = image.samples
    channels, *spatial = samples[0].shape
    if min(spatial[-2:]) < SMALLEST:
        raise DataError(
            f"{image.name} is {spatial[-2]} x {spatial[-1]} pixels; noise can be judged "
            f"from {SMALLEST} x {SMALLEST} pixels on."
        )
    side = min(_TILE, max(math.isqrt(most) // 4, _BLOCK))
    size = [_fair(spatial[-2], side), _fair(spatial[-1], side)]
    if len(spatial) == 3:
        size.insert(0, min(spatial[0], _SLAB))
    while channels * math.prod(size) > most and max(size[-2:]) > 2 * _BLOCK:
        size[-2:] = [max(n // 2, min(n, 2 * _BLOCK)) for n in size[-2:]]
    starts = [flush_starts(n, step).tolist() for n, step in zip(spatial, size, strict=True)]
    places = list(itertools.product(range(len(samples)), *starts))
    number = max(1, most // (channels * math.prod(size)))
    if len(places) > number:
        drawn = np.random.default_rng(seed).choice(len(places), number, replace=False)
        places = [places[i] for i in sorted(drawn)]
    regions = []
    for number, *corner in places:
        box = [slice(a, a + n) for a, n in zip(corner, size, strict=True)]
        region = np.asarray(samples[number][(slice(0, channels), *box)])
        if region.dtype.kind == "f" and not np.isfinite(region).all():
            raise DataError(
                f"{image.name} has NaN or infinite pixels; replace them before training."
            )
        regions.append(region if region.ndim == 4 else region[:, None])
    return regions


def cut_blocks(regions: list[NDArray[Any]], channel: int, seed: int = 0) -> Floats:
    """Cut one channel of the regions into square blocks, as many as are of use.

    Parameters
    ----------
    regions : list of ndarray
        As `read_regions` gives them.
    channel : int
        Which channel.
    seed : int
        The same seed gives the same blocks.

    Returns
    -------
    ndarray
        ``(n, Z, side, side)`` float32, the side 32 pixels, or what there is.
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
    ).astype(np.float32)


def _fair(size: int, most: int) -> int:
    """Side of equal tiles of at most about `most` pixels."""
    return math.ceil(size / math.ceil(size / most))
