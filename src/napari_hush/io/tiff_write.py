"""TIFF files in and out, with their axes and pixel sizes."""

from __future__ import annotations

import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tifffile

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import DataError, UnwritableFileError
from napari_hush.io.metadata import ImageMetadata, convert, unit_symbol
from napari_hush.io.output import ResultImage, damaged, ordered, placed
from napari_hush.io.provenance_record import record_metadata
from napari_hush.io.tiff_layout import layout_of
from napari_hush.io.tiff_read import TiffPixels
from napari_hush.system.atomic_write import refuse_existing, whole_file
from napari_hush.system.memory import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from io import FileIO

    from numpy.typing import NDArray

    from napari_hush.io.lazy import Bounds

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_AXES = "TCZYX"
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_OME_NAMES = (".ome.tif", ".ome.tiff")
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file needs the BigTIFF layout."""


@dataclass(frozen=True)
class TiffForm:
    """How an image lies in a TIFF file.

    Attributes
    ----------
    axes : str
        Its axes there.
    shape : tuple of int
        Its shape there.
    file : dict
        Arguments of ``tifffile.TiffWriter``: which kind of file.
    page : dict
        Arguments of its ``write``: metadata.
    """

    axes: str
    shape: tuple[int, ...]
    file: dict[str, Any]
    page: dict[str, Any]


def tiff_form(path: Path, image: ResultImage) -> TiffForm:
    """Choose the kind of file that says most to other programs.

    A hyperstack of ImageJ, where ImageJ has type and units, the file need not be BigTIFF,
    and its name does not end in ``.ome.tif`` or ``.ome.tiff``; else OME-TIFF, where OME has
    type and units and there is no S; else TIFF with axes, sizes and units in JSON.
    """
    big, kind, sizes = image.nbytes >= _BIG, image.dtype.name, image.sizes
    own = image.axes.axes
    # Of planes of a single row or column tifffile makes pages that it cannot read again.
    thin = min(ordered(image.axes, "YX")[1]) == 1
    ome = None if thin or kind not in _OME_TYPES or "S" in own else _ome_sizes(sizes)
    named_ome = ome is not None and path.name.lower().endswith(_OME_NAMES)
    fits = kind in _IMAGEJ_TYPES and not (big or named_ome or thin)
    imagej = _imagej_sizes(sizes) if fits else None
    form: Literal["imagej", "ome", "shaped"]
    if imagej is not None:
        axes, shape = ordered(image.axes, _IMAGEJ_AXES)
        file, (resolution, known) = {"imagej": True}, imagej
        form = "imagej"
    elif ome is not None:
        axes, shape = ordered(image.axes, "".join(a for a in _OME_AXES if a in own))
        file, resolution, known = {"ome": True, "bigtiff": big}, None, ome
        form = "ome"
    else:
        axes, shape = own, image.axes.shape
        file, resolution = {"ome": False, "bigtiff": big}, None
        form = "shaped"
        known = {"scale": sizes.scale, "units": sizes.units} if sizes.scale else {}
    metadata = {"axes": axes, **known}
    if image.record is not None:
        metadata |= record_metadata(image.record, form)
    page = {"photometric": "minisblack", "resolution": resolution, "metadata": metadata}
    return TiffForm(axes, shape, file, page)


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


def _ome_sizes(sizes: ImageMetadata) -> dict[str, Any] | None:
    """Pixel sizes in the words of OME; None if it cannot say them."""
    known: dict[str, Any] = {}
    for axis, size in sizes.scale.items():
        kind, word = ("second", "TimeIncrement") if axis == "T" else ("micrometer", "")
        unit = sizes.units.get(axis, "")
        try:
            convert(size, unit, kind)
        except ValueError:
            return None
        if axis not in "TZYX":
            return None
        word = word or f"PhysicalSize{axis}"
        known[word] = size
        # Without a unit OME means micrometers, which is not what no unit means.
        known[f"{word}Unit"] = unit_symbol(unit) if unit else _NO_UNIT[kind]
    return known


_NO_UNIT = {"second": "s", "micrometer": "pixel"}
"""OME's words for steps that have no unit of length; of time there is no such word."""


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
    refuse_existing(path, overwrite)
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


class TiffResult:
    """Plain pixels in one run, row by row where they belong; no memory map.

    A memory map would end the process where the disk is full, and count as memory.

    Parameters
    ----------
    image : ResultImage
        What it is.
    target : Path
        What it is called once it is whole, which has a say in the kind of file.
    """

    block: tuple[int, ...] | None = None

    def __init__(self, image: ResultImage, target: Path) -> None:
        self._form = tiff_form(target, image)
        self.axes = self._form.axes
        self._image = image
        self._offset = 0
        self._file: FileIO | None = None

    def begin(self, path: Path) -> None:
        """Make the file, of the size that it will have; see `Result`.

        Raises
        ------
        UnwritableFileError
            If there is less room on the disk than the pixels take.
        """
        form = self._form
        _require_room(path, self._image.nbytes)
        with tifffile.TiffWriter(path, **form.file) as file:
            file.write(shape=form.shape, dtype=self._image.dtype, **form.page)
        self.reopen(path)

    def reopen(self, path: Path, *, alone: bool = True) -> None:
        """Open the file that was begun; see `Result`."""
        layout = layout_of(path)
        if layout.chunks is not None or layout.stored != self._image.dtype:
            raise damaged(path)
        if math.prod(layout.shape) != math.prod(self._form.shape):
            raise damaged(path)
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


def runs(
    shape: Sequence[int], bounds: Bounds, box: NDArray[Any]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Cut a box into pieces that follow upon one another in an array, slowest axis first.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    bounds : tuple of (int, int)
        The box.
    box : ndarray
        Its pixels, contiguous.

    Yields
    ------
    (int, ndarray)
        Index of the first pixel in the array when it is flat, and the pixels of the run.
    """
    whole = len(shape)
    while whole and bounds[whole - 1] == (0, shape[whole - 1]):
        whole -= 1
    outer = max(whole - 1, 0)  # dimensions whose steps begin another run
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    first = sum(start * step for (start, _), step in zip(bounds, steps, strict=True))
    flat = box.reshape((*box.shape[:outer], -1))
    for index in np.ndindex(*box.shape[:outer]):
        yield first + sum(i * s for i, s in zip(index, steps, strict=False)), flat[index]


def _require_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise UnwritableFileError(
            f"The result takes {format_bytes(needed)} but {str(path.parent)!r} has "
            f"{format_bytes(free)} of room; make room, or choose a place on another disk."
        )
