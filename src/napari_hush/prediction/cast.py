"""Cast results to the type of their source: round, clip, and count clipped pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.events import WarningIssued
from napari_hush.models.normalization import exact_float

if TYPE_CHECKING:
    from napari_hush.io import Image
    from napari_hush.models import Normalization


def result_dtype(image: Image, wish: Literal["float32", "source"]) -> np.dtype[Any]:
    """The dtype of the denoised `image`: float32, or its own ("source").

    Raises DataError if that is boolean.
    """
    if wish == "float32":
        return np.dtype(np.float32)
    own: np.dtype[Any] = np.dtype(image.data.dtype).newbyteorder("=")
    if own.kind == "b":
        raise DataError(
            f"{image.name} is boolean, which cannot hold intensities; leave the dtype of "
            "the result at 'float32'."
        )
    return own


def check_holds(dtype: np.dtype[Any], scaling: Normalization) -> None:
    """Raise a DataError if results of `scaling` are too small or large for `dtype`."""
    if dtype.kind != "f":
        return
    limits = np.finfo(dtype)
    for mean, scale in zip(scaling.means, scaling.scales, strict=True):
        if 0 < scale < float(limits.tiny) or abs(mean) + scale > float(limits.max):
            raise DataError(
                f"{dtype} cannot hold results of {mean:.3g} ± {scale:.3g}; choose another "
                "data type for them."
            )


_ROUGH = 0.05
"""Rounding from which to warn, in standard deviations of the training data."""


def rounding_warning(
    image: Image, dtype: np.dtype[Any], scaling: Normalization
) -> WarningIssued | None:
    """Warn if results of `dtype` are coarse where the pixels of `image` are not."""
    source = np.dtype(image.data.dtype)
    own = np.dtype(exact_float(source))
    wide = source.kind in "ui" and source.itemsize == 8  # computed as float64
    if not wide and (dtype.kind != "f" or own.itemsize <= dtype.itemsize):
        return None
    held = dtype if dtype.kind == "f" else np.dtype(np.float64)
    advice = "choose the data type of the source for the result"
    if held.itemsize == own.itemsize:
        advice = "subtract the smallest value from the image first"
    for mean, scale in zip(scaling.means, scaling.scales, strict=True):
        step = float(np.spacing(held.type(abs(mean))))
        if step > _ROUGH * scale and (scale > 0 or (wide and step > 1)):
            return WarningIssued(
                "intensities",
                f"The result of {image.name} is rounded to steps of {step:.3g}, as {held} "
                f"is near {mean:.3g}, but intensities vary by {scale:.3g} only; {advice}.",
            )
    return None


def put(place: NDArray[Any], result: NDArray[np.floating]) -> int:
    """Write `result` into `place`, clipped to its type, and rounded if that is integer.

    Returns the number of pixels that were clipped, i.e. outside the range of the type
    after rounding.
    """
    if np.can_cast(result.dtype, place.dtype):
        place[...] = result
        return 0
    if place.dtype.kind not in "ui":
        limit = result.dtype.type(np.finfo(place.dtype).max)
        place[...] = result.clip(-limit, limit)
        return int(np.count_nonzero(np.abs(result) > limit))
    # float64 holds every limit of 32-bit types. It rounds the upper limits of 64-bit types
    # up to a number that would wrap, so the next smaller one is the limit there.
    info = np.iinfo(place.dtype)
    low, high = float(info.min), float(info.max)
    if int(high) > info.max:
        high = float(np.nextafter(high, 0))
    rounded = np.rint(result.astype(np.float64))
    place[...] = rounded.clip(low, high)
    return int(np.count_nonzero((rounded < low) | (rounded > high)))
