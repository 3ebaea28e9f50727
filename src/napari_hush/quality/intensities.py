"""Noise level, hot pixels, background and saturation from the gray values of an image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.quality.correlation import NoiseCorrelation

Floats = NDArray[np.float64]

_CELL = 8  # side of the cells that mean and variance are measured in, in pixels
_BINS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.96, 0.99, 1)  # few cells may be bright
_FREE = 0.3  # share of the cells of one brightness without structure and hot pixels
_LOW = 0.8  # that quantile of a cell's variance, in units of the true variance
_HOT = 6.0  # standard deviations above the brightest neighbor
_APART = 2.0  # ... and this multiple of the range of the neighbors
_DARK = 3.0  # standard deviations of a cell's mean that count as equally dark
_BELOW = 2.4  # bias of the mean of the darkest among equal cells, in these units
_DARKEST = 0.02  # share of the cells that count as darkest
_SPIKE = 3.0  # frequency of a saturated value over that of the values below
_FEW = 1e-4


@dataclass(frozen=True)
class PhotonTransfer:
    """Variance of the noise as a function of brightness: ``gain * value + offset``."""

    gain: float
    """Gray values per photon (times excess noise); 0 if independent of brightness."""
    offset: float
    """Variance at a gray value of 0; may be negative where black is above 0."""
    least: float
    """Smallest measured variance, above 0."""

    def stabilised(self, values: Any) -> Any:
        """Values in units of their noise (Anscombe 1948)."""
        if self.gain <= 1e-6 * np.sqrt(self.least):
            return values / np.sqrt(self.least)
        variance = np.maximum(self.gain * values + self.offset, 0)
        return 2 / self.gain * np.sqrt(variance + 0.375 * self.gain**2)


def noise_level(blocks: Floats, noise: NoiseCorrelation) -> float:
    """Standard deviation of the noise in gray values, the median over the noisy blocks.

    `blocks` are ``(n, Z, side, side)``; their correlation corrects the differences.
    """
    planes = blocks.reshape(-1, *blocks.shape[-2:])
    levels = []
    for along, axis in ((noise.y, 1), (noise.x, 2)):
        # Variance of a - 2 b + c, in units of that of the noise.
        factor = 6 - 8 * along[1] + 2 * along[2]
        second = np.diff(planes, n=2, axis=axis)
        if factor < 1:  # second differences have too little of the noise
            factor, second = max(2 - 2 * along[1], 0.05), np.diff(planes, axis=axis)
        levels.append(np.var(second, axis=(1, 2), dtype=np.float64) / factor)
    variance = np.mean(levels, axis=0)
    return float(np.sqrt(np.median(variance[variance > 0])))


def photon_transfer(planes: Sequence[NDArray[Any]]) -> PhotonTransfer | None:
    """Fit variance against brightness in small cells; None for constant planes."""
    variances, medians = [], []
    for plane in planes:
        cells = _cells(plane)
        variances.append((np.diff(cells, n=2, axis=1) ** 2).mean((1, 2)) / 6)
        medians.append(np.median(cells, axis=(1, 2)))
    variance, brightness = np.concatenate(variances), np.concatenate(medians)
    edges = np.quantile(brightness, _BINS)
    points = []
    for low, high in itertools.pairwise(edges):
        inside = (brightness >= low) & (brightness <= high)
        if not inside.any():
            continue
        free = np.quantile(variance[inside], _FREE) / _LOW
        points.append((brightness[inside].mean(), free))
    value, spread = np.array(points).T
    if not spread.max() > 0:
        spread = np.full_like(spread, variance.mean())
    if not spread.max() > 0:
        return None
    dark, bright = np.triu_indices(len(value), 1)
    run = value[bright] - value[dark]
    rise = spread[bright] - spread[dark]
    # Differences in brightness below the noise do not determine the gain.
    apart = run > np.sqrt(spread.max())
    gain = max(float(np.median(rise[apart] / run[apart])), 0.0) if apart.any() else 0.0
    offset = float(np.median(spread - gain * value))
    return PhotonTransfer(gain, offset, float(spread[spread > 0].min()))


def hot_share(planes: Sequence[NDArray[Any]], transfer: PhotonTransfer) -> float:
    """Share of hot pixels.

    A hot pixel is 6 standard deviations of its noise brighter than the brightest of its
    eight neighbors, and further above it than twice their range, since the optics blur
    real structure.
    """
    hot = total = 0
    for plane in planes:
        values = plane.astype(np.float64)
        high, low = _around(values, np.maximum), _around(values, np.minimum)
        above = values - high > _APART * (high - low)
        candidates = values[above]
        rise = transfer.stabilised(candidates) - transfer.stabilised(high[above])
        hot += int((rise > _HOT).sum())
        total += plane.size
    return hot / total


def background_share(
    planes: Sequence[NDArray[Any]], transfer: PhotonTransfer, noise: NoiseCorrelation
) -> float:
    """Share of the area that is as dark as the darkest parts, within the noise."""
    means = np.concatenate([_cells(plane).mean((1, 2)) for plane in planes])
    darkest = float(means[means <= np.quantile(means, _DARKEST)].mean())
    variance = max(transfer.gain * darkest + transfer.offset, transfer.least)
    near = noise.map[tuple(slice(n // 2 - 2, n // 2 + 3) for n in noise.map.shape)]
    spread = np.sqrt(variance * max(float(near.sum()), 1)) / _CELL
    # The darkest of many cells are below their noise-free value.
    return float((means <= darkest + (_DARK + _BELOW) * spread).mean())


def saturated_share(planes: Sequence[NDArray[Any]]) -> float:
    """Share of the pixels at the largest value, if that value is saturated.

    It is saturated if it is the largest of an integer dtype, or three times as frequent as
    the last hundredth of the range below it, or the next gray value.
    """
    top = max(float(plane.max()) for plane in planes)
    bottom = min(float(plane.min()) for plane in planes)
    total = sum(plane.size for plane in planes)
    at_top = sum(int((plane == top).sum()) for plane in planes)
    dtype = planes[0].dtype
    if dtype.kind in "iu" and top == np.iinfo(dtype).max:
        return at_top / total
    if top == bottom:
        return 0.0
    # The next gray value may be further below than a hundredth of the range.
    next_ = max(float(p[p < top].max()) for p in planes if p.min() < top)
    near = min(top - (top - bottom) / 100, next_)
    below = sum(int((plane >= near).sum()) for plane in planes) - at_top
    clipped = at_top > max(_SPIKE * below, _FEW * total)
    return at_top / total if clipped else 0.0


def _cells(plane: NDArray[Any]) -> Floats:
    height, width = (n // _CELL * _CELL for n in plane.shape)
    shape = (height // _CELL, _CELL, width // _CELL, _CELL)
    cells = plane[:height, :width].astype(np.float64).reshape(shape)
    return cells.swapaxes(1, 2).reshape(-1, _CELL, _CELL)


def _around(plane: Floats, of: Any) -> Floats:
    """Largest or smallest of the eight neighbors; reflected at the border."""
    padded = np.pad(plane, 1, mode="reflect")
    sides = of(padded[:, :-2], padded[:, 2:])
    rows = of(sides, padded[:, 1:-1])
    result: Floats = of(of(rows[:-2], rows[2:]), sides[1:-1])
    return result
