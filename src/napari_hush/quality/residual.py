"""Check of a result without ground truth: its residual should be noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.quality.correlation import (
    NoiseCorrelation,
    autocovariance,
    noise_correlation,
)
from napari_hush.quality.intensities import noise_level
from napari_hush.quality.local import FAR, strangest_place
from napari_hush.quality.metrics import match_gain
from napari_hush.quality.report import as_image, constant_error
from napari_hush.quality.sampling import (
    MOST_PIXELS,
    choose_regions,
    cut_blocks,
    read_regions,
    rounding,
)
from napari_hush.quality.spectra import correlated, spectra_of
from napari_hush.quality.verdict import VERDICTS, Judged, Verdict, judge

_SHIFTED = 0.5  # brightness, in standard deviations of the noise


@dataclass(frozen=True, eq=False)
class ResidualReport:
    """Measurements of the residual, noisy minus denoised, and a verdict.

    Numbers other than `mean`, `std` and `verdicts` are those of channel `channel`.
    """

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
    """Share of the structure (variance of the image without noise) that the residual
    holds, 0 to 1; 1 for a flat image."""
    verdict: Verdict
    """``"good"`` if only noise was removed, ``"structure lost"``, ``"look closer"`` if
    noise is left or a little structure was lost, or ``"too noisy to judge"`` if a flat or
    strongly blurred image would pass as well. The worst of all channels."""
    reason: str
    """The verdict in one sentence."""
    error: float
    """Estimated mean squared error of the result, in units of the noise variance."""
    controls: Mapping[str, float]
    """The same of ``"flat"``, ``"blur 1"``, ``"blur 2"``, ``"blur 5"`` (Gaussian, sigma in
    pixels), ``"identity"`` and the ``"best blur"``."""
    channel: int
    """The channel with the worst verdict."""
    verdicts: tuple[Verdict, ...]
    """Verdicts of all channels."""


def check_residual(
    noisy: Any,
    denoised: Any,
    axes: str | None = None,
    *,
    fit_gain: bool = False,
    seed: int = 0,
    most_pixels: int = MOST_PIXELS,
) -> ResidualReport:
    """Check whether the residual of a denoised image is noise, and nothing but noise.

    The error of the result is estimated from the spectra of noisy image and residual, and
    compared with that of controls on the same data: a flat image, Gaussian blurs and the
    noisy image itself. Neither unit nor offset of the gray values count.

    Parameters
    ----------
    noisy, denoised : Image or array
        Of one shape, in the same axes; they may be on disk.
    axes : str, optional
        Axes of arrays, one letter per dimension; ``"YX"`` for arrays of two dimensions.
    fit_gain : bool
        Fit gain and offset of each channel of the result onto the noisy image first, for
        results in other gray values, as those of CARE and N2N may be.
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
    inverted: list[int] = []
    if fit_gain:
        results, inverted = _fitted(results, regions)
    residuals = [
        np.subtract(*pair, dtype=np.float64) for pair in zip(regions, results, strict=True)
    ]
    count = sum(region.size for region in regions)
    mean = sum(float(residual.sum()) for residual in residuals) / count
    squares = sum(float(((residual - mean) ** 2).sum()) for residual in residuals)
    number = len(regions[0])
    found = []
    for channel in range(number):
        one = _channel(regions, residuals, channel, seed)
        if one is None:
            raise constant_error(before.name, channel, number, "no noise to compare with")
        if one.judged.verdict == "good":
            reason = (
                "The contrast is inverted: what is bright in the noisy image is dark."
                if channel in inverted
                else _strange(regions, residuals, channel, before, seed, most_pixels)
            )
            if reason:
                judged = replace(one.judged, verdict="look closer", reason=reason)
                one = replace(one, judged=judged)
        found.append(one)
    ranks = [(VERDICTS.index(one.judged.verdict), one.judged.error) for one in found]
    worst = ranks.index(max(ranks))
    chosen, judged = found[worst], found[worst].judged
    reason = judged.reason
    if number > 1 and judged.verdict != "good":
        reason = f"Channel {worst}: {reason}"
    return ResidualReport(
        mean=mean,
        std=float(np.sqrt(squares / count)),
        noise_share=chosen.noise_share,
        map=chosen.map,
        noise_map=chosen.noise_map,
        structure=judged.structure,
        verdict=judged.verdict,
        reason=reason,
        error=judged.error,
        controls=judged.controls,
        channel=worst,
        verdicts=tuple(one.judged.verdict for one in found),
    )


