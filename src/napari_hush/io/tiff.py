"""TIFF files in and out, with their axes and pixel sizes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_hush.axes import validate_axes
from napari_hush.errors import DataError, ExistingFileError, UnreadableFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file needs the BigTIFF layout."""


def read_tiff(path: Path) -> NDArray[Any]:
    """Read the pixels of the first image series of a TIFF file, in the file's axes.

    Raises
    ------
    UnreadableFileError
        If the file is no TIFF or is damaged.
    """
    return _read_series(path)[0]


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
    array, axes = _read_series(Path(path))
    if "C" not in axes:
        axes = axes.replace("S", "C")
    if set(axes) - set("TCZYX") or len(set(axes)) != len(axes):
        raise DataError(
            f"{str(path)!r} has shape {array.shape}, but its metadata do not say what "
            f"these dimensions are (they say {axes!r}); name the axes, for example "
            f"{'STCZYX'[-array.ndim :]!r}."
        )
    return array, validate_axes(axes)


def write_tiff(
    path: str | Path,
    array: NDArray[Any],
    axes: str,
    *,
    overwrite: bool = False,
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

    Raises
    ------
    ExistingFileError
        If there is a file of that name and `overwrite` is off.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; choose another name or allow it "
            "to be replaced."
        )
    axes = validate_axes(axes)
    imagej = array.dtype.name in _IMAGEJ_TYPES and array.nbytes < _BIG
    if imagej:
        array, axes = _to_hyperstack(array, axes), _IMAGEJ_AXES
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        tifffile.imwrite(
            part,
            array,
            imagej=imagej,
            bigtiff=array.nbytes >= _BIG,
            photometric="minisblack",
            metadata={"axes": axes},
        )
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _read_series(path: Path) -> tuple[NDArray[Any], str]:
    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            return series.asarray(), series.axes
    except MemoryError:
        raise
    except Exception as error:  # tifffile raises many kinds on damaged files
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a TIFF file ({error}); replace it or take "
            "it out of the data."
        ) from error


def _to_hyperstack(array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Reorder to ``(T, Z, C, Y, X)``; S goes before T."""
    order = [axes.index(letter) for letter in "STZCYX" if letter in axes]
    size = dict(zip(axes, array.shape, strict=True))
    frames = size.get("S", 1) * size.get("T", 1)
    shape = (frames, *(size.get(letter, 1) for letter in "ZCYX"))
    return np.ascontiguousarray(array.transpose(order)).reshape(shape)
