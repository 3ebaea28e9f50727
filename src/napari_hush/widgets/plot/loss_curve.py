"""Losses of a run with their moving average, and the scales of a plot. No Qt here."""

from __future__ import annotations

import bisect
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMOOTHING = 0.02
"""Weight of a new step in the moving average, from step 2500 on."""


@dataclass
class LossCurve:
    """Training loss per optimizer step, and validation loss per epoch."""

    steps: list[int] = field(default_factory=list)
    """Number of each step, from 1."""
    train: list[float] = field(default_factory=list)
    smooth: list[float] = field(default_factory=list)
    """Moving average of `train`."""
    val_steps: list[int] = field(default_factory=list)
    """Number of steps done before each validation."""
    val: list[float] = field(default_factory=list)

    def add_steps(self, first_step: int, losses: tuple[float, ...]) -> None:
        """Append the losses of the steps from `first_step` (counted from 0) on."""
        for offset, loss in enumerate(losses):
            self.steps.append(first_step + offset + 1)
            self.train.append(loss)
            # Follows the loss closely at first, where it falls steeply.
            weight = max(SMOOTHING, 1 / math.sqrt(len(self.train)))
            before = self.smooth[-1] if self.smooth else loss
            self.smooth.append(before + weight * (loss - before))

    def add_validation(self, step: int, loss: float) -> None:
        """Append the validation loss measured after `step` optimizer steps."""
        self.val_steps.append(step)
        self.val.append(loss)

    def until(self, step: int) -> LossCurve:
        """A copy up to `step`, counted from 1."""
        train = bisect.bisect_right(self.steps, step)
        val = bisect.bisect_right(self.val_steps, step)
        return LossCurve(
            self.steps[:train],
            self.train[:train],
            self.smooth[:train],
            self.val_steps[:val],
            self.val[:val],
        )

    def val_before(self, step: int) -> float | None:
        """The last validation loss up to `step`; None if there was none yet."""
        number = bisect.bisect_right(self.val_steps, step)
        return self.val[number - 1] if number else None

    @property
    def fits_log_axis(self) -> bool:
        """Whether every loss is finite and above zero."""
        values: NDArray[np.float64] = np.array(self.train + self.val)
        return bool(np.all(np.isfinite(values)) and np.all(values > 0))


def write_csv(path: Path, runs: Sequence[LossCurve]) -> None:
    """Write `runs` as a table with a row per step."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        losses = ("training_loss", "training_loss_smoothed", "validation_loss")
        table.writerow(("run", "step", *losses))
        for number, run in enumerate(runs, start=1):
            val = dict(zip(run.val_steps, run.val, strict=True))
            for row in zip(run.steps, run.train, run.smooth, strict=True):
                table.writerow((number, *row, val.get(row[0], "")))


FACTORS = (1, 2, 5)
"""Labels are these times a power of ten."""
LOG_FACTORS = ((1, 2, 3, 5, 7), FACTORS, (1,))
"""Factors on a logarithmic axis, the most that there is room for."""
PADDING = 0.05
"""Margin at both ends, as a share of the range."""


@dataclass(frozen=True)
class ChartAxis:
    """From `low` to `high`, in the values' unit or in powers of ten if `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def around(cls, values: ArrayLike, *, log: bool) -> ChartAxis:
        """An axis that spans the finite `values`, which are above 0 if `log`."""
        finite = np.asarray(values, np.float64)
        finite = finite[np.isfinite(finite)]
        if not finite.size:
            return cls(0.0, 1.0)
        if log:
            finite = np.log10(finite)
        low, high = float(finite.min()), float(finite.max())
        margin = PADDING * (high - low) or 0.5 * (1.0 if log else abs(high)) or 0.5
        return cls(low - margin, high + margin, log)

    def share(self, values: ArrayLike) -> NDArray[np.float64]:
        """Positions of `values`, from 0 at the lower end to 1 at the upper."""
        places = np.asarray(values, np.float64)
        if self.log:
            places = np.log10(places)
        shares: NDArray[np.float64] = (places - self.low) / (self.high - self.low)
        return shares

    def labels(self, most: int) -> list[float]:
        """Round values on the axis, about `most`."""
        if self.log:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            for factors in LOG_FACTORS:
                values = [factor * 10.0**decade for decade in decades for factor in factors]
                values = [v for v in values if self.low <= math.log10(v) <= self.high]
                if 2 <= len(values) <= 2 * most:
                    return values
            if len(values) > 2 * most:
                return values[:: max(1, len(values) // max(1, most))]
            return _round_values(10.0**self.low, 10.0**self.high, most)
        return _round_values(self.low, self.high, most)


def _round_values(low: float, high: float, most: int) -> list[float]:
    """Round values from `low` to `high`, at equal distances."""
    step = _round_step((high - low) / max(1, most))
    first, last = math.ceil(low / step), math.floor(high / step)
    return [step * number for number in range(first, last + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10 … times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(
        factor * power for factor in (*FACTORS, 10) if factor * power >= least * 0.999
    )
