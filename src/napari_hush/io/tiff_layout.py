"""Layout of a TIFF file: where its pixels are, found once when it is opened."""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_hush.errors import DataError, HushError, UnreadableFileError
from napari_hush.io.tiff_metadata import image_series, series_metadata

if TYPE_CHECKING:
    from napari_hush.io.metadata import ImageMetadata

_DAMAGE = re.compile(r"invalid (page )?offset|corrupted")
"""Log messages of tifffile that mean that pages at the end of a file are missing."""


@dataclass(frozen=True)
class TiffLayout:
    """The first image series of a TIFF file."""

    path: Path
    """Absolute path."""
    stamp: tuple[int, int]
    """Size in bytes and time of modification in nanoseconds."""
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


@contextmanager
def opened(path: Path) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; any error with it becomes an UnreadableFileError that names it."""
    heard = _Complaints()
    log = logging.getLogger("tifffile")
    log.addHandler(heard)
    try:
        if os.stat(path).st_size == 0:
            raise UnreadableFileError(
                f"{str(path)!r} is empty (0 bytes); replace it or leave it out."
            )
        with tifffile.TiffFile(path) as file:
            yield file
    except (HushError, MemoryError):
        raise
    except Exception as error:  # tifffile raises many kinds on damaged files
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a TIFF file ({heard.first or error}); "
            "replace it or leave it out."
        ) from error
    finally:
        log.removeHandler(heard)
    if heard.first:
        raise truncated(path, heard.first)


def layout_of(path: str | Path) -> TiffLayout:
    """Find the pixels of the first image series of a TIFF file, without reading them.

    Raises an UnreadableFileError if the file is empty, no TIFF, damaged, truncated, or its
    codec is not installed, and a DataError if it is one of several files of one image.
    """
    path = Path(os.path.abspath(path))
    with opened(path) as file:
        status = os.stat(path)
        layout = _layout(path, (status.st_size, status.st_mtime_ns), file)
    pieces = _pieces(layout)
    if not layout.offsets.shape == layout.counts.shape == (len(layout.offsets), pieces):
        raise truncated(path, f"pages need {pieces} pieces each and list another number")
    ends = layout.offsets + layout.counts
    if ends.size and int(ends.max()) > status.st_size:
        raise truncated(path, f"pixels up to byte {ends.max()} of {status.st_size}")
    return layout


def _pieces(layout: TiffLayout) -> int:
    """Number of strips or tiles per page."""
    if layout.chunks is None:
        return 1
    return math.prod(-(-n // s) for n, s in zip(layout.page, layout.chunks, strict=True))


def truncated(path: Path, detail: str) -> UnreadableFileError:
    """Make the error for a file whose end is missing."""
    return UnreadableFileError(
        f"{str(path)!r} is damaged, part of it is missing ({detail}); copy it again or "
        "leave it out."
    )


def check_codec(path: Path, keyframe: Any) -> None:
    """Raise an UnreadableFileError if the codec of a page is missing; nothing is read."""
    try:
        keyframe.decode(None, 0)
    except Exception as error:  # tifffile raises several kinds
        advice = "save it with another compression"
        if "imagecodecs" in str(error):
            advice = "run: pip install 'napari-hush[tiff]'"
        raise UnreadableFileError(
            f"{str(path)!r} is packed in a way that cannot be unpacked ({error}); {advice}."
        ) from error


def _check_chain(path: Path, file: tifffile.TiffFile) -> None:
    """Raise an UnreadableFileError if the pages form a loop, endless for tifffile."""
    form, handle = file.tiff, file.filehandle
    offset, seen = int(file.pages.first.offset), set[int]()
    while 0 < offset < handle.size:
        if offset in seen:
            raise UnreadableFileError(
                f"{str(path)!r} is damaged, its pages form a loop; copy it again or leave "
                "it out."
            )
        seen.add(offset)
        handle.seek(offset)
        try:
            (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
            handle.seek(offset + form.tagnosize + tags * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
        except struct.error:  # the file ends here, which tifffile reports
            return


def _layout(path: Path, stamp: tuple[int, int], file: tifffile.TiffFile) -> TiffLayout:
    _check_chain(path, file)
    (series, *_), unknown = image_series(file)
    if getattr(series, "is_multifile", False):
        raise DataError(
            f"{str(path)!r} is one of several files of one image; save that image as one "
            "file."
        )
    keyframe = series.keyframe
    dtype = np.dtype(series.dtype).newbyteorder("=")
    metadata, named = series_metadata(file, series, unknown)
    chunks: tuple[int, ...] | None = None
    tables: tuple[bytes | None, ...] = ()
    offsets: list[Any]
    counts: list[Any]
    if series.dataoffset is not None:
        page = tuple(series.shape)
        offsets, counts = [[series.dataoffset]], [[series.size * dtype.itemsize]]
    else:
        pages = list(series.pages)
        ones = _ones_at_the_end(tuple(series.shape), tuple(keyframe.shape), len(pages))
        page = tuple(keyframe.shape) + ones
        if all(p is not None and p.is_final for p in pages):
            offsets = [[p.dataoffsets[0]] for p in pages]
            counts = [[keyframe.size * dtype.itemsize]] * len(pages)
        else:
            check_codec(path, keyframe)
            before = len(keyframe.shape) - len(keyframe.chunks)
            chunks = (1,) * before + tuple(keyframe.chunks) + ones
            nothing = (0,) * len(keyframe.dataoffsets)
            offsets = [nothing if p is None else p.dataoffsets for p in pages]
            counts = [nothing if p is None else p.databytecounts for p in pages]
            if any(p is not None and p.jpegtables for p in pages):
                tables = tuple(None if p is None else p.jpegtables for p in pages)
    return TiffLayout(
        path,
        stamp,
        tuple(series.shape),
        dtype,
        dtype.newbyteorder(file.byteorder),
        page,
        chunks,
        np.array(offsets, np.int64),
        np.array(counts, np.int64),
        tables,
        named,
        metadata,
    )


def _ones_at_the_end(
    shape: tuple[int, ...], page: tuple[int, ...], pages: int
) -> tuple[int, ...]:
    """Dimensions of size 1 after those of a page, which the page itself lacks."""
    for count in range(len(shape) - len(page) + 1):
        ones = (1,) * count
        lead = len(shape) - len(page) - count
        if shape[lead:] == page + ones and math.prod(shape[:lead]) == pages:
            return ones
    raise DataError(
        f"Pages of shape {page} do not form an image of shape {shape}; save the file with "
        "another program."
    )


class _Complaints(logging.Handler):
    """Collects what tifffile logs about a file in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.first = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.thread == self._thread and not self.first and _DAMAGE.search(text):
            self.first = text.rpartition("> ")[2]
