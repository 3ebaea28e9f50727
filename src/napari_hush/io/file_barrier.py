"""How processes that write parts of one result find each other: by files beside it.

The parts do not depend on each other, so the processes need no connection. One of them
that is lost can be started again, on another machine as well.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from napari_hush.errors import LostProcessError
from napari_hush.system.atomic_write import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_EVERY = 0.2
"""Seconds between two looks at what the others have done."""


class FileBarrier:
    """The processes of one job, seen from one of them.

    Parameters
    ----------
    target : Path
        Place of the result; the files lie beside it and begin with a dot.
    rank, ranks : int
        Number of this process, and of how many.
    job : str
        What distinguishes this start of the job from earlier ones.
    timeout : float
        Seconds without any progress after which the others count as lost.
    """

    def __init__(
        self, target: Path, rank: int, ranks: int, job: str, timeout: float
    ) -> None:
        self.rank, self.ranks = rank, ranks
        self._target, self._job, self._timeout = target, job, timeout

    @property
    def is_first(self) -> bool:
        """Whether this process begins the result and gives it its name."""
        return self.rank == 0

    def mine(self, numbers: list[int]) -> list[int]:
        """Those of all `numbers` of parts that are for this process."""
        return [number for number in numbers if number % self.ranks == self.rank]

    def begin(self) -> None:
        """Tell the others, as the first process, that the result can be written to."""
        self.forget()
        self._tell(0, 0)

    def join(self) -> None:
        """Wait, as another process, until the result can be written to.

        Raises
        ------
        LostProcessError
            If it cannot for too long.
        """
        began = time.monotonic()
        while self._told(0) is None:
            if time.monotonic() - began > self._timeout:
                raise self._lost(0)
            time.sleep(_EVERY)

    def leave(self, clipped: int) -> None:
        """Tell the first process that this one has done its part.

        Parameters
        ----------
        clipped : int
            Pixels that were clipped.
        """
        self._tell(self.rank, clipped)

    def gather(self, missing: Callable[[], int]) -> int:
        """Wait, as the first process, for all others; the pixels that they clipped.

        Parameters
        ----------
        missing : callable
            How many parts are missing; as long as it falls, nobody counts as lost.

        Raises
        ------
        LostProcessError
            If nothing happens for too long.
        """
        least, moved = missing(), time.monotonic()
        while True:
            told = [self._told(rank) for rank in range(1, self.ranks)]
            clipped = [number for number in told if number is not None]
            if len(clipped) == len(told):
                self.forget()
                return sum(clipped)
            now = missing()
            if now < least:
                least, moved = now, time.monotonic()
            if time.monotonic() - moved > self._timeout:
                raise self._lost(told.index(None) + 1)
            time.sleep(_EVERY)

    def forget(self) -> None:
        """Remove the files."""
        for rank in range(self.ranks):
            self._file(rank).unlink(missing_ok=True)

    def _file(self, rank: int) -> Path:
        return self._target.with_name(f".{self._target.name}.process-{rank}")

    def _tell(self, rank: int, number: int) -> None:
        with whole_file(self._file(rank)) as part:
            part.write_text(json.dumps([self._job, number]), encoding="utf-8")

    def _told(self, rank: int) -> int | None:
        """What a process told in this job; None as long as it did not."""
        try:
            job, number = json.loads(self._file(rank).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        return int(number) if job == self._job else None

    def _lost(self, rank: int) -> LostProcessError:
        return LostProcessError(
            f"Process {rank} of {self.ranks} did nothing for {self._timeout:g} s, so it "
            f"counts as lost; give the same command again, and {self._target.name!r} goes "
            "on with the parts that are missing."
        )
