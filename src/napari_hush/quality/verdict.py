"""The verdict on a result: its error, compared with that of controls on the same data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from napari_hush.quality.spectra import Spectra

Verdict = Literal["good", "too noisy to judge", "look closer", "structure lost"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""From good to bad."""
CONTROLS = {"flat": np.inf, "blur 1": 1.0, "blur 2": 2.0, "blur 5": 5.0, "identity": 0.0}
"""Results that every result is compared with: blurs, with sigma in pixels."""

_SIGMAS = (0.4, 0.5, 0.6, 0.75, 1.25, 1.5, 2.5, 3.0, 4.0, 6.0, 8.0, 12.0)
_PASSES = 1.35  # error over that of the best blur up to which a result is good
_CONTROL_PASSES = 1.25  # ... and up to which a control is as good as the result
_FAILS = 1.6  # ... from which structure is lost, if that is most of the error
_NOISE_LEFT = 0.2  # share of the noise that is kept, above that of the best blur
_CONTRAST = 1.04  # gain from which the contrast is said to be another
_MOST_KEPT = 0.8  # share of the noise from which it is left in any case


@dataclass(frozen=True)
class Judged:
    """The verdict on one channel."""

    verdict: Verdict
    reason: str
    structure: float
    error: float
    controls: Mapping[str, float]


def judge(spectra: Spectra | None) -> Judged | None:
    """Compare a result with the controls; None without spectra."""
    if spectra is None:
        return None
    blurs = {sigma: spectra.of_blur(sigma) for sigma in (*_SIGMAS, *CONTROLS.values())}
    best = min(blurs, key=lambda sigma: blurs[sigma].error)
    controls = {name: blurs[sigma].error for name, sigma in CONTROLS.items()}
    controls["best blur"] = blurs[best].error
    verdict, reason = _verdict(spectra, blurs, best)
    return Judged(verdict, reason, spectra.structure, spectra.error, controls)


def _verdict(
    spectra: Spectra, blurs: Mapping[float, Spectra], best: float
) -> tuple[Verdict, str]:
    """Verdict and reason; `best` is the sigma of the best blur."""
    least = blurs[best]
    noise_left = (
        f"Noise is left: {spectra.noise_left:.0%} of it (standard deviation) is in the "
        "result; train, or train longer, or use structN2V if the noise of neighboring "
        "pixels is correlated."
    )
    keeps_noise = _keeps_noise(spectra, least)
    if not keeps_noise and _passes(spectra, least.error, _PASSES):
        for sigma, name in ((np.inf, "flat image"), (5.0, "blur of 5 pixels")):
            if _passes(blurs[sigma], min(least.error, spectra.error), _CONTROL_PASSES):
                return "too noisy to judge", (
                    f"A {name} would leave the same residual: the image is too noisy, or "
                    "has too little structure, to tell whether any was removed."
                )
        return "good", "The residual has no structure: only noise was removed."
    gain, scaled = spectra.with_gain()
    if (
        not 1 / _CONTRAST < gain < _CONTRAST
        and _passes(scaled, least.error, _PASSES)
        and not _keeps_noise(scaled, least)
    ):
        return "look closer", (
            f"The contrast of the result is {1 / gain:.2g} times that of the noisy image, "
            "but no structure is missing; scale it before you compare intensities."
        )
    if keeps_noise:
        return "look closer", noise_left
    if not least.error > 0:  # without structure, nothing but noise can be in the result
        return "look closer", noise_left
    times = spectra.error / least.error
    mostly = spectra.lost.sum() > spectra.error / 2
    if (times > _FAILS and mostly) or spectra.lost_most:
        blur = f"a blur of {best:g} {'pixel' if best == 1 else 'pixels'}"
        blur = {0: "the noisy image", np.inf: "a flat image"}.get(best, blur)
        return "structure lost", (
            f"Structure was lost: the error is about {times:.1f} times that of {blur}; "
            "train longer, or on more images like this one."
        )
    return "look closer", noise_left if not mostly else (
        "A little structure may be in the residual; compare it with the result, and train "
        "longer if you recognize the image in it."
    )


def _keeps_noise(spectra: Spectra, least: Spectra) -> bool:
    """Whether a result keeps more noise than the best blur."""
    kept = spectra.noise_kept
    more = kept > least.noise_kept + _NOISE_LEFT and spectra.error > least.error
    return kept > _MOST_KEPT or more


def _passes(spectra: Spectra, least: float, times: float) -> bool:
    """Whether a result, or a control, is about as good as one with the error `least`."""
    most = times * least + spectra.uncertainty
    return spectra.error <= most and not spectra.lost_most
