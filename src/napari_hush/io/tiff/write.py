"""Writing TIFF files of the kind that fits axes and sizes best, and reading them whole."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_hush.axes import AxesMap
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.io.metadata import METERS, ImageMetadata, convert, unit_symbol
from napari_hush.io.output import (
    RECORD,
    ResultImage,
    damaged,
    ordered,
    placed,
    refuse_masked,
)
from napari_hush.io.tiff.layout import layout_of, only_image
from napari_hush.io.tiff.read import TiffPixels
from napari_hush.system.atomic_write import as_path, refuse_existing, whole_file
from napari_hush.system.memory import format_bytes

if TYPE_CHECKING:
    from napari_hush.io.lazy import Bounds

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_AXES = "TCZYX"
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_OME_NAMES = (".ome.tif", ".ome.tiff")
_LABELS = 2**12
"""Labels of an ImageJ file at most; more are those of the first planes only."""
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file must be BigTIFF."""


@dataclass(frozen=True)
class TiffForm:
    """Kind, axes and metadata of an image in a TIFF file."""

    axes: str
    shape: tuple[int, ...]
    file: dict[str, Any]
    """Arguments of ``tifffile.TiffWriter``."""
    page: dict[str, Any]
    """Arguments of its ``write``."""


def tiff_forms(path: Path, image: ResultImage) -> Iterator[TiffForm]:
    """Kinds of file that can hold an image, the best one first.

    An ImageJ hyperstack if ImageJ has dtype and units, the file need not be BigTIFF, is
    not named ``.ome.tif`` and the source is no OME-TIFF; else OME-TIFF if OME has dtype and
    units and there is no S; else TIFF with axes, sizes and units in JSON.
    """
    if image.colors:
        yield _color_form(path, image)
        return
    big, kind, sizes = image.nbytes >= _BIG, image.dtype.name, image.sizes
    own = image.axes.axes
    # tifffile cannot read its own pages of a single row or column.
    thin = min(ordered(image.axes, "YX")[1]) == 1
    is_ome = path.name.lower().endswith(_OME_NAMES) or sizes.is_ome
    ome = None
    if not thin and kind in _OME_TYPES and "S" not in own:
        ome = _ome_sizes(sizes)
    imagej = _imagej_sizes(sizes) if kind in _IMAGEJ_TYPES and not (big or thin) else None
    forms = []
    if imagej is not None:
        axes, shape = ordered(image.axes, _IMAGEJ_AXES)
        resolution, known = imagej
        if labels := list(sizes.channels):
            stacks = math.prod(shape[:2])
            known["Labels"] = labels * (stacks if stacks * len(labels) < _LABELS else 1)
        forms.append(_form("imagej", image, axes, shape, {"imagej": True}, known))
        forms[0].page["resolution"] = resolution
    if ome is not None:
        axes, shape = ordered(image.axes, "".join(a for a in _OME_AXES if a in own))
        file = {"ome": False, "bigtiff": big}
        form = _form("ome", image, axes, shape, file, ome)
        text = _ome_xml(image, form.page["metadata"], shape)
        form.page.update(metadata=None, description=text.encode())
        forms.insert(0 if is_ome else 1, form)
    known = {
        key: getattr(sizes, key)
        for key in ("scale", "units", "channels", "position")
        if getattr(sizes, key)
    }
    file = {"ome": False, "bigtiff": big}
    yield from forms
    yield _form("shaped", image, own, image.axes.shape, file, known)


def _color_form(path: Path, image: ResultImage) -> TiffForm:
    """The kind of file for an RGB image, whose colors are its last axis.

    ImageJ has those of 8 bits only.
    """
    big, sizes = image.nbytes >= _BIG, image.sizes
    own = image.axes.axes.replace("C", "") + "C"
    named_ome = path.name.lower().endswith(_OME_NAMES)
    imagej = _imagej_sizes(sizes)
    if imagej is not None and image.dtype == np.uint8 and not (big or named_ome):
        axes, shape = ordered(image.axes, "TZYXC")
        form = _form("imagej", image, axes, shape, {"imagej": True}, imagej[1])
        form.page.update(resolution=imagej[0])
        form.page["metadata"]["axes"] = "TZYXS"
    elif (ome := _ome_sizes(sizes)) is not None and "S" not in own:
        axes, shape = ordered(image.axes, own)
        form = _form("ome", image, axes, shape, {"ome": False, "bigtiff": big}, ome)
        known = form.page["metadata"] | {"axes": f"{axes[:-1]}S"}
        text = _ome_xml(image, known, shape, samples=shape[-1])
        form.page.update(metadata=None, description=text.encode())
    else:
        axes, shape = ordered(image.axes, own)
        known = {"scale": sizes.scale, "units": sizes.units}
        form = _form("shaped", image, axes, shape, {"ome": False, "bigtiff": big}, known)
    form.page.update(photometric="rgb", planarconfig="contig")
    return form


def _form(
    kind: Literal["imagej", "ome", "shaped"],
    image: ResultImage,
    axes: str,
    shape: tuple[int, ...],
    file: dict[str, Any],
    known: dict[str, Any],
) -> TiffForm:
    metadata = {"axes": axes, **known}
    if image.record is not None:
        entry = {RECORD: dict(image.record)}
        text = json.dumps(entry, indent=1)
        info = {"imagej": {"Info": text}, "ome": {"Description": text}}
        metadata |= info.get(kind, entry)
    page = {"photometric": "minisblack", "resolution": None, "metadata": metadata}
    return TiffForm(axes, shape, file, page)


