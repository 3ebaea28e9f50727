"""Contrast limits of results that have other gray values than their source. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.models import Model

Limits = tuple[float, float]

PERCENTILES = (0.1, 99.9)
"""A few hot or dead pixels do not decide the contrast."""
SAMPLED = 2**12
"""Pixels of each tile that are looked at, about."""
CLOSE = 0.03
"""Limits that move less, in shares of their distance, stay: contrast shall not flicker."""
KEPT = 2**17
"""Pixels that are kept; of more, every second one."""
SAME_MEAN, SAME_SPREAD = 0.1, 1.5
"""Means that differ by less than this share of the standard deviation are of the same gray
values, unless those of the targets vary so much more."""


def other_gray_values(model: Model) -> float | None:
    """Spread of the targets if their gray values are not those of the noisy images.

    None for methods without targets, and for targets with the gray values of the images:
    results then keep the contrast limits of their source.
    """
    target, noisy = model.target_normalization, model.normalization
    if target is None:
        return None
    spread = max(target.scales)
    if len(target.means) != len(noisy.means):
        return spread
    pairs = zip(target.means, target.scales, noisy.means, noisy.scales, strict=True)
    same = all(
        abs(mean - before) <= SAME_MEAN * std_before and std <= SAME_SPREAD * std_before
        for mean, std, before, std_before in pairs
    )
    return None if same else spread


class RobustLimits:
    """Contrast limits of an image that arrives in parts.

    They are percentiles of a sample of all parts, and at least `least` apart, so that an
    image without contrast stays gray.
    """

    def __init__(self, least: float) -> None:
        self._least = least
        self._sample: NDArray[Any] = np.empty(0, np.float32)
        self._step = 1
        self._next = 0
        self.value: Limits | None = None
        """Low and high gray value; None before the first part."""

    def add(self, pixels: NDArray[Any]) -> None:
        """Take the next part into account, of any shape."""
        step = self._step * max(1, pixels.size // SAMPLED) | 1  # odd: no single column
        some = pixels.ravel()[::step]
        self._sample = np.append(self._sample, some[np.isfinite(some)])
        if self._sample.size > KEPT:
            self._sample = self._sample[::2]
            self._step *= 2
        if self._sample.size > self._next:  # once for many small parts
            self._next = int(1.2 * self._sample.size)
            self.value = self._measured()

    def finish(self) -> Limits | None:
        """The limits of all parts; None without any."""
        if self._sample.size:
            self.value = self._measured()
        return self.value

    def _measured(self) -> Limits:
        low, high = map(float, np.percentile(self._sample, PERCENTILES))
        missing = max(0.0, self._least - (high - low)) / 2
        low, high = low - missing, high + missing
        return (low, high) if high > low else (low, low + 1)


def limits_of(pixels: NDArray[Any], least: float) -> Limits | None:
    """Contrast limits of an image, at least `least` apart; None without finite pixels."""
    limits = RobustLimits(least)
    limits.add(pixels)
    return limits.value


class FollowedLimits:
    """Gives `layer` new contrast limits until somebody else changes them."""

    def __init__(self, layer: Image) -> None:
        self._layer = layer
        self._given = list(layer.contrast_limits)

    def set(self, limits: Limits | None) -> None:
        """Show `limits`, unless None or much like those that are shown."""
        if limits is None or list(self._layer.contrast_limits) != self._given:
            return
        near = CLOSE * (limits[1] - limits[0])
        if np.allclose(limits, self._given, rtol=0, atol=near):
            return
        self._layer.contrast_limits = limits
        self._given = list(self._layer.contrast_limits)
