"""Layout of a TIFF file: where its pixels are, found once when it is opened."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError, HushError
from napari_hush.io.contents import (
    Contents,
    Part,
    Selection,
    chosen_image,
    split_reference,
)
from napari_hush.io.tiff.metadata import series_metadata
from napari_hush.io.tiff.ome import COMPANION
from napari_hush.io.tiff.pages import Planes, check_codec, planes_of, truncated
from napari_hush.io.tiff.series import NamedImage, TiffImages, images_in

if TYPE_CHECKING:
    from napari_hush.io.metadata import ImageMetadata

Stamp = tuple[int, int]
"""Size of a file in bytes, and time of modification in nanoseconds."""

_REMEMBERED = 8
"""Files, or sets of files, whose layout is remembered."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which another change of a file gets another time for certain."""


@dataclass(frozen=True)
class TiffLayout:
    """One image series of a TIFF file, or of a set of files."""

    path: Path
    """Absolute path; that of the first page if there are several files."""
    stamp: Stamp
    """Stamp of that file."""
    shape: tuple[int, ...]
    """Shape of all pixels; the leading dimensions count pages."""
    dtype: np.dtype[Any]
    """Dtype in memory."""
    stored: np.dtype[Any]
    """Dtype in the byte order of the file."""
    page: tuple[int, ...]
    """Shape of a page, or of all pixels if they are contiguous."""
    chunks: tuple[int, ...] | None
    """Shape of the strips or tiles of a page; None for contiguous, uncompressed pages."""
    offsets: NDArray[np.int64] = field(repr=False)
    """First byte of each piece, ``(pages, pieces)``; one piece for contiguous pages."""
    counts: NDArray[np.int64] = field(repr=False)
    """Bytes of each piece, ``(pages, pieces)``."""
    tables: tuple[bytes | None, ...] = field(repr=False)
    """JPEG tables, one per page; empty for other codecs."""
    named: str
    """Axes that the metadata name, `UNNAMED` for the others."""
    metadata: ImageMetadata
    """Axes including guesses by tifffile, pixel sizes and units."""
    series: int = 0
    """Number of the series."""
    level: int = 0
    """Resolution level, 0 is the finest."""
    others: tuple[tuple[Path, Stamp], ...] = ()
    """Further files with pages, and their stamps."""
    owners: NDArray[np.int64] | None = field(default=None, repr=False)
    """The file of each page: 0 is `path`, n is ``others[n - 1]``; None for one file."""
    is_whole: bool = True
    """Whether all pages of the series are in one file and are used."""

    @property
    def identity(self) -> tuple[Any, ...]:
        """Identity of these pixels; short for the first image of a file."""
        more = (self.series, self.level, self.others)
        return (str(self.path), *self.stamp, *(more if any(more) else ()))


@dataclass
class _File:
    """The contents of a TIFF file, or of a set of files."""

    stamps: dict[Path, Stamp]
    images: list[NamedImage]
    left_over: int

    def of(self, path: Path) -> list[NamedImage]:
        """The images with planes in one of the files."""
        path = Path(os.path.abspath(path))
        if path.name.lower().endswith(COMPANION):
            return self.images
        return [image for image in self.images if path in image.files] or self.images

    def reference(self, image: NamedImage, given: Path) -> Path:
        """Reference of an image; `given` is the path of a file of the set."""
        first = image.files[0] if image.files else Path(os.path.abspath(given))
        here = first.parent == Path(os.path.abspath(given.parent))
        path = given.with_name(first.name) if here else first
        beside = [each for each in self.of(first) if not each.left_out]
        if image.left_out or len(beside) > 1:
            return path.with_name(f"{path.name}#{image.number}")
        return path


_known: list[_File] = []
_lock = threading.Lock()


