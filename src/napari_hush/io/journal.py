"""Which parts of an unfinished result are on the disk already."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import ExistingFileError, UnreadableFileError
from napari_hush.writing import whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

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
