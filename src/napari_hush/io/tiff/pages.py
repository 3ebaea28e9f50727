"""Opening TIFF files and finding their pages; an error names the file and what is wrong."""

from __future__ import annotations

import logging
import math
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_hush.errors import (
    DataError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)

_DAMAGE = re.compile(r"invalid (page )?offset|corrupted")
"""Log messages of tifffile that mean that pages at the end of a file are missing."""
_LOSS = re.compile(r"missing files|focal planes|not stitched")
"""Those that mean that it leaves something out."""


class Complaints(logging.Handler):
    """Collects what tifffile logs about a file in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.damage = ""
        self.loss = ""
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = record.getMessage().rpartition("> ")[2]
        if record.levelno >= logging.ERROR and _DAMAGE.search(text):
            self.damage = self.damage or text
        elif _LOSS.search(text):
            self.loss = text


@contextmanager
def opened(
    path: Path, heard: Complaints | None = None, **how: Any
) -> Iterator[tifffile.TiffFile]:
    """Open a TIFF file; errors with it name it, and `heard` collects what tifffile says."""
    heard = heard or Complaints()
    log = logging.getLogger("tifffile")
    log.addHandler(heard)
    try:
        if os.stat(path).st_size == 0:
            raise UnreadableFileError(
                f"{str(path)!r} is empty (0 bytes); replace it or leave it out."
            )
        with tifffile.TiffFile(path, **how) as file:
            yield file
    except (HushError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise MissingFileError(
            f"There is no file {str(path)!r}; check the path."
        ) from error
    except Exception as error:  # tifffile raises many kinds on damaged files
        reason = heard.damage or (str(error) if " " in str(error) else repr(error))
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a TIFF file ({reason}); "
            "replace it or leave it out."
        ) from error
    finally:
        log.removeHandler(heard)
    if heard.damage:
        raise truncated(path, heard.damage)


def truncated(path: Path, detail: str) -> UnreadableFileError:
    """Make the error for a file whose end is missing."""
    return UnreadableFileError(
        f"{str(path)!r} is damaged, part of it is missing ({detail}); copy it again or "
        "leave it out."
    )


def is_own(file: tifffile.TiffFile, page: Any) -> bool:
    """Whether a page lies in an open file, also if tifffile has opened that again."""
    return page.parent is file or page.parent.filehandle.path == file.filehandle.path


def check_codec(path: Path, keyframe: Any) -> None:
    """Raise an UnreadableFileError if the codec of a page is missing; nothing is read."""
    try:
        keyframe.decode(None, 0)
    except MemoryError:
        raise
    except Exception as error:  # tifffile raises several kinds
        advice = "save it with another compression"
        if "imagecodecs" in str(error):
            advice = 'run: pip install "napari-hush[tiff]"'
        raise UnreadableFileError(
            f"{str(path)!r} is compressed in a way that cannot be read ({error}); {advice}."
        ) from error


def page_offsets(path: Path, file: tifffile.TiffFile) -> list[int]:
    """First byte of each page's tags; UnreadableFileError if the pages form a loop."""
    form, handle = file.tiff, file.filehandle
    offset, seen = int(file.pages.first.offset), dict[int, None]()
    while 0 < offset < handle.size:
        if offset in seen:
            raise UnreadableFileError(
                f"{str(path)!r} is damaged, its pages form a loop; copy it again or leave "
                "it out."
            )
        seen[offset] = None
        handle.seek(offset)
        try:
            (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
            handle.seek(offset + form.tagnosize + tags * form.tagsize)
            (offset,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
        except struct.error:  # the file ends here, which tifffile reports
            break
    return list(seen)


_UNFINISHED = ("lsm", "mmstack")
"""Kinds of series whose pages without pixels were not acquired; others are sparse."""
_STEPS = {"T": "frames", "Z": "planes"}
_MOST_ABSENT = 10**6
"""More absent pages are not compared one by one."""


class Planes(NamedTuple):
    """The pages of an image, as far as they are used."""

    shape: tuple[int, ...]
    """Shape of the pixels."""
    page: tuple[int, ...]
    """Shape of a page, or of all pixels if they are contiguous."""
    pages: list[Any] | None
    """None for contiguous pixels."""
    named: int = 1
    """Pages that the file names."""
    absent: int = 0
    """Those of them that are not there."""
    frames: str = ""
    """The complete frames that are used instead, "8 frames but holds only 3"."""


@dataclass
class OpenTiff:
    """An open TIFF file."""

    path: Path
    """Absolute path."""
    file: tifffile.TiffFile
    offsets: list[int]
    """First byte of the tags of each page."""
    unknown: tuple[str, ...]
    """Metadata that cannot be understood."""
    sources: set[Path]
    """Absolute paths of the files that describe its images."""

    def path_of(self, page: Any) -> Path:
        """Absolute path of the file of a page, which may be another one."""
        if is_own(self.file, page):
            return self.path
        other, real = Path(page.parent.filehandle.path), Path(self.file.filehandle.path)
        if other.parent == real.parent == self.path.parent.resolve():
            return self.path.with_name(other.name)
        return other

    def page(self, number: int) -> tifffile.TiffPage:
        """Read a page."""
        self.file.filehandle.seek(self.offsets[number])
        return tifffile.TiffPage(self.file, number)

    def alike(self, first: Any) -> list[Any]:
        """A page and those after it of the same form."""
        pages = [first]
        if isinstance(first.index, int) and is_own(self.file, first):
            for number in range(first.index + 1, len(self.offsets)):
                page = self.page(number)
                if page.hash != first.hash:
                    break
                pages.append(page)
        return pages


def planes_of(found: OpenTiff, series: Any) -> Planes:
    """Compare the shape of a series with its pages."""
    shape, first = tuple(series.shape), series.keyframe
    if series.transform is not None or series.dtype != first.dtype:
        raise DataError(
            f"{str(found.path)!r} stores codes of its gray values ({series.kind}); save it "
            "with another program."
        )
    if not series.is_multifile and (start := series.dataoffset) is not None:
        end = start + math.prod(shape) * series.dtype.itemsize
        if not is_own(found.file, first):
            return Planes(shape, shape, None)
        tags = (offset for offset in found.offsets if start <= offset < end)
        limit = min([found.file.filehandle.size, *tags])
        if end <= limit:
            return Planes(shape, shape, None)
        pages = found.alike(first)
        if len(pages) == 1 and (limit - start) // max(first.nbytes, 1) != 1:
            raise truncated(found.path, f"pixels up to byte {end} of {limit}")
    else:
        pages = pages_of(series)
    count = max(math.prod(shape) // max(first.size, 1), 1)
    page = tuple(first.shape) + _ones_at_the_end(shape, tuple(first.shape), count)
    if len(pages) != count and series.kind in ("imagej", "shaped"):
        pages = found.alike(first)
    pages = pages[:count]
    if count - len(pages) <= _MOST_ABSENT:
        pages += [None] * (count - len(pages))
    there = np.array([_is_there(each, series.kind) for each in pages])
    absent = count - int(np.count_nonzero(there))
    if not absent or len(pages) < count:
        return Planes(shape, page, pages, count, absent)
    lead = shape[: len(shape) - len(page)]
    complete = _complete(there.reshape(lead), series.axes)
    if complete is None:
        return Planes(shape, page, pages, count, absent)
    axis, n = complete
    numbers = np.arange(count).reshape(lead).take(range(n), axis).ravel()
    used = (*shape[:axis], n, *shape[axis + 1 :])
    frames = frames_held(series.axes[axis], shape[axis], n)
    return Planes(used, page, [pages[i] for i in numbers], count, absent, frames)


def pages_of(series: Any) -> list[Any]:
    """The pages of a series; those after the last page of the file are left out."""
    pages: list[Any] = []
    with suppress(IndexError):
        pages.extend(series)
    return pages


def _is_there(page: Any, kind: str) -> bool:
    return page is not None and (kind not in _UNFINISHED or any(page.dataoffsets))


def frames_held(axis: str, named: int, held: int) -> str:
    """Part of a warning about the steps along an axis."""
    used = "one, which is used" if held == 1 else "ones, which are used"
    return f"{named} {_STEPS.get(axis, 'images')} but holds only {held} complete {used}"


def _complete(there: NDArray[np.bool_], axes: str) -> tuple[int, int] | None:
    """A dimension and how many of its first steps are complete, if none is later."""
    for axis in range(there.ndim):  # the last step of the slowest may be there in part
        steps = np.moveaxis(there, axis, 0).reshape(there.shape[axis], -1)
        n = int(np.argmin(steps.all(1)))
        if axes[axis] != "C" and n and not steps[n + (axis == 0) :].any():
            return axis, n
    return None


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
