"""Synchronizes processes that write parts of one result, through files next to it.

The parts are independent, so the processes need no network connection to each other, and
a process that was lost can be restarted, even on another machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_hush.errors import LostProcessError
from napari_hush.system.atomic_write import whole_file

_POLL_INTERVAL = 0.2
"""Seconds between checks of the files of the other processes."""


@dataclass(frozen=True)
class FileBarrier:
    """One of the processes of a job; it waits for the others and reports to them."""

    target: Path
    """Path of the result; the files are next to it, with names that begin with a dot."""
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

    def start(self) -> None:
        """Let the other processes start; called by the first process."""
        self.remove_files()
        self._send(0, 0)

    def wait_for_start(self) -> None:
        """Wait for `start` of the first process; LostProcessError after `timeout` s."""
        began = time.monotonic()
        while self._received(0) is None:
            if time.monotonic() - began > self.timeout:
                raise self._lost(0)
            time.sleep(_POLL_INTERVAL)

    def report_done(self, clipped: int) -> None:
        """Report that this process is done, and how many pixels it clipped."""
        self._send(self.rank, clipped)

    def wait_for_others(self, missing: Callable[[], int]) -> int:
        """In the first process, wait for all others; return their clipped pixels.

        `missing` returns the number of missing parts; while it falls, no process counts as
        lost. Raises a LostProcessError after `timeout` seconds without progress.
        """
        fewest, last_progress = missing(), time.monotonic()
        while True:
            received = [self._received(rank) for rank in range(1, self.ranks)]
            clipped = [number for number in received if number is not None]
            if len(clipped) == len(received):
                self.remove_files()
                return sum(clipped)
            now = missing()
            if now < fewest:
                fewest, last_progress = now, time.monotonic()
            if time.monotonic() - last_progress > self.timeout:
                raise self._lost(received.index(None) + 1)
            time.sleep(_POLL_INTERVAL)

    def remove_files(self) -> None:
        """Remove the files of all processes."""
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
