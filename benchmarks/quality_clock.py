"""Keeps pictures in the middle of a training, on either side of `quality.py`."""

from __future__ import annotations

import time
from typing import Any


class Marks:
    """What a callback of Lightning's needs to keep pictures after some of the steps.

    Free of Lightning, because the two sides import it under different names. The time that
    keeping takes does not count.

    Parameters
    ----------
    marks : list of int
        Optimizer steps; 0 is before the first.
    keep : callable
        Called with the module after each of them.

    Attributes
    ----------
    seconds : list of float
        How long training had taken by then.
    """

    def __init__(self, marks: list[int], keep: Any) -> None:
        self.marks, self._keep = marks, keep
        self.seconds: list[float] = []
        self._apart = 0.0

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Start the clock."""
        self._start = time.perf_counter()
        if 0 in self.marks:
            self._keep_now(module)

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        """Keep the picture if it is time."""
        if trainer.global_step in self.marks:
            self._keep_now(module)

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Keep the last picture for marks that a training did not reach: it may stop."""
        for _ in self.marks[len(self.seconds) :]:
            self._keep_now(module)

    def _keep_now(self, module: Any) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._start - self._apart)
        self._keep(module)
        self._apart += time.perf_counter() - now
