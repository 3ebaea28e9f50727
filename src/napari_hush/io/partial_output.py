"""A result from its first pixel on disk to its name: kept when the job is cut off."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import ExistingFileError, UnreadableFileError
from napari_hush.system.atomic_write import force, whole_file, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_hush.io.file_barrier import FileBarrier
    from napari_hush.io.output import Result

_FORMAT = "napari-hush unfinished result 1"
_TYPE = np.dtype("<i8")
_MISSING = -1
_HEADER_BYTES = 2**20
"""Size that the description of a job does not have."""


class Journal:
    """A file beside an unfinished result, of a line that says what job it is and a table.

    The table has a number for each part of the work: -1 while it is missing, then how many
    of its pixels were clipped. It has its full size from the start, so that a part can be
    noted when the disk is full. What is noted is on the disk: `commit` is called once the
    pixels are.

    Parameters
    ----------
    path : Path
        The file.
    parts : ndarray of int64
        The table.
    offset : int
        Where it begins in the file.
    """

    def __init__(self, path: Path, parts: NDArray[np.int64], offset: int) -> None:
        self._path, self._offset = path, offset
        self._parts = parts
        self._noted: list[int] = []

    @classmethod
    def begin(cls, path: Path, job: Mapping[str, Any], count: int) -> Journal:
        """A new one, for `count` parts that are all missing.

        Parameters
        ----------
        path : Path
            The file, which appears once it is whole.
        job : mapping
            What makes the result what it is, as JSON has it, by words that a message may
            use (``"model"``, ``"source"``, ``"settings"``).
        count : int
            Number of parts.
        """
        parts = np.full(count, _MISSING, _TYPE)
        line = json.dumps({"format": _FORMAT, "count": count, "job": dict(job)})
        header = f"{line}\n".encode()
        with whole_file(path) as part:
            part.write_bytes(header + parts.tobytes())
        return cls(path, parts, len(header))

    @classmethod
    def reopen(cls, path: Path, job: Mapping[str, Any], count: int) -> Journal | None:
        """The one that was begun; None if there is none.

        Raises
        ------
        ExistingFileError
            If it is of another job; says in what it differs.
        UnreadableFileError
            If it is damaged.
        """
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
                f"{str(path)!r} should say what is missing of an unfinished result, but is "
                f"damaged ({type(error).__name__}: {error}); delete it."
            ) from error
        differing = [word for word in job if begun.get(word) != job[word]]
        if differing or parts != count or len(table) != count * _TYPE.itemsize:
            other = " and ".join(differing) or "number of tiles"
            raise ExistingFileError(
                f"An unfinished result lies in {str(path.parent)!r} ({path.name}), begun "
                f"with another {other}; go on as it was begun, or begin anew (overwrite)."
            )
        return cls(path, np.frombuffer(table, _TYPE).copy(), len(header))

    @property
    def missing(self) -> list[int]:
        """Numbers of the parts that are missing, ascending."""
        return [int(n) for n in np.flatnonzero(self._parts == _MISSING)]

    @property
    def clipped(self) -> int:
        """Clipped pixels of all parts that are there."""
        return int(self._parts[self._parts != _MISSING].sum())

    def note(self, number: int, clipped: int) -> None:
        """Keep in mind that a part was written."""
        self._parts[number] = clipped
        self._noted.append(number)

    def commit(self) -> None:
        """Write down what was noted, once its pixels were forced to the disk."""
        if not self._noted:
            return
        with open(self._path, "r+b", buffering=0) as file:
            for number in self._noted:
                file.seek(self._offset + number * _TYPE.itemsize)
                file.write(self._parts[number].tobytes())
            os.fsync(file.fileno())
        self._noted.clear()


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class PartialOutput:
    """A result that is being written beside its place, under a name that starts with a dot.

    Beside it lies a journal that says which parts are there. Both stay when the job is cut
    off, so that the same job can go on. A result of a single part has none and does not
    stay.

    Parameters
    ----------
    result : Result
        What writes it.
    target : Path
        Its place once it is whole, in a folder that is there.
    job : mapping
        What makes the result what it is; see `Journal.begin`.
    count : int
        Number of parts.
    overwrite : bool
        It may replace what is at `target`, and an unfinished one of another job.
    meeting : Meeting, optional
        Of several processes that write the parts of one result. The first one begins it
        and gives it its name.

    Raises
    ------
    ExistingFileError
        If an unfinished result of another job is there and `overwrite` is off.
    UnreadableFileError
        If what is there is damaged.
    LostProcessError
        If the first process does not begin.

    Attributes
    ----------
    missing : list of int
        Numbers of the parts that are missing, of those that are for this process.
    clipped : int
        Clipped pixels of those that are there.
    """

    def __init__(
        self,
        result: Result,
        target: Path,
        job: Mapping[str, Any],
        count: int,
        *,
        overwrite: bool,
        meeting: FileBarrier | None = None,
    ) -> None:
        self._meeting = meeting
        self._result, self._target, self._overwrite = result, target, overwrite
        self._count = count
        self._job = dict(job)
        single = count <= 1 and meeting is None
        owner = f".{os.getpid()}" if single else ""
        self._part = target.with_name(f".{target.name}{owner}.part")
        self._file = target.with_name(f".{target.name}.tiles")
        self._journal: Journal | None = None
        self.missing, self.clipped = list(range(count)), 0
        if meeting is not None and not meeting.is_first:
            self._join(meeting)
            return
        self._begin(single=single)
        if meeting is not None:
            self.missing = meeting.mine(self.missing)
            meeting.begin()

    def _begin(self, *, single: bool) -> None:
        job, count, overwrite = self._job, self._count, self._overwrite
        result, target = self._result, self._target
        if not single:
            try:
                self._journal = Journal.reopen(self._file, job, count)
            except ExistingFileError:
                if not overwrite:
                    raise
        if self._journal is not None and self._part.exists():
            result.go_on(self._part)
            self.missing, self.clipped = self._journal.missing, self._journal.clipped
            return
        self.forget()  # what is there without the other, or of another job
        with writing(target):
            result.begin(self._part)
        if not single:
            self._journal = Journal.begin(self._file, job, count)

    def _join(self, meeting: FileBarrier) -> None:
        """Write to what the first process has begun."""
        meeting.join()
        self._journal = self._reopened()
        self._result.go_on(self._part, alone=False)
        self.missing = meeting.mine(self._journal.missing)

    def _reopened(self) -> Journal:
        journal = Journal.reopen(self._file, self._job, self._count)
        if journal is None:
            raise UnreadableFileError(
                f"The unfinished result of {str(self._target)!r} has gone; give the same "
                "command again."
            )
        return journal

    def note(self, number: int, clipped: int) -> None:
        """A part was written."""
        self.clipped += clipped
        if self._journal is not None:
            self._journal.note(number, clipped)

    def keep(self) -> None:
        """Force the parts that were written to the disk, and write down which they are."""
        if self._journal is not None:
            with writing(self._target):
                self._result.force()
                self._journal.commit()

    def leave(self) -> None:
        """Let go of it: kept if a part is there that can be gone on from, else removed."""
        with suppress(OSError):  # the disk may be full; what was kept before stays
            self.keep()
        self._result.close()
        if self._meeting is not None:  # others may be writing to it
            return
        if self._journal is None or len(self._journal.missing) == self._count:
            self.forget()

    def forget(self) -> None:
        """Remove what is there of it."""
        self._journal = None
        if self._meeting is not None and not self._meeting.is_first:
            return
        self._file.unlink(missing_ok=True)
        _remove(self._part)

    def complete(self) -> None:
        """Give it its name; where others write to it as well, once they are done.

        Raises
        ------
        ExistingFileError
            If something of that name has come up meanwhile and may not be replaced.
        LostProcessError
            If another process does nothing any more.
        """
        self.keep()
        if self._meeting is not None:
            if not self._meeting.is_first:
                self._meeting.leave(self.clipped)
                return
            self.clipped += self._meeting.gather(lambda: len(self._reopened().missing))
        target, old = self._target, None
        with writing(target):
            self._result.finish()
            self._result.close()
            if target.exists() and not self._overwrite:
                raise ExistingFileError(
                    f"{str(target)!r} came into being meanwhile; move it away and denoise "
                    "again, or allow it to be replaced (overwrite)."
                )
            if target.is_dir():  # a folder cannot take the place of another
                old = target.with_name(f".{target.name}.{os.getpid()}.old")
                os.replace(target, old)
            os.replace(self._part, target)
            force(target.parent)
            if old is not None:
                shutil.rmtree(old)
        self.forget()


@contextmanager
def open_partial_output(
    result: Result,
    target: Path,
    job: Mapping[str, Any],
    count: int,
    *,
    overwrite: bool,
    meeting: FileBarrier | None = None,
) -> Iterator[PartialOutput]:
    """Begin a result, or go on with it; whatever happens inside, what is there is kept.

    Parameters and errors are those of `PartialOutput`.

    Raises
    ------
    ExistingFileError
        If another process is writing this result.
    """
    with nullcontext() if meeting and not meeting.is_first else _locked(target):
        with ExitStack() as failing:
            failing.callback(result.close)
            place = PartialOutput(
                result, target, job, count, overwrite=overwrite, meeting=meeting
            )
            failing.pop_all()
        try:
            yield place
        finally:
            place.leave()


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep other processes from writing the same result, as long as this one lives."""
    if fcntl is None:
        yield
        return
    path = target.with_name(f".{target.name}.lock")
    with writing(target):
        file = open(path, "wb")  # noqa: SIM115  (what happens inside is not writing)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExistingFileError(
                f"{str(target)!r} is being written by another process; wait for it, or "
                "give another name."
            ) from error
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
