"""Which method fits the noise of some data, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.config.transforms import StructAxis
    from napari_hush.quality.correlation import NoiseCorrelation

Method = Literal["n2v", "n2v2", "structn2v", "none"]

LEAK = 0.04
"""Predictable share of the noise from which neighbors have to be hidden."""
HOT = 3e-5
"""Share of hot pixels from which N2V2 is the better choice."""

_ENOUGH = 0.15  # part of the leak that may stay: hiding more costs more than it gains
_CERTAIN = 4.0  # standard errors from which a correlation is significant
_VISIBLE = 0.05  # correlation above the scatter of the estimate
_DIAGONAL = 0.1  # correlation of diagonal neighbors from which they are hidden as well
_FARTHEST = 2  # longest correlation length along both axes, in pixels
_LEVELLING = 0.02  # regularizes the equations of nearly smooth noise


@dataclass(frozen=True)
class Advice:
    """The recommended method."""

    method: Method
    """``"n2v"``, ``"n2v2"``, ``"structn2v"``, or ``"none"`` where no blind-spot method can
    separate noise from structure."""
    axis: StructAxis
    """``struct_mask_axis`` of structN2V; ``"none"`` for other methods."""
    span: int
    """``struct_mask_span`` of structN2V, in pixels; 1 for other methods."""
    reason: str
    """One sentence."""


def leak(profile: NDArray[np.float64], hidden: int = 0) -> float:
    """Share of the noise variance (0 to 1) that a linear prediction from a line explains.

    `profile` is the autocorrelation along the line, lag 0 first; the prediction may not use
    the `hidden` nearest neighbors on each side.
    """
    lags = len(profile) - 1
    places = [k for k in range(-lags, lags + 1) if abs(k) > hidden]
    if not places:
        return 0.0
    distance = np.abs(np.subtract.outer(places, places))
    known = np.append(profile, np.zeros(int(distance.max())))
    among = known[distance] + _LEVELLING * np.eye(len(places))
    towards = profile[np.abs(places)]
    guess = float(towards @ np.linalg.lstsq(among, towards, rcond=None)[0])
    return float(np.clip(guess, 0, 1))


def advise(noises: Sequence[NoiseCorrelation], hot_share: float) -> Advice:
    """Choose a method for channels that are trained on together.

    `noises` has one item per channel; `hot_share` is that of the worst channel.
    """
    half_x = max(_half(_certain(noise, noise.x)) for noise in noises)
    half_y = max(_half(_certain(noise, noise.y)) for noise in noises)
    strongest = max(noises, key=lambda noise: max(noise.x[1], noise.y[1]))
    for noise in noises:
        if min(_reach(noise.x), _reach(noise.y)) > _FARTHEST and half_x and half_y:
            return Advice("none", "none", 1, _too_far(noise) + _along_z(noise))
    if half_x or half_y:
        axis = _struct_axis(noises, bool(half_x), bool(half_y))
        span = 2 * max(half_x, half_y) + 1
        reason = _correlated(strongest, axis, span) + _along_z(strongest)
        return Advice("structn2v", axis, span, reason)
    if hot_share >= HOT:
        return Advice("n2v2", "none", 1, _spiky(hot_share))
    reason = (
        "The noise of neighboring pixels is independent (correlation "
        f"{strongest.x[1]:.2f} along X, {strongest.y[1]:.2f} along Y), which is what "
        "Noise2Void needs."
    )
    return Advice("n2v", "none", 1, reason)


def _certain(noise: NoiseCorrelation, profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without values that a small image may have by chance."""
    return np.where(np.abs(profile) > _CERTAIN * noise.scatter, profile, 0.0)


def _half(profile: NDArray[np.float64]) -> int:
    """Number of neighbors on each side that have to be hidden."""
    enough = max(LEAK, _ENOUGH * leak(profile))
    return next(n for n in range(len(profile)) if leak(profile, n) < enough)


def _reach(profile: NDArray[np.float64]) -> int:
    """Correlation length in pixels."""
    correlated = np.append(profile[1:] >= _VISIBLE, False)
    return int(np.argmin(correlated))


def _struct_axis(
    noises: Sequence[NoiseCorrelation], along_x: bool, along_y: bool
) -> StructAxis:
    if not along_y:
        return "horizontal"
    if not along_x:
        return "vertical"
    diagonal = []
    for noise in noises:
        c = len(noise.map) // 2
        diagonal.append((noise.map[c + 1, c + 1] + noise.map[c + 1, c - 1]) / 2)
    return "square" if max(diagonal) >= _DIAGONAL else "cross"


def _correlated(noise: NoiseCorrelation, axis: StructAxis, span: int) -> str:
    where = {"horizontal": "along X", "vertical": "along Y"}.get(axis, "along X and Y")
    return (
        f"Noise is correlated {where} (correlation of neighbors {noise.x[1]:.2f} along X, "
        f"{noise.y[1]:.2f} along Y), so plain Noise2Void would keep it; structN2V with "
        f"axis {axis} and span {span} hides the correlated pixels."
    )


def _too_far(noise: NoiseCorrelation) -> str:
    reach = min(_reach(noise.x), _reach(noise.y))
    return (
        f"Noise is correlated over {reach} pixels in every direction "
        f"(correlation of neighbors {noise.x[1]:.2f} along X, {noise.y[1]:.2f} along Y), "
        "as fine structure is, so Noise2Void cannot remove it and structN2V hardly can: "
        "train on raw data that were neither smoothed nor enlarged, or on pairs "
        "(Noise2Noise, CARE)."
    )


def _spiky(hot_share: float) -> str:
    return (
        "The noise of neighboring pixels is independent, but "
        f"{hot_share * 1e6:,.0f} of a million pixels are hot, which gives checkerboard "
        "artifacts with plain Noise2Void; N2V2 avoids them."
    )


def _along_z(noise: NoiseCorrelation) -> str:
    if len(noise.z) < 2 or leak(_certain(noise, noise.z)) < LEAK:
        return ""
    return (
        f" It is also correlated along Z ({noise.z[1]:.2f}): train on planes (YX) rather "
        "than on volumes."
    )