def tiff_contents(path: Path) -> Contents:
    """The images of a TIFF file, or of the set of files that it belongs to."""
    file, number = split_reference(path)
    known = _read(file)
    images = known.of(file)
    if number is not None:
        chosen = [image for image in known.images if image.number == number]
        if chosen:
            return Contents(path, (_part(known, chosen[0], file),))
    data = [image for image in images if not image.left_out]
    left_out = [
        f"the {name}" if count == 1 else f"{count} {name}s"
        for name, count in Counter(i.left_out for i in images if i.left_out).items()
    ]
    if known.left_over:
        pages = "page that its" if known.left_over == 1 else "pages that its"
        left_out.append(f"{known.left_over} {pages} metadata do not name")
    parts = tuple(_part(known, image, file) for image in data)
    gone = [image for image in known.images if not image.files]
    if gone and not parts[0].warning and not any(part.missing for part in parts):
        named = " and ".join(f"image {each.number} ({each.missing})" for each in gone[:3])
        warning = f"The set of files of {str(file)!r} lacks {named}."
        parts = (parts[0]._replace(warning=warning), *parts[1:])
    kind = "image" if len(parts) == 1 else "series"
    contents = Contents(file, parts, kind, tuple(left_out))
    if number is not None:
        chosen_image(contents, Selection(series=number))  # raises
    return contents


def _part(known: _File, image: NamedImage, given: Path) -> Part:
    reference = known.reference(image, given)
    return Part(reference, image.number, image.name, image.missing, image.warning)


def only_image(path: Path, series: int | None = None) -> Path:
    """Reference of the only image of a TIFF file, or of one of its series."""
    return chosen_image(tiff_contents(path), Selection(series=series))


def layout_of(path: str | Path, level: int = 0) -> TiffLayout:
    """Find the pixels of the only image, or ``"run.tif#2"``, at a resolution level."""
    path = Path(path)
    file, number = split_reference(path)
    known = _read(file)
    if number is None:
        images = [image for image in known.of(file) if not image.left_out]
    else:
        images = [image for image in known.images if image.number == number]
    if len(images) != 1 or images[0].missing:
        only_image(path)  # raises
    layouts = images[0].layouts
    if level >= len(layouts):
        has = "only level 0" if len(layouts) == 1 else f"levels 0 to {len(layouts) - 1}"
        raise DataError(
            f"Level {level} was chosen but {str(path)!r} has {has}; choose one of them."
        )
    layout = layouts[level]
    if isinstance(layout, HushError):
        raise layout
    return layout


def _read(path: Path) -> _File:
    """Read what a file or the set of a file holds, or remember it if nothing changed."""
    path = Path(os.path.abspath(path))
    with _lock:
        for known in [known for known in _known if path in known.stamps]:
            _known.remove(known)
            if all(_is_same(file, stamp) for file, stamp in known.stamps.items()):
                _known.append(known)
                return known
    with images_in(path) as found:
        stamps = {file: _stamp(file) for file in found.sources}
        for image in found.images:
            stamps.update((file, _stamp(file)) for file in image.files)
        for image in found.images:
            image.layouts = _layouts(found, image, stamps)
        for image in found.images:
            image.series = image.planes = None
        known = _File(stamps, found.images, found.left_over)
    layouts = [layout for image in known.images for layout in image.layouts]
    sound = all(isinstance(layout, TiffLayout) for layout in layouts)
    age = time.time_ns() - max(time for _, time in stamps.values())
    if sound and age > _SETTLED and not any(image.missing for image in known.images):
        with _lock:
            _known.append(known)
            del _known[:-_REMEMBERED]
    return known


def _is_same(path: Path, stamp: Stamp) -> bool:
    try:
        return _stamp(path) == stamp
    except OSError:
        return False


def _stamp(path: Path) -> Stamp:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def _layouts(
    found: TiffImages, image: NamedImage, stamps: dict[Path, Stamp]
) -> list[TiffLayout | HushError]:
    """The layouts of all levels of an image, or the errors with them."""
    if image.error is not None:
        return [image.error]
    if image.missing or image.series is None:
        return []
    result: list[TiffLayout | HushError] = []
    finest, named = series_metadata(found.file, image.series, found.unknown)
    for level, series in enumerate(image.series.levels):
        try:
            planes = planes_of(found, series) if level else image.planes
            assert planes is not None  # noqa: S101  (there is no error)
            if level and planes.absent and not planes.frames:
                raise DataError(
                    f"Level {level} of {str(found.path)!r} lacks {planes.absent} of "
                    f"{planes.named} planes; choose another level."
                )
            metadata = _coarser(finest, image.series, series) if level else finest
            layout = _layout(found, series, planes, stamps, metadata, named)
            result.append(replace(layout, series=image.number, level=level))
        except HushError as error:
            result.append(error)
    return result


