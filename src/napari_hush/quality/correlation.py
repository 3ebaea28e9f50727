"""Autocorrelation of the noise, estimated from a single image.

Structure is smooth, and so is correlated noise: the autocorrelation of the raw pixels does
not separate the two. Three steps do.

- Correlation along X is measured on second differences along Y. They remove nearly all
  structure, which is smooth along Y as well, and keep the correlation along X.
- It is measured in many small blocks, of which a low quantile is used: structure can only
  add correlation, and some blocks have little of it.
- Off the axes, where no difference helps, the flattest blocks are used as they are. Their
  excess along the axes is structure, which is interpolated and subtracted.

For white noise the quantile is below zero by chance, which is corrected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LAGS = 10
"""Largest lag in pixels, where blocks are large enough."""

_QUANTILE = 0.2  # share of the blocks that count as flat
_BELOW = 0.84  # that quantile of a normal distribution, in standard deviations
_MEAN_BELOW = 1.4  # mean of the values below it
_OF_QUANTILE = 1.4  # scatter of that quantile over the scatter of the mean
_MOST_STRUCTURE = 0.95
_SECOND_DIFFERENCE = 70 / 36  # its factor on the variance of a correlation
_MIXED_DIFFERENCE = 9 / 4  # the same for first differences along two axes


@dataclass(frozen=True, eq=False)
class NoiseCorrelation:
    """Autocorrelation of the noise of one channel."""

    map: NDArray[np.float64]
    """``(2 L + 1, 2 L + 1)`` float64, offsets along Y and X in pixels, lag 0 with a value
    of 1 in the center; about 0 for independent pixels."""
    z: NDArray[np.float64]
    """Lags 0, 1, ... along Z; only lag 0 without Z."""
    structure: float
    """Share of structure in the variance of the flattest blocks, 0 to 1."""
    scatter: float
    """Standard error of the values along the axes if the noise is white."""

    @property
    def x(self) -> NDArray[np.float64]:
        """Lags 0 to L along X."""
        centre = len(self.map) // 2
        return self.map[centre, centre:]

    @property
    def y(self) -> NDArray[np.float64]:
        """Lags 0 to L along Y."""
        centre = len(self.map) // 2
        return self.map[centre:, centre]


def noise_correlation(blocks: Floats, rounding: float) -> NoiseCorrelation | None:
    """Estimate the autocorrelation of the noise; None if no block has any noise.

    `blocks` are ``(n, Z, side, side)``, the side 16 pixels or more; differences below
    `rounding`, relative to the pixels, are no noise.
    """
    planes = blocks.reshape(-1, *blocks.shape[-2:])
    least = (np.abs(planes).max((1, 2)) * rounding) ** 2
    lags = min(LAGS, planes.shape[-1] // 2 - 1)
    along_x = _along_rows(planes, lags, least)
    along_y = _along_rows(planes.swapaxes(1, 2), lags, least)
    raw = _flattest(planes, lags, least)
    if along_x is None or along_y is None or raw is None:
        return None
    values, structure = _without_structure(raw, along_y, along_x)
    one = np.sqrt(_SECOND_DIFFERENCE) / planes.shape[-1]
    scatter = float(one * min(1, _OF_QUANTILE / np.sqrt(len(planes))))
    return NoiseCorrelation(values, _along_z(blocks), structure, scatter)


def autocovariance(blocks: Floats, lags: int) -> NDArray[np.float64]:
    """Autocovariance ``(n, 2 lags + 1, 2 lags + 1)`` of blocks ``(n, height, width)``.

    The blocks have a mean of 0; `lags` is smaller than height and width.
    """
    height, width = blocks.shape[-2:]
    padded = (height + lags, width + lags)
    spectrum = np.fft.rfft2(blocks, padded)
    sums = np.fft.irfft2(np.abs(spectrum) ** 2, padded)
    offset = np.arange(-lags, lags + 1)
    pairs = (height - np.abs(offset))[:, None] * (width - np.abs(offset))
    result: NDArray[np.float64] = sums[:, offset[:, None], offset] / pairs
    return result


def _along_rows(
    planes: Floats, lags: int, least: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Lags 0 to `lags` along the rows, from second differences across them."""
    filtered = np.diff(planes, n=2, axis=1)
    filtered = filtered - filtered.mean((1, 2), keepdims=True)
    width = planes.shape[-1]
    spectrum = np.fft.rfft(filtered, width + lags)
    power = (np.abs(spectrum) ** 2).sum(1)
    sums = np.fft.irfft(power, width + lags)[:, : lags + 1]
    pairs = filtered.shape[1] * (width - np.arange(lags + 1))
    covariance = sums / pairs
    covariance = covariance[covariance[:, 0] > least]
    if not len(covariance):
        return None
    ratio = covariance / covariance[:, :1]
    return _low(ratio, np.sqrt(_SECOND_DIFFERENCE / pairs))


