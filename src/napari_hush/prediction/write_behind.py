"""Parts of a result are written while the next ones are denoised."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import TracebackType

    from napari_hush.io.unfinished import Unfinished

__all__ = ["WriteBehind"]

KEPT_EVERY = 5.0
"""Seconds of work that a crash may cost; forcing more often to the disk would slow it."""


class Written(Protocol):
    """A part that knows how it is written."""

    def finish(self) -> int:
        """Write it; the number of pixels that were clipped."""


class WriteBehind:
    """Writes one part at a time, in order, in a thread of its own.

    A part is noted in the journal once it is written. Leaving waits for the part in hand,
    whatever else has happened.

    Parameters
    ----------
    place : Unfinished
        The result that the parts belong to; nobody else may note parts meanwhile.
    """

    def __init__(self, place: Unfinished) -> None:
        self._place = place
        self._pool = ThreadPoolExecutor(1, "hush-writer")
        self._in_hand: Future[None] | None = None
        self._kept = time.monotonic()

    def write(self, number: int, part: Written) -> None:
        """Write `part` before long; waits for the one before it.

        Raises
        ------
        UnwritableFileError
            If that one could not be written.
        """
        self.wait()
        self._in_hand = self._pool.submit(self._write, number, part)

    def wait(self) -> None:
        """Wait until everything is written; raises as `write` does."""
        in_hand, self._in_hand = self._in_hand, None
        if in_hand is not None:
            in_hand.result()

    def __enter__(self) -> WriteBehind:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()
        elif self._in_hand is not None and (other := self._in_hand.exception()):
            error.add_note(f"The part in hand could not be written either: {other}")

    def _write(self, number: int, part: Written) -> None:
        self._place.note(number, part.finish())
        if time.monotonic() - self._kept >= KEPT_EVERY:
            self._place.keep()
            self._kept = time.monotonic()
