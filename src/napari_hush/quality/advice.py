"""Which method fits the noise of some data, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_hush.quality.correlation import NoiseCorrelation

Method = Literal["n2v", "n2v2", "structn2v", "none"]
StructAxis = Literal["none", "horizontal", "vertical", "cross", "square"]

LEAK = 0.04
"""Share of the noise that neighbours may give away before they have to be hidden."""
HOT = 3e-5
"""Share of hot pixels from which N2V2 is the better choice."""

_ENOUGH = 0.15  # part of the leak that may stay: hiding more costs more than it brings
_CERTAIN = 4.0  # standard errors that a correlation has to stand out by
_VISIBLE = 0.05  # correlation that stands out from the scatter of the estimate
_DIAGONAL = 0.1  # correlation of diagonal neighbours from which they are hidden as well
_FARTHEST = 2  # pixels that noise may reach in both directions at once
_LEVELLING = 0.02  # keeps the equations of nearly smooth noise solvable


@dataclass(frozen=True)
class Advice:
    """What to train with.

    Attributes
    ----------
    method : {"n2v", "n2v2", "structn2v", "none"}
        ``"none"`` where no blind spot can tell the noise from structure.
    axis : {"none", "horizontal", "vertical", "cross", "square"}
        What structN2V should hide (``struct_mask_axis``).
    span : int
        How far, in pixels, the masked pixel included (``struct_mask_span``); 1 if nothing.
    reason : str
        One sentence.
    """

    method: Method
    axis: StructAxis
    span: int
    reason: str


def leak(profile: NDArray[np.float64], hidden: int = 0) -> float:
    """Share of the noise's variance that pixels of the same line give away.

    That is what the best linear guess of a pixel's noise explains, made from the pixels on
    both sides of it.

    Parameters
    ----------
    profile : ndarray
        Autocorrelation of the noise along the line, lag 0 (with a value of 1) first.
    hidden : int
        How many neighbours on each side may not be used.

    Returns
    -------
    float
        0 to 1.
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

    Parameters
    ----------
    noises : sequence of NoiseCorrelation
        One per channel.
    hot_share : float
        Largest share of hot pixels of a channel.
    """
    halves = [
        (_half(_certain(noise, noise.x)), _half(_certain(noise, noise.y)))
        for noise in noises
    ]
    half_x, half_y = (max(half) for half in zip(*halves, strict=True))
    strongest = max(noises, key=lambda noise: max(noise.x[1], noise.y[1]))
    for noise in noises:
        if min(_reach(noise.x), _reach(noise.y)) > _FARTHEST and half_x and half_y:
            return Advice("none", "none", 1, _too_far(noise) + _along_z(noise))
    if half_x or half_y:
        axis = _mask(noises, bool(half_x), bool(half_y))
        span = 2 * max(half_x, half_y) + 1
        reason = _correlated(strongest, axis, span) + _along_z(strongest)
        return Advice("structn2v", axis, span, reason)
    if hot_share >= HOT:
        return Advice("n2v2", "none", 1, _spiky(hot_share))
    reason = (
        "The noise of neighbouring pixels is independent (correlation "
        f"{strongest.x[1]:.2f} along X, {strongest.y[1]:.2f} along Y), which is what "
        "Noise2Void needs."
    )
    return Advice("n2v", "none", 1, reason)


def _certain(noise: NoiseCorrelation, profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without what a small image may show by chance."""
    return np.where(np.abs(profile) > _CERTAIN * noise.scatter, profile, 0.0)


def _half(profile: NDArray[np.float64]) -> int:
    """How many neighbours on each side have to be hidden."""
    enough = max(LEAK, _ENOUGH * leak(profile))
    for hidden in range(len(profile)):
        if leak(profile, hidden) < enough:
            return hidden
    return len(profile) - 1


def _reach(profile: NDArray[np.float64]) -> int:
    """How many pixels away the noise is still alike."""
    alike = np.append(profile[1:] >= _VISIBLE, False)
    return int(np.argmin(alike))


def _mask(noises: Sequence[NoiseCorrelation], along_x: bool, along_y: bool) -> StructAxis:
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
        f"Noise is correlated {where} (correlation of neighbours {noise.x[1]:.2f} along X, "
        f"{noise.y[1]:.2f} along Y), so plain Noise2Void would keep it; structN2V with "
        f"axis {axis} and span {span} hides the pixels that give it away."
    )


def _too_far(noise: NoiseCorrelation) -> str:
    reach = min(_reach(noise.x), _reach(noise.y))
    return (
        f"What looks like noise is alike over {reach} pixels in every direction "
        f"(correlation of neighbours {noise.x[1]:.2f} along X, {noise.y[1]:.2f} along Y), "
        "as far as fine structure is, so Noise2Void cannot work and structN2V hardly: "
        "train on raw data that were neither smoothed nor enlarged, or on pairs "
        "(Noise2Noise, CARE)."
    )


def _spiky(hot_share: float) -> str:
    return (
        "The noise of neighbouring pixels is independent, but "
        f"{hot_share * 1e6:,.0f} of a million pixels are hot, which makes plain "
        "Noise2Void draw checkerboards; N2V2 does not."
    )


def _along_z(noise: NoiseCorrelation) -> str:
    if len(noise.z) < 2 or leak(_certain(noise, noise.z)) < LEAK:
        return ""
    return (
        f" Along Z it is correlated, too ({noise.z[1]:.2f}): train on planes (YX) rather "
        "than on volumes."
    )
