"""Writing files that appear under their name only once they are whole."""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from napari_hush.errors import HushError, UnwritableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ADVICE = {
    errno.ENOSPC: "the disk is full; make room, or choose a place on another disk",
    errno.EDQUOT: "your quota on that disk is used up; make room, or choose another disk",
    errno.EFBIG: "the disk takes no file of that size; choose a place on another disk",
    errno.EROFS: "the disk is read-only; choose a folder that you may write to",
    errno.EACCES: "you may not write there; choose a folder that you may write to",
    errno.EPERM: "you may not write there; choose a folder that you may write to",
    errno.ENOENT: "there is no such folder; make it, or choose another one",
    errno.ENOTDIR: "a file is where a folder should be; choose another name",
    errno.EISDIR: "there is a folder of that name; choose another one",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}

_SHORT = re.compile(r"\d+ requested and \d+ written")
"""What numpy says of a disk that takes no more; it does not pass the number on."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file beside its place; it is forced to the disk and moved there at the end.

    A crash, a full disk or an error leaves what was there before, or the new file, and
    never half of one.

    Yields
    ------
    Path
        Where to write.

    Raises
    ------
    UnwritableFileError
        If the disk is full, the folder is read-only or not there, and so on.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        try:
            yield part
            force(part)
            os.replace(part, path)
            force(path.parent)  # the new name, too
        finally:
            with suppress(OSError):  # what went wrong before counts
                part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says of a failed write to `path` into a sentence.

    Raises
    ------
    UnwritableFileError
        In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, HushError):
            raise
        number = error.errno
        if number is None and _SHORT.search(str(error)):
            number = errno.ENOSPC
        advice = _ADVICE.get(number or 0)
        reason = advice or f"{error.strerror or error}; check the disk it lies on"
        raise UnwritableFileError(f"Cannot write {str(path)!r}: {reason}.") from error


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, where they are missing.

    Raises
    ------
    UnwritableFileError
        If that cannot be done.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    # Windows forces only what is open for writing, and no folders.
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_DIRECTORY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
