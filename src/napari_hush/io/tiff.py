"""TIFF files in and out, with their axes and pixel sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_hush.axes import validate_axes
from napari_hush.errors import DataError, ExistingFileError
from napari_hush.io.metadata import ImageMetadata, convert
from napari_hush.io.record import record_metadata
from napari_hush.io.tiff_pixels import TiffPixels
from napari_hush.writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file needs the BigTIFF layout."""


def read_tiff(path: str | Path) -> NDArray[Any]:
    """Read the pixels of the first image series of a TIFF file, in the file's axes.

    Raises
    ------
    UnreadableFileError
        If the file is no TIFF or is damaged.
    """
    return TiffPixels(path)[...]


def read_image(path: str | Path) -> tuple[NDArray[Any], str]:
    """Read a TIFF file and the axes that its metadata name.

    Returns
    -------
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters out of S, T, C, Z, Y, X; the colours of an RGB image are C.

    Raises
    ------
    UnreadableFileError
        If the file is no TIFF or is damaged.
    DataError
        If its metadata do not say what its dimensions are.
    """
    pixels = TiffPixels(path)
    axes = pixels.layout.metadata.axes
    if axes is None:
        raise DataError(
            f"{str(path)!r} has shape {pixels.shape}, but its metadata do not say what "
            f"these dimensions are (they say {pixels.layout.named!r}); name the axes, for "
            f"example {'STCZYX'[-pixels.ndim :]!r}."
        )
    return pixels[...], validate_axes(axes)


def write_tiff(
    path: str | Path,
    array: NDArray[Any],
    axes: str,
    *,
    overwrite: bool = False,
    scale: Mapping[str, float] | None = None,
    units: Mapping[str, str] | None = None,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """Write an array with its axes, as an ImageJ hyperstack where ImageJ has its type.

    Parameters
    ----------
    path : str or Path
        Where to write; the file appears under this name only once it is whole.
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters out of S, T, C, Z, Y, X. ImageJ has no S; it is written as T, or, where
        there is a T already, S and T are joined. Other types keep their axes as they are.
    overwrite : bool
        Replace a file of that name.
    scale : mapping of str to float, optional
        Size of one step along an axis, by letter.
    units : mapping of str to str, optional
        Unit of that size, by letter. ImageJ has one unit for Y, X and Z, that of X, and
        seconds for T; others are converted. Where that cannot be done, the file is none
        for ImageJ and keeps axes, sizes and units as they are.
    record : mapping, optional
        How the image came about, fit for JSON; ImageJ shows it as the image's info, and
        `read_record` reads it back.

    Raises
    ------
    ExistingFileError
        If there is a file of that name and `overwrite` is off.
    UnwritableFileError
        If it cannot be written: disk full, folder read-only, and so on.
    """
    path = Path(path)
    sizes = ImageMetadata.of(None, scale or {}, units or {})
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; choose another name or allow it "
            "to be replaced."
        )
    axes = validate_axes(axes)
    hyperstack = None
    if array.dtype.name in _IMAGEJ_TYPES and array.nbytes < _BIG:
        hyperstack = _imagej_sizes(sizes)
    if hyperstack is not None:
        array, axes = _to_hyperstack(array, axes), _IMAGEJ_AXES
        resolution, known = hyperstack
    else:
        resolution = None
        known = {"scale": sizes.scale, "units": sizes.units} if sizes.scale else {}
    if record is not None:
        known |= record_metadata(record, imagej=hyperstack is not None)
    with whole_file(path) as part:
        tifffile.imwrite(
            part,
            array,
            imagej=hyperstack is not None,
            bigtiff=array.nbytes >= _BIG,
            photometric="minisblack",
            resolution=resolution,
            metadata={"axes": axes, **known},
        )
    return path


def _imagej_sizes(
    sizes: ImageMetadata,
) -> tuple[tuple[float, float] | None, dict[str, Any]] | None:
    """Pixels per unit along X and Y, and what else ImageJ wants; None if it cannot say."""
    scale, units = sizes.scale, sizes.units
    flat = [a for a in "XY" if a in scale]
    unit = units.get(flat[0], "") if flat else ""
    try:
        size = {a: convert(scale[a], units.get(a, unit), unit) for a in "XYZ" if a in scale}
        frame = convert(scale["T"], units.get("T", ""), "second") if "T" in scale else None
    except ValueError:  # ImageJ has one unit of length, and seconds
        return None
    known: dict[str, Any] = {"spacing": size.get("Z"), "finterval": frame}
    known["unit"] = "micron" if unit == "micrometer" else unit or None
    resolution = (1 / size[flat[0]], 1 / size[flat[-1]]) if flat else None
    return resolution, {key: value for key, value in known.items() if value is not None}


def _to_hyperstack(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Reorder to ``(T, Z, C, Y, X)``; S goes before T."""
    order = [axes.index(letter) for letter in "STZCYX" if letter in axes]
    size = dict(zip(axes, array.shape, strict=True))
    frames = size.get("S", 1) * size.get("T", 1)
    shape = (frames, *(size.get(letter, 1) for letter in "ZCYX"))
    return np.ascontiguousarray(array.transpose(order)).reshape(shape)
