"""Notice that a loss does not move any more."""

from __future__ import annotations


class PlateauWatch:
    """Count epochs in which a smoothed loss did not fall.

    Parameters
    ----------
    epochs : int
        How many of them make a plateau; 0 for never.
    tolerance : float
        What does not count as falling, as a share of the lowest loss so far.
    smoothing : float
        Weight of the past in the running mean of the losses, 0 (none) up to below 1.
    """

    def __init__(self, epochs: int, tolerance: float, smoothing: float) -> None:
        self._epochs = epochs
        self._tolerance = tolerance
        self._smoothing = smoothing
        self._mean: float | None = None
        self._lowest: float | None = None
        self._still = 0

    def is_reached(self, loss: float) -> bool:
        """Take in the loss of an epoch; True once for each plateau."""
        before = loss if self._mean is None else self._mean
        self._mean = self._smoothing * before + (1 - self._smoothing) * loss
        lowest = self._lowest
        if lowest is None or self._mean < lowest - self._tolerance * abs(lowest):
            self._lowest, self._still = self._mean, 0
        else:
            self._still += 1
        return self._epochs > 0 and self._still == self._epochs

    def seen(self) -> dict[str, float | None]:
        """What it remembers, fit for JSON."""
        return {"mean": self._mean, "lowest": self._lowest, "still": self._still}

    def restore(self, seen: dict[str, float | None]) -> None:
        """Remember what `seen` returned."""
        self._mean, self._lowest = seen["mean"], seen["lowest"]
        self._still = int(seen["still"] or 0)
