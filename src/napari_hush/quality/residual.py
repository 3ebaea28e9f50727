"""Check of a result without ground truth: its residual should be noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.quality.correlation import autocorrelation, noise_correlation
from napari_hush.quality.intensities import noise_level
from napari_hush.quality.report import as_image, constant_error
from napari_hush.quality.sampling import (
    MOST_PIXELS,
    cut_blocks,
    read_regions,
    rounding,
)

Verdict = Literal["noise", "structure", "noise left"]

STRUCTURE = 0.07
"""Score from which signal was removed; perfect results stay below 0.04."""
NOISE_LEFT = 0.6
"""Residual over noise (standard deviations) below which much noise is left."""

_RING = 2.3  # radius around lag 0 that is scored, in pixels
_UPPER, _MIDDLE, _LOWER = 0.9, 0.5, 0.1


@dataclass(frozen=True, eq=False)
class ResidualReport:
    """Measurements of the residual, noisy minus denoised."""

    mean: float
    """Mean in gray values; about 0 if brightness is preserved."""
    std: float
    """Standard deviation in gray values."""
    noise_share: float
    """Standard deviation over that of the noise, in the median block; about 1 if all noise
    was removed."""
    map: NDArray[np.float64]
    """``(2 L + 1, 2 L + 1)`` autocorrelation of the residual, lag 0 in the center."""
    noise_map: NDArray[np.float64]
    """The same of the noise, estimated from the noisy image."""
    structure: float
    """Excess correlation of neighbors over the noise, 0 to 1: the larger of the mean and
    of the worst tenth of the blocks."""
    verdict: Verdict
    """``"noise"``, ``"structure"`` if it has some, or ``"noise left"`` if it has too little
    noise."""
    reason: str
    """The verdict in one sentence."""


def check_residual(
    noisy: Any,
    denoised: Any,
    axes: str | None = None,
    *,
    seed: int = 0,
    most_pixels: int = MOST_PIXELS,
) -> ResidualReport:
    """Check whether the residual of a denoised image is noise.

    Parameters
    ----------
    noisy, denoised : Image or array
        Of one shape, in the same axes and gray values; they may be on disk.
    axes : str, optional
        Axes of arrays, one letter per dimension; ``"YX"`` for arrays of two dimensions.
    seed : int
        Draws the regions that are read; the same seed gives the same report.
    most_pixels : int
        Largest number of pixels read, channels included.

    Raises
    ------
    DataError
        If the shapes or axes differ or do not fit, the image is smaller than 16 pixels
        along Y or X, a pixel is not finite, or the noisy image is constant.
    """
    before, after = _pair(noisy, denoised, axes)
    regions = read_regions(before, seed, most_pixels)
    results = read_regions(after, seed, most_pixels)
    pairs = list(zip(regions, results, strict=True))
    count = sum(region.size for region in regions)
    mean = sum(float(_residual(*pair).sum()) for pair in pairs) / count
    squares = sum(float(((_residual(*pair) - mean) ** 2).sum()) for pair in pairs)
    found = [
        _channel(regions, results, channel, before.name, seed)
        for channel in range(regions[0].shape[0])
    ]
    structure, share, residual_map, noise_map = max(found, key=lambda f: f[0])
    verdict, reason = _verdict(structure, share)
    std = float(np.sqrt(squares / count))
    return ResidualReport(
        mean, std, share, residual_map, noise_map, structure, verdict, reason
    )


def _pair(noisy: Any, denoised: Any, axes: str | None) -> tuple[Image, Image]:
    if axes is None and len(np.shape(noisy)) == 2 and not isinstance(noisy, Image):
        axes = "YX"
    before, after = as_image(noisy, axes), as_image(denoised, axes)
    if before.axes != after.axes:
        raise DataError(
            f"The noisy image has shape {before.axes.shape} (axes {before.axes.axes}) and "
            f"the denoised one {after.axes.shape} (axes {after.axes.axes}); give two "
            "images of the same shape and axes."
        )
    return before, after


def _residual(noisy: NDArray[Any], denoised: NDArray[Any]) -> NDArray[np.float64]:
    residual: NDArray[np.float64] = np.subtract(noisy, denoised, dtype=np.float64)
    return residual


def _channel(
    regions: list[NDArray[Any]],
    results: list[NDArray[Any]],
    channel: int,
    name: str,
    seed: int,
) -> tuple[float, float, NDArray[np.float64], NDArray[np.float64]]:
    """Structure score, share of the noise, and the maps of residual and noise."""
    blocks = cut_blocks(regions, channel, seed)
    noise = noise_correlation(blocks, rounding(regions[0].dtype))
    if noise is None:
        raise constant_error(name, channel, len(regions[0]), "no noise to compare with")
    planes = blocks - cut_blocks(results, channel, seed)
    planes = planes.reshape(-1, *planes.shape[-2:])
    lags = len(noise.map) // 2
    level = np.sqrt(np.median(planes.var((1, 2), dtype=np.float64)))
    share = float(level / noise_level(blocks, noise))
    covariance = autocorrelation(planes - planes.mean((1, 2), keepdims=True), lags)
    power = covariance[:, lags, lags]
    if not power.max() > 0:  # nothing was removed
        nothing = np.zeros_like(noise.map)
        return 0.0, share, nothing, noise.map
    whole = covariance.sum(0) / power.sum()
    each = covariance[power > 0] / power[power > 0, None, None]
    local = np.quantile(_excess(each, noise.map), [_LOWER, _MIDDLE, _UPPER])
    # Blocks scatter by chance, upwards as much as downwards.
    upper = local[2] - (local[1] - local[0])
    score = max(float(_excess(whole[None], noise.map)[0]), float(upper))
    return float(np.clip(score, 0, 1)), share, whole, noise.map


def _excess(maps: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Excess correlation of near neighbors over the noise, per map."""
    lags = len(noise) // 2
    offset = np.arange(-lags, lags + 1)
    distance = np.hypot(offset[:, None], offset)
    near = (distance > 0) & (distance <= _RING)
    excess = (maps[:, near] - noise[near]) / (1 - np.minimum(noise[near], 0.95))
    result: NDArray[np.float64] = excess.mean(1)
    return result


def _verdict(structure: float, share: float) -> tuple[Verdict, str]:
    if structure >= STRUCTURE:
        return "structure", (
            f"Structure is left in the residual (score {structure:.2f}): the model removed "
            "signal, so train longer or with more data, or smooth less."
        )
    if share < NOISE_LEFT:
        return "noise left", (
            f"The residual has only {share:.0%} of the noise (standard deviation): noise "
            "is left, as with correlated noise or short training."
        )
    return "noise", (
        f"The residual looks like noise (structure score {structure:.2f}): no structure "
        "was removed."
    )
