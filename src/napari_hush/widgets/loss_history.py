"""The losses of one run, and the smooth line through them. No Qt here."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LossHistory"]

SMOOTHING = 0.02
"""Weight of a new step in the moving average, from step 2500 on."""


class LossHistory:
    """Training loss per optimizer step, and validation loss per epoch.

    Attributes
    ----------
    steps : list of int
        Number of each step, from 1.
    train, smooth : list of float
        Its loss, and the moving average of the losses up to it.
    val_steps : list of int
        After which step each validation was.
    val : list of float
        Its loss.
    """

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.train: list[float] = []
        self.smooth: list[float] = []
        self.val_steps: list[int] = []
        self.val: list[float] = []

    def add_steps(self, first_step: int, losses: tuple[float, ...]) -> None:
        """Append the losses of the steps from `first_step` (counted from 0) on."""
        for offset, loss in enumerate(losses):
            self.steps.append(first_step + offset + 1)
            self.train.append(loss)
            # Quick at first, where the loss falls steeply, then ever calmer.
            weight = max(SMOOTHING, 1 / math.sqrt(len(self.train)))
            before = self.smooth[-1] if self.smooth else loss
            self.smooth.append(before + weight * (loss - before))

    def add_validation(self, step: int, loss: float) -> None:
        """Append the validation loss measured after `step` optimizer steps."""
        self.val_steps.append(step)
        self.val.append(loss)

    def val_before(self, step: int) -> float | None:
        """The last validation loss up to `step`; None if there was none yet."""
        number = bisect.bisect_right(self.val_steps, step)
        return self.val[number - 1] if number else None

    @property
    def fits_log_axis(self) -> bool:
        """Whether every loss is finite and above zero."""
        values: NDArray[np.float64] = np.array(self.train + self.val)
        return bool(np.all(np.isfinite(values)) and np.all(values > 0))
