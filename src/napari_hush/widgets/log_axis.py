"""A logarithmic axis with few labels: 1, 2 and 5 of every power of ten."""

from __future__ import annotations

import math

import pyqtgraph as pg

__all__ = ["LogAxis"]

FACTORS = (1, 2, 5)
MANY_DECADES = 3
"""From here on only the powers of ten are labelled."""


class LogAxis(pg.AxisItem):
    """Labels 0.1, 0.2, 0.5, 1 … when logarithmic; as its parent when linear."""

    def logTickValues(
        self, minVal: float, maxVal: float, size: float, stdTicks: object
    ) -> list[tuple[float | None, list[float]]]:
        """Give the places of the labels, as powers of ten, between the two ends."""
        decades = range(math.floor(minVal), math.ceil(maxVal) + 1)
        factors = FACTORS if maxVal - minVal < MANY_DECADES else FACTORS[:1]
        places = [decade + math.log10(factor) for decade in decades for factor in factors]
        return [(None, [place for place in places if minVal <= place <= maxVal])]