def _imagej_sizes(
    sizes: ImageMetadata,
) -> tuple[tuple[float, float] | None, dict[str, Any]] | None:
    """Pixels per unit along X and Y, and other metadata of ImageJ; None if unsupported."""
    scale, units = sizes.scale, sizes.units
    flat = [a for a in "XY" if a in scale]
    unit = units.get(flat[0], "") if flat else ""
    try:
        size = {a: convert(scale[a], units.get(a, unit), unit) for a in "XYZ" if a in scale}
        frame = convert(scale["T"], units.get("T", ""), "second") if "T" in scale else None
    except ValueError:  # ImageJ has one unit of length, and seconds
        return None
    if not unit.isascii() or any(not 1e-9 < size[a] < 1e9 for a in flat):
        return None  # sizes are ratios of two integers
    known: dict[str, Any] = {"spacing": size.get("Z"), "finterval": frame}
    known["unit"] = "micron" if unit == "micrometer" else unit or None
    for axis, place in sizes.position.items():
        if axis not in scale:
            return None
        known[f"{axis.lower()}origin"] = -place / scale[axis]
    resolution = (1 / size[flat[0]], 1 / size[flat[-1]]) if flat else None
    return resolution, {key: value for key, value in known.items() if value is not None}


def _ome_sizes(sizes: ImageMetadata) -> dict[str, Any] | None:
    """Pixel sizes in the terms of OME; None if unsupported."""
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
        # OME reads a missing unit as micrometers.
        known[f"{word}Unit"] = unit_symbol(unit) if unit else _NO_UNIT[kind]
    if sizes.channels:
        known["Channel"] = {"Name": list(sizes.channels)}
    return known


def _ome_xml(
    image: ResultImage, known: dict[str, Any], shape: tuple[int, ...], samples: int = 1
) -> str:
    """OME-XML of an image; its position is that of the first plane.

    With more than one of `samples`, they are the last axis.
    """
    xml = tifffile.OmeXml()
    planes = shape[:-1] if samples > 1 else shape
    stored = (math.prod(planes[:-2]), 1, 1, *planes[-2:], samples)
    xml.addimage(image.dtype, shape, stored, **known)
    text: str = xml.tostring(declaration=True)
    place = ""
    for axis, position in image.sizes.position.items():
        unit = image.sizes.units.get(axis, "")
        symbol = unit_symbol(unit) if unit in METERS else "reference frame"
        place += f' Position{axis}="{position}" Position{axis}Unit="{symbol}"'
    plane = f'<Plane TheC="0" TheZ="0" TheT="0"{place}/>' if place else ""
    return text.replace("</Pixels>", f"{plane}</Pixels>")


_NO_UNIT = {"second": "s", "micrometer": "pixel"}
"""Units of OME for steps without a unit; for time there is none."""


def read_tiff(path: str | Path, series: int | None = None) -> NDArray[Any]:
    """Read an image of a TIFF file, in the axes of the file, which need no names.

    `series` is its number if the file holds several, from 0. See `read_image`.
    """
    return TiffPixels(only_image(Path(path), series))[...]


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
        The file, ending in .tif or .tiff, which appears under this name once it is
        complete; its folder is created if necessary.
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
    ConfigurationError
        If the name has another ending.
    DataError
        If there is another number of channels, or a pixel is masked.
    ExistingFileError
        If the file exists and `overwrite` is off.
    UnwritableFileError
        If it cannot be written: disk full, folder read-only, and so on.
    """
    path = as_path(path)
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise ConfigurationError(
            f"Cannot write a TIFF file as {path.name!r}; end the name in .tif or .tiff."
        )
    sizes = ImageMetadata.of(
        None, scale or {}, units or {}, channels=[*channels], position=position
    )
    refuse_existing(path, overwrite)
    refuse_masked(np.ma.getmask(array), "the array")
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
    """An uncompressed TIFF file that is written by region; see `Result`."""

    # It is no memory map, which would end the process when the disk is full.
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

    def reopen(self, path: Path) -> None:
        """Open an unfinished file; see `Result`."""
        try:
            layout = layout_of(path)
        except UnreadableFileError as error:
            raise damaged(path) from error
        if layout.chunks is not None or layout.stored != self._image.dtype:
            raise damaged(path)
        # A file of an earlier version may be of another kind.
        there = _sides(layout.metadata.axes or "", layout.shape)
        fitting = [form for form in self._forms if _sides(form.axes, form.shape) == there]
        if not fitting:
            raise damaged(path)
        self._form = fitting[0]
        self.axes = self._form.axes
        self._offset, self._path = int(layout.offsets[0, 0]), path
        self._file = open(path, "r+b", buffering=0)  # noqa: SIM115  (see close)

    def write(self, sample: int, inner: Sequence[slice], pixels: NDArray[Any]) -> None:
        """Write a region; see `Result`."""
        assert self._file is not None  # noqa: S101  (begin or reopen comes first)
        self._check()
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
        self._check()
        self.force()

    def _check(self) -> None:
        """Raise an UnreadableFileError if another program made the file shorter."""
        assert self._file is not None  # noqa: S101  (as above)
        if os.fstat(self._file.fileno()).st_size < self._offset + self._image.nbytes:
            raise damaged(self._path)

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
    """Cut a box of an array into runs: flat index of the first pixel, and the pixels."""
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