def _coarser(metadata: ImageMetadata, finest: Any, series: Any) -> ImageMetadata:
    """Metadata of a resolution level."""
    factors = {
        axis: n / m
        for axis, n, m in zip(finest.axes, finest.shape, series.shape, strict=True)
        if axis in "ZYX"
    }
    sizes = {a: size * factors.get(a, 1.0) for a, size in metadata.scale.items()}
    return replace(metadata, scale=sizes)


def _layout(
    found: TiffImages,
    series: Any,
    planes: Planes,
    stamps: dict[Path, Stamp],
    metadata: ImageMetadata,
    named: str,
) -> TiffLayout:
    first, pages = series.keyframe, planes.pages
    dtype = np.dtype(series.dtype).newbyteorder("=")
    chunks: tuple[int, ...] | None = None
    tables: tuple[bytes | None, ...] = ()
    files = [found.path_of(first)]
    pieces = 1
    if pages is None:
        offsets = [[series.dataoffset]]
        counts = [[math.prod(planes.shape) * dtype.itemsize]]
    elif all(page.is_final for page in pages):
        offsets = [[page.dataoffsets[0]] for page in pages]
        counts = [[first.size * dtype.itemsize]] * len(pages)
    else:
        check_codec(found.path, first)
        ones = (1,) * (len(planes.page) - len(first.shape))
        before = len(first.shape) - len(first.chunks)
        chunks = (1,) * before + tuple(first.chunks) + ones
        pieces = math.prod(-(-n // s) for n, s in zip(planes.page, chunks, strict=True))
        offsets = [page.dataoffsets for page in pages]
        counts = [page.databytecounts for page in pages]
        if any(page.jpegtables for page in pages):
            tables = tuple(page.jpegtables for page in pages)
    owners = None
    if pages is not None:
        of_pages = [found.path_of(page) for page in pages]
        files = list(dict.fromkeys(of_pages))
        if len(files) > 1:
            numbers = {file: number for number, file in enumerate(files)}
            owners = np.array([numbers[file] for file in of_pages], np.int64)
            if len({page.keyframe.hash for page in pages}) > 1:
                raise DataError(
                    f"The files of the image in {str(found.path)!r} store pixels in "
                    "different ways; save it as one file."
                )
    layout = TiffLayout(
        files[0],
        stamps[files[0]],
        planes.shape,
        dtype,
        dtype.newbyteorder(first.parent.byteorder),
        planes.page,
        chunks,
        np.array(offsets, np.int64),
        np.array(counts, np.int64),
        tables,
        named,
        metadata,
        others=tuple((file, stamps[file]) for file in files[1:]),
        owners=owners,
        is_whole=len(files) == 1 and planes.shape == tuple(series.shape),
    )
    _check_extent(layout, pieces)
    return layout


def _check_extent(layout: TiffLayout, pieces: int) -> None:
    """Raise an UnreadableFileError if a file ends before its pixels."""
    if not layout.offsets.shape == layout.counts.shape == (len(layout.offsets), pieces):
        raise truncated(
            layout.path, f"pages need {pieces} pieces each and list another number"
        )
    ends = (layout.offsets + layout.counts).max(axis=1, initial=0)
    owners = np.zeros(len(ends), int) if layout.owners is None else layout.owners
    files = [(layout.path, layout.stamp), *layout.others]
    for number, (path, (size, _)) in enumerate(files):
        last = int(ends[owners == number].max(initial=0))
        if last > size:
            raise truncated(path, f"pixels up to byte {last} of {size}")
