"""Unfinished results: written beside their place, kept when the job is interrupted.

A result is written under a name that starts with a dot. A journal beside it lists the
parts that are on disk, so that the same job can resume; a lock keeps other processes away.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import ExistingFileError, UnreadableFileError
from napari_hush.system.atomic_write import force, locked, whole_file, writing

if TYPE_CHECKING:
    from napari_hush.io.output import Result

_FORMAT = "napari-hush unfinished result 1"
_TYPE = np.dtype("<i8")
_MISSING = -1
_WORDS = {"versions": "tta", "kind": "format"}
"""Names in messages of settings that the journal calls otherwise."""
_HEADER_BYTES = 2**20
"""Longer headers are damaged."""


@contextmanager
def open_partial_output(
    result: Result,
    target: Path,
    job: Mapping[str, Any],
    count: int,
    *,
    overwrite: bool,
) -> Iterator[PartialOutput]:
    """Begin or resume a `PartialOutput`; whatever happens inside, parts on disk are kept.

    Also raises an ExistingFileError if another process is writing this result.
    """
    with locked(target):
        with ExitStack() as failing:
            failing.callback(result.close)
            output = PartialOutput(result, target, job, count, overwrite)
            failing.pop_all()
        try:
            yield output
        finally:
            output.leave()


def begun_job(target: Path) -> dict[str, Any]:
    """The job of the unfinished result; empty if there is none, or it is damaged."""
    try:
        with journal_path(target).open("rb") as file:
            return dict(json.loads(file.readline(_HEADER_BYTES))["job"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return {}


def journal_path(target: Path) -> Path:
    """The file that lists the missing parts of an unfinished result."""
    return target.with_name(f".{target.name}.tiles")


def missing_parts(target: Path, start: int, stop: int) -> list[int]:
    """Numbers of the parts ``start ... stop - 1`` that the journal does not have on disk.

    Reads their part of the file alone; without a journal all are missing.
    """
    try:
        with journal_path(target).open("rb") as file:
            offset = len(file.readline(_HEADER_BYTES))
            file.seek(offset + start * _TYPE.itemsize)
            parts = np.frombuffer(file.read((stop - start) * _TYPE.itemsize), _TYPE)
    except FileNotFoundError:
        return list(range(start, stop))
    return (start + np.flatnonzero(parts == _MISSING)).tolist()


@dataclass
class PartialOutput:
    """A result while it is written. One of a single part has no journal and is not kept.

    Raises an ExistingFileError if there is an unfinished result of another job and
    `overwrite` is off, and an UnreadableFileError if the unfinished result is damaged.
    """

    result: Result
    target: Path
    """Its final path, in an existing folder."""
    job: Mapping[str, Any]
    """Everything the result depends on, ready for JSON; its keys (``"model"``,
    ``"source"``) and those of dicts in it appear in messages."""
    count: int
    """Number of parts."""
    overwrite: bool
    """Whether to replace a file at `target`, or an unfinished result of another job."""

    def __post_init__(self) -> None:
        single = self.count <= 1
        owner = f".{os.getpid()}" if single else ""
        self.part = self.target.with_name(f".{self.target.name}{owner}.part")
        """Its path until it is complete."""
        self._file = journal_path(self.target)
        self._journal: Journal | None = None
        self.missing: Sequence[int] = range(self.count)
        """Numbers of the parts that were missing when it was opened, ascending."""
        self.clipped = 0
        """Pixels, in the parts on disk."""
        if not single:
            try:
                self._journal = Journal.reopen(self._file, self.job, self.count)
            except ExistingFileError:
                if not self.overwrite:
                    raise
        journal, is_link = self._journal, self.part.is_symlink()
        if journal is not None and self.part.exists() and not is_link:
            self.result.reopen(self.part)
            self.missing, self.clipped = journal.missing, journal.clipped
            return
        self.forget()  # a journal without its result, or the reverse, or another job's
        with writing(self.target):
            self.result.begin(self.part)
        if not single:
            self._journal = Journal.begin(self._file, self.job, self.count)

    def note(self, number: int, clipped: int) -> None:
        """Record that a part is written; on disk once `keep` is called."""
        self.clipped += clipped
        if self._journal is not None:
            self._journal.note(number, clipped)

    def keep(self) -> None:
        """Force the written parts to the disk, then the journal."""
        if self._journal is not None:
            with writing(self.target):
                self.result.force()
                self._journal.commit()

    def leave(self) -> None:
        """Close it: kept if there is a part to resume from, else removed."""
        with suppress(OSError):  # the disk may be full; parts kept earlier stay
            self.keep()
        self.result.close()
        if self._journal is None or not self._journal.done:
            self.forget()

    def forget(self) -> None:
        """Remove the unfinished result and its journal."""
        self._journal = None
        self._file.unlink(missing_ok=True)
        if self.part.is_dir() and not self.part.is_symlink():
            shutil.rmtree(self.part)
        else:
            self.part.unlink(missing_ok=True)

    def complete(self, finish: Callable[[], None] | None = None) -> None:
        """Finish it, by default with `Result.finish`, and move it to its final path."""
        self.keep()
        target, old = self.target, None
        with writing(target):
            try:
                (finish or self.result.finish)()
            except UnreadableFileError:  # nothing to resume from
                self.forget()
                raise
            self.result.close()
            if target.exists() and not self.overwrite:
                raise ExistingFileError(
                    f"{str(target)!r} was created by another program while the image was "
                    "denoised; move it away, or denoise again with overwrite=True "
                    "(--overwrite)."
                )
            if target.is_dir():  # a folder cannot be replaced by another
                old = target.with_name(f".{target.name}.{os.getpid()}.old")
                os.replace(target, old)
            os.replace(self.part, target)
            force(target.parent)
            if old is not None:
                shutil.rmtree(old)
        self.forget()


class Journal:
    """A file of one line that describes the job, and a table with a number per part.

    It is -1 while the part is missing, then its count of clipped pixels.
    """

    def __init__(self, path: Path, parts: NDArray[np.int64], offset: int) -> None:
        self._path, self._offset = path, offset
        self._parts = parts
        self._noted: list[int] = []

    @classmethod
    def begin(cls, path: Path, job: Mapping[str, Any], count: int) -> Journal:
        """Create the file for `count` missing parts."""
        # Of full size from the start, so parts can be noted when the disk is full.
        parts = np.full(count, _MISSING, _TYPE)
        line = json.dumps({"format": _FORMAT, "count": count, "job": dict(job)})
        header = f"{line}\n".encode()
        with whole_file(path) as part:
            part.write_bytes(header + parts.tobytes())
        return cls(path, parts, len(header))

    @classmethod
    def reopen(cls, path: Path, job: Mapping[str, Any], count: int) -> Journal | None:
        """Open the file; None if missing, an error if of another job or damaged."""
        try:
            with path.open("rb") as file:
                header = file.readline(_HEADER_BYTES)
                table = file.read(count * _TYPE.itemsize + 1)
        except FileNotFoundError:
            return None
        try:
            known = json.loads(header)
            begun, parts = dict(known["job"]), known["count"]
            if known["format"] != _FORMAT:
                raise ValueError("it is of another version")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UnreadableFileError(
                f"{str(path)!r}, which lists the missing parts of an unfinished result, is "
                f"damaged ({type(error).__name__}: {error}); delete it."
            ) from error
        differing = _differing(begun, job)
        if differing or parts != count or len(table) != count * _TYPE.itemsize:
            other = " and ".join(differing) or "number of tiles"
            raise ExistingFileError(
                f"There is an unfinished result in {str(path.parent)!r} ({path.name}), "
                f"begun with another {other}; resume it with the same {other}, or "
                "start over with overwrite=True (--overwrite)."
            )
        return cls(path, np.frombuffer(table, _TYPE).copy(), len(header))

    @property
    def missing(self) -> list[int]:
        """Numbers of the missing parts, ascending."""
        return [int(n) for n in np.flatnonzero(self._parts == _MISSING)]

    @property
    def done(self) -> int:
        """Number of parts that are not missing."""
        return int(np.count_nonzero(self._parts != _MISSING))

    @property
    def clipped(self) -> int:
        """Clipped pixels of all parts on disk."""
        return int(self._parts[self._parts != _MISSING].sum())

    def note(self, number: int, clipped: int) -> None:
        """Record a written part in memory."""
        self._parts[number] = clipped
        self._noted.append(number)

    def commit(self) -> None:
        """Write the noted parts, after their pixels were forced to the disk."""
        if not self._noted:
            return
        with open(self._path, "r+b", buffering=0) as file:
            for number in self._noted:
                file.seek(self._offset + number * _TYPE.itemsize)
                file.write(self._parts[number].tobytes())
            os.fsync(file.fileno())
        self._noted.clear()


def _differing(begun: Mapping[str, Any], job: Mapping[str, Any]) -> list[str]:
    """Keys of `job`, or of the settings in it, that differ from `begun`."""
    found = []
    for word, value in job.items():
        before = begun.get(word)
        if isinstance(value, dict) and isinstance(before, dict):
            found += _differing(before, value)
        elif before != value:
            found.append(_WORDS.get(word, word))
    return found
