"""How good a result is, in a few words and numbers: a job of the dock. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.widgets.data.layers import as_pixels, pixel_shape, source_of
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_hush.events import OnProgress
    from napari_hush.widgets.dock.inputs import Inputs
    from napari_hush.widgets.inspect.compare_panel import ComparePanel
    from napari_hush.widgets.jobs.denoising_run import DenoisingRun
    from napari_hush.widgets.jobs.tasks import StopRequest

__all__ = ["Quality", "QualityCheck", "closeness"]

PLANES = 32
"""Planes that are compared with the truth at most, evenly spread; SSIM takes its time."""


@dataclass(frozen=True)
class Quality:
    """What is said about a result."""

    words: str
    """Numbers with their names, on one line."""
    explanation: str
    """What they mean, for the tool tip."""


@dataclass(frozen=True)
class QualityCheck:
    """Judge a result by what was taken away, and by the truth if there is one."""

    noisy: Any
    """What the layer holds, with alpha if RGB."""
    clean: Any
    axes: str
    rgb: bool = False
    truth: Any = None
    """Array of the same shape; None where the truth is not known."""
    truth_name: str = ""
    """What people call it."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Quality:
        from napari_hush.quality import check_residual

        parts, reasons = [], []
        try:
            noisy = as_pixels(self.noisy, rgb=self.rgb)
            residual = check_residual(noisy, self.clean, self.axes)
        except DataError as error:
            reasons.append(str(error))
        else:
            parts.append(f"structure removed {residual.structure:.0%}")
            reasons.append(residual.reason)
        if self.truth is not None and not stop.is_set():
            try:
                truth = as_pixels(self.truth, rgb=False)
                decibel, similarity = closeness(self.clean, truth, self.axes)
            except DataError as error:
                reasons.append(str(error))
            else:
                parts += [f"PSNR {decibel:.1f} dB", f"SSIM {similarity:.3f}"]
                reasons.append(
                    "PSNR and SSIM tell how close the result is to "
                    f"“{self.truth_name}”: the higher, the closer."
                )
        return Quality(" · ".join(parts), "\n".join(reasons))

    def __str__(self) -> str:
        return "judging of the result"


def closeness(clean: Any, truth: Any, axes: str) -> tuple[float, float]:
    """How close `clean` is to `truth`: PSNR in dB, and SSIM, both of planes.

    Parameters
    ----------
    clean, truth : array
        Of one shape, with the axes `axes`. Of more than 32 planes, 32 are compared.
    axes : str
        Any of STCZYX.

    Raises
    ------
    DataError
        If pixels are not finite, the truth shows nothing, or it is too small to compare.
    """
    from napari_hush.quality import psnr, ssim

    pairs = list(zip(_planes(clean, axes), _planes(truth, axes), strict=True))
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(PLANES, len(pairs))).astype(int))
    read = [
        tuple(np.asarray(plane, np.float32) for plane in pairs[number]) for number in chosen
    ]
    truths = np.stack([true for _, true in read])
    span = float(np.ptp(truths))
    decibel = psnr(np.stack([made for made, _ in read]), truths, data_range=span)
    similarity = np.mean([ssim(made, true, data_range=span) for made, true in read])
    return decibel, float(similarity)


def _planes(array: Any, axes: str) -> list[Any]:
    """All planes ``(Y, X)`` of `array`, not read yet where it is on disk."""
    samples = AxesMap(axes, tuple(array.shape)).samples(array)
    planes = []
    for sample in samples:
        for channel in range(sample.shape[0]):
            if sample.ndim == 3:
                planes.append(sample[channel])
            else:
                planes += [sample[channel, z] for z in range(sample.shape[1])]
    return planes


class QualityRun(Run):
    """Shows the quality of a result in `look`; ground truth comes from `inputs`."""

    def __init__(self, look: ComparePanel, inputs: Inputs, parent: QObject) -> None:
        super().__init__(parent, self._show)
        self._look = look
        self._inputs = inputs

    def judge(self, denoising: DenoisingRun) -> None:
        """Judge what `denoising` has made, unless it is only a part of a layer."""
        self._look.setNumbers("")
        canvas, noisy = denoising.whole, self._inputs.chosen()
        if canvas is None or noisy is None or denoising.state.subject != noisy.name:
            return
        if pixel_shape(noisy) != canvas.out.shape or self.state.busy:
            return
        truth = self._truth_for(noisy)
        task = QualityCheck(
            source_of(noisy),
            canvas.out,
            self._inputs.axes(),
            rgb=bool(noisy.rgb),
            truth=None if truth is None else whole_of(truth),
            truth_name="" if truth is None else truth.name,
        )
        self.start(Activity.CHECKING, noisy.name, task)

    def _truth_for(self, noisy: Image) -> Image | None:
        truth = self._inputs.truth()
        if truth is None or pixel_shape(truth) != pixel_shape(noisy):
            return None
        return truth

    def _show(self, quality: Quality) -> str:
        self._look.setNumbers(quality.words, quality.explanation)
        return quality.words
