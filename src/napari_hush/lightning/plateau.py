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
        self._lowest = float("inf")
        self._still = 0

    def is_reached(self, loss: float) -> bool:
        """Take in the loss of an epoch; True once for each plateau."""
        before = loss if self._mean is None else self._mean
        self._mean = self._smoothing * before + (1 - self._smoothing) * loss
        if self._mean < self._lowest - self._tolerance * abs(self._lowest) or (
            self._lowest == float("inf")
        ):
            self._lowest = self._mean
            self._still = 0
        else:
            self._still += 1
        return self._epochs > 0 and self._still == self._epochs
