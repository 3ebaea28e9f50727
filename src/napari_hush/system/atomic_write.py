"""Atomic writes: files appear under their name only once they are complete."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from napari_hush.errors import (
    ConfigurationError,
    ExistingFileError,
    HushError,
    UnwritableFileError,
)

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space, or choose a folder on another disk",
    errno.EDQUOT: "your quota on that disk is used up; free space, or choose another disk",
    errno.EFBIG: "the disk takes no file of that size; choose a folder on another disk",
    errno.EROFS: "the disk is read-only; choose a folder that you may write to",
    errno.EACCES: "you may not write there; choose a folder that you may write to",
    errno.EPERM: "you may not write there; choose a folder that you may write to",
    errno.ENOENT: "there is no such folder; create it, or choose another one",
    errno.ENOTDIR: "a file is where a folder should be; choose another name",
    errno.EEXIST: "a file is where a folder should be; choose another name",
    errno.EISDIR: "there is a folder of that name; choose another one",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Errors of file systems without locks."""
_SHORT = re.compile(r"\d+ requested and \d+ written")
"""Text of numpy's error for a full disk, which has no errno."""


def as_path(path: str | Path) -> Path:
    """`path` as a Path, or a ConfigurationError if it is something else."""
    if not isinstance(path, str | os.PathLike):
        kind = type(path).__name__
        raise ConfigurationError(f"The path was given as {kind}; give a str or a Path.")
    return Path(path)


def refuse_existing(
    path: Path, overwrite: bool, permission: str = "overwrite=True"
) -> None:
    """Raise an ExistingFileError if `path` exists and may not be overwritten.

    The message names `permission` as the way to allow it.
    """
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} already exists; choose another name, or replace it "
            f"with {permission}."
        )


@contextmanager
def whole_file(path: Path, *, follow: bool = False) -> Iterator[Path]:
    """Write to the path that is yielded; it is forced to the disk and renamed at the end.

    Its folder is created if necessary. A crash, a full disk or an error leaves the old file
    or the new one, never half of it. A link at `path` is replaced, or with `follow` the
    file that it leads to.

    Raises
    ------
    UnwritableFileError
        If the disk is full, the folder is read-only, and so on.
    """
    with writing(path):
        place = Path(os.path.realpath(path)) if follow and path.is_symlink() else path
        place.parent.mkdir(parents=True, exist_ok=True)
        # A unique name, since other threads may write the same file.
        part = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
        try:
            yield part
            force(part)
            os.replace(part, place)
            force(place.parent)  # the new name as well
        finally:
            with suppress(OSError):  # report the first error
                part.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError while writing to `path` into an UnwritableFileError with advice."""
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
    """Create `folder` and its parents, or raise an UnwritableFileError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


def force(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    # Windows forces files that are open for writing, but no folders.
    if path.is_dir() and not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_DIRECTORY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _can_make(path: Path) -> bool:
    try:
        path.touch()
    except OSError:
        return False
    return True


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other processes from writing `target` while this one lives."""
    from filelock import FileLock, Timeout  # takes 60 ms to import

    path = target.with_name(f".{target.name}.lock")
    lock = FileLock(path)
    with writing(target):
        if path.is_symlink():  # the lock would empty the file that it leads to
            path.unlink()
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            if not path.exists() and not _can_make(path):  # as in /proc
                raise UnwritableFileError(
                    f"Cannot write {str(target)!r}: no file can be made in its folder; "
                    "choose another one."
                ) from error
            raise ExistingFileError(
                f"{str(target)!r} is being written by another process; wait for it, or "
                "choose another name."
            ) from error
        except NotImplementedError:  # the file system has no locks
            pass
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    try:
        yield
    finally:
        with suppress(OSError):  # Windows deletes it on release, POSIX keeps it
            path.unlink(missing_ok=True)
        lock.release()
