"""How good a result is, in a few words and numbers: a job of the dock. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import DataError
from napari_hush.widgets.layers import as_pixels

if TYPE_CHECKING:
    from napari_hush.events import OnProgress
    from napari_hush.widgets.tasks import StopRequest

__all__ = ["Judging", "Quality"]


@dataclass(frozen=True)
class Quality:
    """What is said about a result."""

    words: str
    """Numbers with their names, on one line."""
    explanation: str
    """What they mean, for the tool tip."""


@dataclass(frozen=True)
class Judging:
    """Judge a result by what was taken away, and by the truth if there is one."""

    noisy: Any
    """What the layer holds, with alpha if RGB."""
    clean: Any
    axes: str
    rgb: bool = False
    truth: Any = None
    """Array of the same shape; None where the truth is not known."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Quality:
        from napari_hush.judgement import judge_residual, psnr, ssim

        parts, reasons = [], []
        try:
            noisy = as_pixels(self.noisy, rgb=self.rgb)
            residual = judge_residual(noisy, self.clean, self.axes)
        except DataError as error:
            reasons.append(str(error))
        else:
            parts.append(f"structure removed {residual.structure:.0%}")
            reasons.append(residual.reason)
        if self.truth is not None and not stop.is_set():
            truth, clean = np.asarray(self.truth, np.float32), np.asarray(self.clean)
            span = float(np.ptp(truth))
            try:
                parts.append(f"PSNR {psnr(clean, truth, data_range=span):.1f} dB")
                parts.append(f"SSIM {ssim(clean, truth, data_range=span):.3f}")
                reasons.append("PSNR and SSIM: how close the result is to the target.")
            except DataError as error:
                reasons.append(str(error))
        return Quality(" · ".join(parts), "\n".join(reasons))

    def __str__(self) -> str:
        return "judging of the result"