@dataclass(frozen=True, eq=False)
class _Channel:
    """Measurements of one channel; see `ResidualReport`."""

    noise_share: float
    map: NDArray[np.float64]
    noise_map: NDArray[np.float64]
    judged: Judged


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


def _fitted(
    results: list[NDArray[Any]], regions: list[NDArray[Any]]
) -> tuple[list[NDArray[np.float64]], list[int]]:
    """Results with the gain and offset of each channel fitted onto `regions`.

    Also the channels whose gain is negative.
    """
    fitted = [np.asarray(result, dtype=np.float64).copy() for result in results]
    inverted = []
    for channel in range(len(regions[0])):
        pixels = (np.stack([one[channel] for one in many]) for many in (results, regions))
        gain, offset = match_gain(*pixels)
        inverted += [channel] * (gain < 0)
        for result in fitted:
            result[channel] = gain * result[channel] + offset
    return fitted, inverted


def _channel(
    regions: list[NDArray[Any]], residuals: list[NDArray[Any]], channel: int, seed: int
) -> _Channel | None:
    """Measure one channel; None if it is constant."""
    blocks = cut_blocks(regions, channel, seed)
    noise = noise_correlation(blocks, rounding(regions[0].dtype))
    if noise is None:
        return None
    noisy, residual = (
        np.concatenate([one[channel] for one in many]).astype(np.float64)
        for many in (regions, residuals)
    )
    planes = cut_blocks(residuals, channel, seed)
    planes = planes.reshape(-1, *planes.shape[-2:])
    level = noise_level(blocks, noise)
    varied = np.ptp(blocks.reshape(planes.shape), axis=(1, 2)) > 0
    share = float(np.sqrt(np.median(planes[varied].var((1, 2))))) / level
    judged = judge(spectra_of(noisy, residual, noise if correlated(noise) else None))
    if judged is None:
        return None
    if correlated(noise) and judged.verdict == "structure lost":
        # Many sharp edges look like correlated noise.
        white = judge(spectra_of(noisy, residual, None))
        if white is not None and white.verdict != "structure lost":
            judged = replace(judged, verdict=white.verdict, reason=white.reason)
    shift = -float(residual.mean())
    if judged.verdict == "good" and abs(shift) > _SHIFTED * level:
        judged = replace(
            judged,
            verdict="look closer",
            reason=f"The result is {'brighter' if shift > 0 else 'darker'} than the noisy "
            f"image by {abs(shift):.3g} on average, but no structure is missing; subtract "
            "the difference before you compare intensities.",
        )
    return _Channel(share, _mean_map(planes, noise), noise.map, judged)


def _strange(
    regions: list[NDArray[Any]],
    residuals: list[NDArray[Any]],
    channel: int,
    image: Image,
    seed: int,
    most_pixels: int,
) -> str:
    """Where something small is in one of both images alone; empty if nowhere."""
    noisy, residual = (
        np.concatenate([one[channel] for one in many]).astype(np.float64)
        for many in (regions, residuals)
    )
    found = strangest_place(noisy, residual)
    if found is None or found[0] < FAR:
        return ""
    plane, y, x = found[1]
    number, depth = divmod(plane, regions[0].shape[1])
    sample, *box = choose_regions(image, seed, most_pixels)[number]
    corners = [one.start for one in box]
    places = {"X": corners[-1] + x, "Y": corners[-2] + y}
    if len(box) == 3:
        places["Z"] = corners[0] + depth
    where = ", ".join(f"{letter} {place}" for letter, place in places.items())
    of_sample = f" of image {sample}" if len(image.samples) > 1 else ""
    return (
        f"At {where}{of_sample} (pixels, from 0) something is in the noisy image or in the "
        "result, but not in both; compare them there."
    )


def _mean_map(planes: NDArray[np.float64], noise: NoiseCorrelation) -> NDArray[np.float64]:
    """Autocorrelation of the residual; 0 if nothing was removed."""
    lags = len(noise.map) // 2
    covariance = autocovariance(planes - planes.mean((1, 2), keepdims=True), lags).sum(0)
    power = covariance[lags, lags]
    result: NDArray[np.float64] = covariance / power if power > 0 else 0 * covariance
    return result
