"""TIFF files in and out, with their axes and pixel sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import DataError, ExistingFileError
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.results import ResultImage
from napari_hush.io.tiff_form import TiffForm, tiff_form
from napari_hush.io.tiff_pixels import TiffPixels
from napari_hush.writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


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
    """Write an array with its axes, as ImageJ hyperstack, OME-TIFF or plain TIFF.

    Which of them, `tiff_form` says: ImageJ's where it can, else OME's where it can.

    Parameters
    ----------
    path : str or Path
        Where to write; the file appears under this name only once it is whole.
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters out of S, T, C, Z, Y, X. ImageJ has no S; it is written as T, or, where
        there is a T already, S and T are joined. Plain TIFF keeps the axes as they are.
    overwrite : bool
        Replace a file of that name.
    scale : mapping of str to float, optional
        Size of one step along an axis, by letter.
    units : mapping of str to str, optional
        Unit of that size, by letter. ImageJ has one unit for Y, X and Z, that of X, and
        seconds for T; others are converted. Where that cannot be done, the file is none
        for ImageJ and keeps sizes and units as they are.
    record : mapping, optional
        How the image came about, fit for JSON; ImageJ shows it as the image's info, OME
        as its description, and `read_record` reads it back.

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
    image = ResultImage(AxesMap(axes, array.shape), array.dtype, sizes, record)
    form = tiff_form(path, image)
    with whole_file(path) as part:
        tifffile.imwrite(
            part,
            _turned(array, image.axes, form),
            **form.file,
            **form.page,
        )
    return path


def _turned(array: NDArray[Any], axes: AxesMap, form: TiffForm) -> NDArray[Any]:
    """The pixels in the order of the file, S and T as one where it has no S."""
    if form.axes == axes.axes:
        return array
    canonical = axes.to_canonical(array)
    if canonical.ndim == 4:
        canonical = canonical[:, :, None]
    kept = ["TCZYX".index(a) for a in form.axes]
    left = [i for i in range(5) if i not in kept]  # of size 1
    return np.ascontiguousarray(canonical.transpose(kept + left)).reshape(form.shape)
