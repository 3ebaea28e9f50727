"""Small parts of an image where the residual is far from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.quality.sampling import Floats

FAR = 15.0
"""Standard deviations of the smoothed residual from which a place is said. On the images of
docs/dev/quality.md the ground truth reaches 7, good results 9, and two of them 12."""
_SCALES = (1.5, 3.0)  # sigma of the Gaussian, in pixels
_WIDE = 4.0  # of the blur that is taken off, times that
_CLIPPED = 4.0  # standard deviations up to which one pixel counts
_LEVELS = 16  # of brightness, for the noise
_MOST_PLANES = 2**22  # pixels


def strangest_place(
    noisy: Floats, residual: Floats
) -> tuple[float, tuple[int, int, int]] | None:
    """The place ``(n, Y, X)`` where the residual ``(n, Y, X)`` is least like noise.

    Also how far from noise it is, in standard deviations of the smoothed residual. None
    where the residual does not vary.
    """
    few = max(1, _MOST_PLANES // noisy[0].size)
    chosen = np.unique(np.linspace(0, len(noisy) - 1, few).astype(int))
    scaled = _scaled(noisy[chosen] - residual[chosen], residual[chosen])
    best: tuple[float, tuple[int, int, int]] | None = None
    for sigma in _SCALES:
        smooth = _between(scaled, sigma, _WIDE * sigma)
        spread = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
        white = np.sqrt(0.827 / (4 * np.pi)) / sigma  # of the smoothed noise of variance 1
        if not smooth.any():
            continue
        place = np.unravel_index(int(np.abs(smooth).argmax()), smooth.shape)
        distance = float(np.abs(smooth[place])) / max(white, spread)
        if best is None or distance > best[0]:
            number, y, x = map(int, place)
            best = distance, (int(chosen[number]), y, x)
    return best


def _between(planes: Floats, narrow: float, wide: float) -> NDArray[np.float64]:
    """Planes blurred by a Gaussian of sigma `narrow`, less those blurred by `wide`."""
    height, width = planes.shape[-2:]
    squares = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    passed = [np.exp(-2 * (np.pi * sigma) ** 2 * squares) for sigma in (narrow, wide)]
    kept = passed[0] - passed[1]
    return np.stack(
        [np.fft.irfft2(np.fft.rfft2(plane) * kept, (height, width)) for plane in planes]
    )


def _scaled(result: Floats, residual: Floats) -> NDArray[np.float64]:
    """The residual, clipped, in units of its spread at the brightness of the result."""
    edges = np.quantile(result, np.arange(1, _LEVELS) / _LEVELS)
    levels = np.searchsorted(edges, result)
    scaled = np.zeros_like(residual)
    for level in np.unique(levels):
        of_level = levels == level
        values = residual[of_level]
        low, middle, high = np.percentile(values, (1, 50, 99))
        usual = values[(values >= low) & (values <= high)]
        spread = float(usual.std()) or 1.0
        scaled[of_level] = np.clip((values - middle) / spread, -_CLIPPED, _CLIPPED)
    return scaled
