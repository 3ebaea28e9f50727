"""Synchronises processes that write parts of one result, by files beside it.

The parts are independent, so the processes need no connection, and a lost one can be
restarted, even on another machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_hush.errors import LostProcessError
from napari_hush.system.atomic_write import whole_file

_EVERY = 0.2
"""Seconds between two looks at the files of the other processes."""


@dataclass(frozen=True)
class FileBarrier:
    """The processes of one job, seen from one of them."""

    target: Path
    """Path of the result; the files lie beside it and begin with a dot."""
    rank: int
    """Number of this process."""
    ranks: int
    """Number of processes."""
    job: str
    """Distinguishes this start of the job from earlier ones."""
    timeout: float
    """Seconds without progress after which the others count as lost."""

    @property
    def is_first(self) -> bool:
        """Whether this process begins the result and moves it to its final path."""
        return self.rank == 0

    def mine(self, numbers: list[int]) -> list[int]:
        """The parts among `numbers` that this process writes."""
        return [number for number in numbers if number % self.ranks == self.rank]

    def begin(self) -> None:
        """Let the others start; called by the first process."""
        self.forget()
        self._send(0, 0)

    def join(self) -> None:
        """Wait for the first process to begin; LostProcessError after `timeout` seconds."""
        began = time.monotonic()
        while self._received(0) is None:
            if time.monotonic() - began > self.timeout:
                raise self._lost(0)
            time.sleep(_EVERY)

    def leave(self, clipped: int) -> None:
        """Report that this process is done, and its number of clipped pixels."""
        self._send(self.rank, clipped)

    def gather(self, missing: Callable[[], int]) -> int:
        """Wait, in the first process, for all others; returns their clipped pixels.

        No process counts as lost while `missing`, the number of missing parts, falls.
        Raises a LostProcessError after `timeout` seconds without progress.
        """
        least, moved = missing(), time.monotonic()
        while True:
            received = [self._received(rank) for rank in range(1, self.ranks)]
            clipped = [number for number in received if number is not None]
            if len(clipped) == len(received):
                self.forget()
                return sum(clipped)
            now = missing()
            if now < least:
                least, moved = now, time.monotonic()
            if time.monotonic() - moved > self.timeout:
                raise self._lost(received.index(None) + 1)
            time.sleep(_EVERY)

    def forget(self) -> None:
        """Remove the files."""
        for rank in range(self.ranks):
            self._file(rank).unlink(missing_ok=True)

    def _file(self, rank: int) -> Path:
        return self.target.with_name(f".{self.target.name}.process-{rank}")

    def _send(self, rank: int, number: int) -> None:
        with whole_file(self._file(rank)) as part:
            part.write_text(json.dumps([self.job, number]), encoding="utf-8")

    def _received(self, rank: int) -> int | None:
        """The number that a process sent in this job, or None."""
        try:
            job, number = json.loads(self._file(rank).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return int(number) if job == self.job else None

    def _lost(self, rank: int) -> LostProcessError:
        return LostProcessError(
            f"Process {rank} of {self.ranks} made no progress for {self.timeout:g} s and "
            f"counts as lost; run the same command again to resume {self.target.name!r}."
        )
