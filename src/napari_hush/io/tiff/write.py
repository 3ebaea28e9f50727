"""Writing TIFF files with axes and pixel sizes, and reading them whole."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import DataError, UnwritableFileError
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.results.output import ResultImage, damaged, placed
from napari_hush.io.tiff.form import TiffForm, tiff_forms
from napari_hush.io.tiff.layout import layout_of, only_image
from napari_hush.io.tiff.read import TiffPixels
from napari_hush.system.atomic_write import refuse_existing, whole_file
from napari_hush.system.memory import format_bytes

if TYPE_CHECKING:
    from napari_hush.io.lazy import Bounds


def read_tiff(path: str | Path, series: int | None = None) -> NDArray[Any]:
    """Read the only image of a TIFF file, or one of its series, in the axes of the file.

    Raises the errors of `read_image`, but for axes without names.
    """
    return TiffPixels(only_image(Path(path), series))[...]


def read_image(path: str | Path, series: int | None = None) -> tuple[NDArray[Any], str]:
    """Read an image of a TIFF file and its axes.

    Parameters
    ----------
    path : str or Path
        The file, or one image of it such as ``"run.tif#2"``.
    series : int, optional
        Number of the series if the file holds several, from 0.

    Returns
    -------
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters of S, T, C, Z, Y, X; the colors of an RGB image are C.

    Raises
    ------
    UnreadableFileError
        If the file is no TIFF or is damaged.
    DataError
        If it holds several images and none is chosen, the image is incomplete, or its
        metadata do not name all dimensions.
    """
    pixels = TiffPixels(only_image(Path(path), series))
    axes = pixels.layout.metadata.axes
    if axes is None:
        raise DataError(
            f"{str(path)!r} has shape {pixels.shape} but its metadata do not name these "
            f"dimensions ({pixels.layout.named!r}); use open_images and name the axes, for "
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
    channels: Sequence[str] = (),
    position: Mapping[str, float] | None = None,
) -> Path:
    """Write an array as ImageJ hyperstack if possible, else OME-TIFF, else plain TIFF.

    Parameters
    ----------
    path : str or Path
        The file, which appears under this name once it is complete.
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters of S, T, C, Z, Y, X. ImageJ has no S, which is joined with T; plain TIFF
        keeps the axes.
    overwrite : bool
        Replace an existing file.
    scale : mapping of str to float, optional
        Size of one step along an axis, by letter.
    units : mapping of str to str, optional
        Unit of that size, by letter. ImageJ has one unit for X, Y and Z, and seconds for
        T; units that cannot be converted are written to another kind of file.
    record : mapping, optional
        Provenance, ready for JSON; shown by ImageJ as info and by OME as description, and
        returned by `read_record`.
    channels : sequence of str, optional
        Names of all channels, in order.
    position : mapping of str to float, optional
        Place of the first pixel along Z, Y and X, in the unit of its scale, by letter.

    Raises
    ------
    DataError
        If there is another number of channels.
    ExistingFileError
        If the file exists and `overwrite` is off.
    UnwritableFileError
        If it cannot be written: disk full, folder read-only, and so on.
    """
    path = Path(path)
    sizes = ImageMetadata.of(
        None, scale or {}, units or {}, channels=[*channels], position=position
    )
    refuse_existing(path, overwrite)
    image = ResultImage(AxesMap(axes, array.shape), array.dtype, sizes, record)
    if len(sizes.channels) not in (0, image.axes.canonical_shape[1]):
        raise DataError(
            f"{len(channels)} channel names were given for an image with "
            f"{image.axes.canonical_shape[1]} channels; give one for each channel."
        )
    form = next(tiff_forms(path, image))
    with whole_file(path) as part:
        tifffile.imwrite(part, _turned(array, image.axes, form), **form.file, **form.page)
    return path


def _turned(array: NDArray[Any], axes: AxesMap, form: TiffForm) -> NDArray[Any]:
    """The pixels in the axes of the file."""
    if form.axes == axes.axes:
        return array
    canonical = axes.to_canonical(array)
    if canonical.ndim == 4:
        canonical = canonical[:, :, None]
    kept = ["TCZYX".index(a) for a in form.axes]
    left = [i for i in range(5) if i not in kept]  # of size 1
    return np.ascontiguousarray(canonical.transpose(kept + left)).reshape(form.shape)


class TiffResult:
    """An uncompressed TIFF file that is written by region.

    It is no memory map, which would end the process when the disk is full. The name of
    `target` selects the kind of file.
    """

    block: tuple[int, ...] | None = None

    def __init__(self, image: ResultImage, target: Path) -> None:
        self._forms = [*tiff_forms(target, image)]
        self._form = self._forms[0]
        self.axes = self._form.axes
        self._image = image
        self._offset = 0
        self._file: FileIO | None = None

    def begin(self, path: Path) -> None:
        """Create the file in its full size; UnwritableFileError if the disk is too full."""
        form = self._form
        _require_space(path, self._image.nbytes)
        with tifffile.TiffWriter(path, **form.file) as file:
            file.write(shape=form.shape, dtype=self._image.dtype, **form.page)
        self.reopen(path)

    def reopen(self, path: Path, *, alone: bool = True) -> None:
        """Open an unfinished file; see `Result`."""
        layout = layout_of(path)
        if layout.chunks is not None or layout.stored != self._image.dtype:
            raise damaged(path)
        # A file of an earlier version may be of another kind.
        there = _sides(layout.metadata.axes or "", layout.shape)
        fitting = [form for form in self._forms if _sides(form.axes, form.shape) == there]
        if not fitting:
            raise damaged(path)
        self._form = fitting[0]
        self.axes = self._form.axes
        self._offset = int(layout.offsets[0, 0])
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115  (see close)

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write a region; see `Result`."""
        assert self._file is not None  # noqa: S101  (begin or reopen comes first)
        form, dtype = self._form, self._image.dtype
        bounds, box = placed(form.axes, form.shape, sample, inner, pixels)
        for start, run in runs(form.shape, bounds, np.ascontiguousarray(box, dtype)):
            left = run.view(np.uint8).data
            self._file.seek(self._offset + start * dtype.itemsize)
            while left:
                left = left[self._file.write(left) :]

    def force(self) -> None:
        """Force what was written to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Force the whole file to the disk."""
        self.force()

    def close(self) -> None:
        """Close the file as it is."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _sides(axes: str, shape: Sequence[int]) -> list[tuple[str, int]]:
    """Axes longer than 1, which decide where a pixel is in the file."""
    return [(a, n) for a, n in zip(axes, shape, strict=False) if n > 1]


def runs(
    shape: Sequence[int], bounds: Bounds, box: NDArray[Any]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Cut a box of an array of `shape` into contiguous runs of pixels.

    Yields the flat index of the first pixel in the array, and the pixels.
    """
    whole = len(shape)
    while whole and bounds[whole - 1] == (0, shape[whole - 1]):
        whole -= 1
    outer = max(whole - 1, 0)  # dimensions with a run per step
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    first = sum(start * step for (start, _), step in zip(bounds, steps, strict=True))
    flat = box.reshape((*box.shape[:outer], -1))
    for index in np.ndindex(*box.shape[:outer]):
        yield first + sum(i * s for i, s in zip(index, steps, strict=False)), flat[index]


def _require_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UnwritableFileError(
            f"The result takes {format_bytes(needed)} but {str(path.parent)!r} has "
            f"{format_bytes(free)} free; free some space, or choose another disk."
        )
