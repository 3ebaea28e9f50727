"""Check of a result without ground truth: its residual should be noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.quality.correlation import (
    NoiseCorrelation,
    autocorrelation,
    noise_correlation,
)
from napari_hush.quality.intensities import noise_level
from napari_hush.quality.metrics import match_gain
from napari_hush.quality.report import as_image, constant_error
from napari_hush.quality.sampling import (
    MOST_PIXELS,
    cut_blocks,
    read_regions,
    rounding,
)
from napari_hush.quality.spectra import Spectra, correlated, spectra_of

Verdict = Literal["good", "too noisy to judge", "look closer", "structure lost"]

CONTROLS = {"flat": np.inf, "blur 1": 1.0, "blur 2": 2.0, "blur 5": 5.0, "identity": 0.0}
"""Results that every result is compared with: blurs, with sigma in pixels."""

_SIGMAS = (0.4, 0.5, 0.6, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0)
_PASSES = 1.4  # error over that of the best blur up to which a result is good
_CONTROL_PASSES = 1.25  # ... and a control would pass as well as the result
_FAILS = 1.6  # ... and from which it has lost structure, if that is most of the error
_MOST_KEPT = 0.8  # share of the noise from which it is left in any case
_NOISE_LEFT = 0.2  # share of the noise that is kept, above that of the best blur
_ORDER: tuple[Verdict, ...] = (
    "good",
    "too noisy to judge",
    "look closer",
    "structure lost",
)

_LOOK = (
    "A little structure may be in the residual; compare it with the result, and train "
    "longer if you recognize the image."
)


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
    if fit_gain:
        results = _fitted(results, regions)
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
        found.append(one)
    verdicts = tuple(one.verdict for one in found)
    worst = max(range(number), key=lambda c: (_ORDER.index(verdicts[c]), found[c].error))
    chosen = found[worst]
    reason = chosen.reason
    if number > 1 and chosen.verdict != "good":
        reason = f"Channel {worst}: {reason}"
    return ResidualReport(
        mean=mean,
        std=float(np.sqrt(squares / count)),
        noise_share=chosen.noise_share,
        map=chosen.map,
        noise_map=chosen.noise_map,
        structure=chosen.structure,
        verdict=chosen.verdict,
        reason=reason,
        error=chosen.error,
        controls=chosen.controls,
        channel=worst,
        verdicts=verdicts,
    )


@dataclass(frozen=True, eq=False)
class _Channel:
    """Measurements of one channel; see `ResidualReport`."""

    noise_share: float
    map: NDArray[np.float64]
    noise_map: NDArray[np.float64]
    structure: float
    verdict: Verdict
    reason: str
    error: float
    controls: Mapping[str, float]


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
) -> list[NDArray[np.float64]]:
    """Results with the gain and offset of each channel fitted onto `regions`."""
    fitted = [np.asarray(result, dtype=np.float64).copy() for result in results]
    for channel in range(len(regions[0])):
        pixels = (np.stack([one[channel] for one in many]) for many in (results, regions))
        gain, offset = match_gain(*pixels)
        for result in fitted:
            result[channel] = gain * result[channel] + offset
    return fitted


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
    level = np.sqrt(np.median(planes.var((1, 2), dtype=np.float64)))
    share = float(level / noise_level(blocks, noise))
    found = _judged(noisy, residual, noise if correlated(noise) else None, share)
    if found is None:
        return None
    if correlated(noise) and found[0] == "structure lost":
        # Many sharp edges look like correlated noise.
        white = _judged(noisy, residual, None, share)
        if white is not None and white[0] != "structure lost":
            found = ("look closer", _LOOK, *found[2:])
    verdict, reason, spectra, controls = found
    return _Channel(
        noise_share=share,
        map=_mean_map(planes, noise),
        noise_map=noise.map,
        structure=spectra.structure,
        verdict=verdict,
        reason=reason,
        error=spectra.error,
        controls=controls,
    )


def _judged(
    noisy: NDArray[Any],
    residual: NDArray[Any],
    noise: NoiseCorrelation | None,
    share: float,
) -> tuple[Verdict, str, Spectra, dict[str, float]] | None:
    """Verdict, reason, spectra, and errors of the controls; None for constant planes."""
    spectra = spectra_of(noisy, residual, noise)
    if spectra is None:
        return None
    blurs = {s: spectra.of_blur(s) for s in {*_SIGMAS, *CONTROLS.values()}}
    best = min(blurs, key=lambda sigma: blurs[sigma].error)
    controls = {name: blurs[sigma].error for name, sigma in CONTROLS.items()}
    controls["best blur"] = blurs[best].error
    return *_verdict(spectra, blurs, best, share), spectra, controls


def _mean_map(planes: NDArray[np.float64], noise: NoiseCorrelation) -> NDArray[np.float64]:
    """Autocorrelation of the residual; 0 if nothing was removed."""
    lags = len(noise.map) // 2
    covariance = autocorrelation(planes - planes.mean((1, 2), keepdims=True), lags).sum(0)
    power = covariance[lags, lags]
    result: NDArray[np.float64] = covariance / power if power > 0 else 0 * covariance
    return result


def _verdict(
    spectra: Spectra, blurs: Mapping[float, Spectra], best: float, share: float
) -> tuple[Verdict, str]:
    """Compare a result with the controls; `best` is the sigma of the best blur."""
    least = blurs[best]
    kept = spectra.noise_kept
    more = kept > least.noise_kept + _NOISE_LEFT and spectra.error > least.error
    if kept > _MOST_KEPT or more:
        return "look closer", (
            f"Noise is left: the residual has only {share:.0%} of it (standard deviation); "
            "train longer, or use structN2V if neighboring pixels share their noise."
        )
    if _passes(spectra, least.error, _PASSES):
        for sigma, name in ((np.inf, "flat image"), (5.0, "blur of 5 pixels")):
            if _passes(blurs[sigma], min(least.error, spectra.error), _CONTROL_PASSES):
                return "too noisy to judge", (
                    f"A {name} would leave the same residual: the image is too noisy, or "
                    "has too little structure, to tell whether some was removed."
                )
        return "good", "Only noise was removed: the residual has no structure."
    times = spectra.error / least.error
    large = times > _FAILS and spectra.lost.sum() > spectra.error / 2
    if large or spectra.lost_most:
        blur = f"a blur of {best:g} pixels" if best < np.inf else "a flat image"
        return "structure lost", (
            f"Structure was removed: the error is about {times:.1f} times that of {blur}; "
            "train longer or with more data, or smooth less."
        )
    return "look closer", _LOOK


def _passes(spectra: Spectra, least: float, times: float) -> bool:
    """Whether a result, or a control, is about as good as one with the error `least`."""
    most = times * least + spectra.uncertainty
    return spectra.error <= most and not spectra.lost_most