def _flattest(
    planes: Floats, lags: int, least: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Mean autocorrelation map of the blocks whose neighbors differ the most."""
    flat = _levelled(planes)
    power = (flat**2).mean((1, 2))
    noisy = power > least
    flat, power = flat[noisy], power[noisy]
    if not len(flat):
        return None
    down = (flat[:, 1:] * flat[:, :-1]).mean((1, 2)) / power
    right = (flat[:, :, 1:] * flat[:, :, :-1]).mean((1, 2)) / power
    score = down + right
    chosen = score <= np.quantile(score, _QUANTILE)
    ratio = autocovariance(flat[chosen], lags) / power[chosen, None, None]
    mean: NDArray[np.float64] = ratio.mean(0)
    # Selecting by these two lags has a bias towards low values.
    fewer = np.sqrt(1 - 1 / len(flat))
    chance = fewer * _MEAN_BELOW / np.sqrt(2) / planes.shape[-1]
    centre = lags
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        mean[centre + dy, centre + dx] += chance * (1 - mean[centre + dy, centre + dx] ** 2)
    mean[centre, centre] = 1
    return mean


def _without_structure(
    raw: NDArray[np.float64], along_y: NDArray[np.float64], along_x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Subtract structure from a map, given the noise along the axes; also its share.

    ``raw = (1 - s) noise + s structure``, where structure is 1 at lag 0 and falls slowly.
    An excess that ends at lag 2 is no structure: the differences removed too much of the
    noise itself, and the raw map is the better estimate.
    """
    lags = len(along_x) - 1
    axes = [(raw[lags:, lags], along_y), (raw[lags, lags:], along_x)]
    near, next_ = (
        [(r[lag] - n[lag]) / max(1 - n[lag], 0.05) for r, n in axes] for lag in (1, 2)
    )
    most = float(np.clip(max(near), 0, _MOST_STRUCTURE))
    share = float(np.clip(4 * np.mean(next_), 0, most))
    if share == 0:
        return raw, 0.0
    curves = [np.clip((r - (1 - most) * n) / most, -1, 1) for r, n in axes]
    offset = np.arange(-lags, lags + 1)
    dy, dx = np.meshgrid(offset, offset, indexing="ij")
    distance = np.hypot(dy, dx)
    towards_y = dy**2 / np.maximum(distance, 1) ** 2
    known = np.arange(lags + 1)
    structure = towards_y * np.interp(distance, known, curves[0])
    structure += (1 - towards_y) * np.interp(distance, known, curves[1])
    noise = np.clip((raw - share * structure) / (1 - share), -1, 1)
    noise[lags, lags] = 1
    return noise, share


def _along_z(blocks: Floats) -> NDArray[np.float64]:
    """Lags along Z, from first differences along Y and X."""
    depth = blocks.shape[1]
    filtered = np.diff(np.diff(blocks, axis=2), axis=3)
    power = (filtered**2).mean((1, 2, 3))
    noisy = power > 0
    filtered, power = filtered[noisy], power[noisy]
    profile = [1.0]
    if not len(filtered):
        return np.array(profile)
    for lag in range(1, min(LAGS, depth // 2) + 1):
        product = filtered[:, lag:] * filtered[:, :-lag]
        ratio = product.mean((1, 2, 3)) / power
        pairs = product[0].size
        scatter = np.sqrt(_MIXED_DIFFERENCE / np.array([pairs]))
        profile.append(float(_low(ratio[:, None], scatter)[0]))
    return np.array(profile)


def _low(ratio: NDArray[np.float64], scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low quantile over blocks, corrected for its bias."""
    low = np.quantile(ratio, _QUANTILE, axis=0)
    chance = np.sqrt(1 - 1 / len(ratio)) * _BELOW * scatter
    result: NDArray[np.float64] = np.minimum(low + chance * (1 - low**2), 1)
    return result


def _levelled(planes: Floats) -> Floats:
    """Blocks minus their mean, slope and curvature."""
    side = planes.shape[-1]
    along = np.linspace(-1, 1, side)
    y, x = (grid.ravel() for grid in np.meshgrid(along, along, indexing="ij"))
    terms = np.stack([np.ones_like(x), y, x, x * x, x * y, y * y], 1)
    basis = np.linalg.qr(terms)[0]
    pixels = planes.reshape(len(planes), -1)
    pixels = pixels - pixels.mean(1, keepdims=True)
    level: Floats = (pixels - (pixels @ basis) @ basis.T).reshape(planes.shape)
    return level
