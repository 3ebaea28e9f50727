"""Opening TIFF files; whatever is wrong with one becomes an error that names it."""

from __future__ import annotations

import logging
import os
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tifffile

from napari_hush.errors import HushError, UnreadableFileError

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
    """Open a TIFF file; any error with it becomes an UnreadableFileError that names it.

    `heard` collects what tifffile says, `how` are arguments of ``tifffile.TiffFile``.
    """
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
    except Exception as error:  # tifffile raises many kinds on damaged files
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a TIFF file ({heard.damage or error}); "
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


def check_codec(path: Path, keyframe: Any) -> None:
    """Raise an UnreadableFileError if the codec of a page is missing; nothing is read."""
    try:
        keyframe.decode(None, 0)
    except MemoryError:
        raise
    except Exception as error:  # tifffile raises several kinds
        advice = "save it with another compression"
        if "imagecodecs" in str(error):
            advice = "run: pip install 'napari-hush[tiff]'"
        raise UnreadableFileError(
            f"{str(path)!r} is packed in a way that cannot be unpacked ({error}); {advice}."
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
