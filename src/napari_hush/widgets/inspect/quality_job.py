"""The quality check of a result: its residual, and PSNR and SSIM with ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap
from napari_hush.errors import DataError
from napari_hush.widgets.data.layers import (
    as_pixels,
    engine_axes,
    engine_shape,
    pixel_shape,
    source_of,
)
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_hush.events import OnProgress
    from napari_hush.widgets.inspect.compare_panel import ComparePanel
    from napari_hush.widgets.jobs.denoising_run import DenoisingRun
    from napari_hush.widgets.jobs.tasks import StopRequest

PLANES = 32
"""Most planes that are compared with ground truth, evenly spread; SSIM is slow."""


@dataclass(frozen=True)
class Quality:
    """The result of a quality check."""

    words: str
    """Metrics on one line."""
    explanation: str
    """Explanation for the tool tip."""


@dataclass(frozen=True)
class QualityCheck:
    """Check a result by its residual, and against ground truth if there is any."""

    noisy: Any
    """Pixels of the layer, with alpha if RGB."""
    clean: Any
    axes: str
    rgb: bool = False
    truth: Any = None
    """Ground truth of the same shape, if known."""
    truth_name: str = ""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Quality:
        from napari_hush.quality import check_residual

        parts: list[str] = []
        reasons: list[str] = []
        try:
            noisy = as_pixels(self.noisy, rgb=self.rgb)
            residual = check_residual(noisy, self.clean, engine_axes(self.axes))
        except DataError as error:
            reasons.append(str(error))
        else:
            parts.append(residual.verdict)
            reasons.append(residual.reason)
        if self.truth is not None and not stop.is_set():
            try:
                truth = as_pixels(self.truth, rgb=False)
                decibel, similarity = psnr_and_ssim(self.clean, truth, self.axes)
            except DataError as error:
                reasons.append(str(error))
            else:
                parts += [f"PSNR {decibel:.1f} dB", f"SSIM {similarity:.3f}"]
                reasons.append(
                    f"PSNR and SSIM compare the result with “{self.truth_name}”; higher is "
                    "better."
                )
        return Quality(" · ".join(parts), "\n".join(reasons))

    def __str__(self) -> str:
        return "quality check"


def psnr_and_ssim(clean: Any, truth: Any, axes: str) -> tuple[float, float]:
    """PSNR in dB and mean SSIM of the planes of `clean`, compared with `truth`.

    Both have one shape and the axes `axes`. Of more than 32 planes, 32 are compared.
    Raises `DataError`.
    """
    from napari_hush.quality import psnr, ssim

    pairs = list(zip(_planes(clean, axes), _planes(truth, axes), strict=True))
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(PLANES, len(pairs))).astype(int))
    made = np.stack([np.asarray(pairs[number][0]) for number in chosen])
    true = np.stack([np.asarray(pairs[number][1]) for number in chosen])
    span = float(true.max()) - float(true.min())
    similarity = np.mean(
        [ssim(*pair, data_range=span) for pair in zip(made, true, strict=True)]
    )
    return psnr(made, true, data_range=span), float(similarity)


def _planes(array: Any, axes: str) -> list[Any]:
    """All planes ``(Y, X)`` of `array`, without reading it."""
    planes = []
    shape = engine_shape(axes, array.shape)
    for sample in AxesMap(engine_axes(axes), shape).samples(array.reshape(shape)):
        for channel in range(sample.shape[0]):
            if sample.ndim == 3:
                planes.append(sample[channel])
            else:
                planes += [sample[channel, z] for z in range(sample.shape[1])]
    return planes


class QualityRun(Run):
    """Checks results of denoising and shows their quality in `compare`."""

    def __init__(self, compare: ComparePanel, parent: QObject) -> None:
        super().__init__(parent, self._show)
        self._compare = compare

    def check(
        self, denoising: DenoisingRun, noisy: Image | None, axes: str, truth: Image | None
    ) -> None:
        """Check the result of `denoising` if it is all of the layer `noisy`."""
        self._compare.setNumbers("")
        canvas = denoising.whole
        if canvas is None or noisy is None or denoising.state.subject != noisy.name:
            return
        if pixel_shape(noisy) != canvas.out.shape or self.state.busy:
            return
        if truth is not None and pixel_shape(truth) != pixel_shape(noisy):
            truth = None
        task = QualityCheck(
            source_of(noisy),
            canvas.out,
            axes,
            rgb=bool(noisy.rgb),
            truth=None if truth is None else whole_of(truth),
            truth_name="" if truth is None else truth.name,
        )
        self.start(Activity.CHECKING, noisy.name, task)

    def _show(self, quality: Quality) -> str:
        self._compare.setNumbers(quality.words, quality.explanation)
        return quality.words
