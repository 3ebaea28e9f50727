"""Results in the type of their source: rounded, clipped, and the clipping counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_hush.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.io import Image


def result_dtype(image: Image, wish: Literal["float32", "source"]) -> np.dtype[Any]:
    """The type of the denoised `image`: float32, or its own.

    Raises
    ------
    DataError
        If it should be its own and that is boolean, which holds no intensities.
    """
    if wish == "float32":
        return np.dtype(np.float32)
    own: np.dtype[Any] = np.dtype(image.data.dtype).newbyteorder("=")
    if own.kind == "b":
        raise DataError(
            f"{image.name} is boolean, which cannot hold what becomes of it; leave the "
            "dtype of the result at 'float32'."
        )
    return own


def put(place: NDArray[Any], result: NDArray[np.float32]) -> int:
    """Write `result` into `place`; rounded and clipped if that is of integers.

    Returns
    -------
    int
        How many pixels were clipped: those that after rounding are outside of what the
        type can hold.
    """
    if place.dtype.kind not in "ui":
        place[...] = result
        return 0
    # float64 has every limit of 32 bits; the upper ones of 64 bits it rounds up to a
    # number that would wrap, so there the next smaller one is the limit.
    info = np.iinfo(place.dtype)
    low, high = float(info.min), float(info.max)
    if int(high) > info.max:
        high = float(np.nextafter(high, 0))
    rounded = np.rint(result.astype(np.float64))
    place[...] = rounded.clip(low, high)
    return int(np.count_nonzero((rounded < low) | (rounded > high)))
