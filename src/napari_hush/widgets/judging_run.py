"""Judging of a result, once it is whole; the numbers appear beside the ways of looking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_hush.widgets.job import Job
from napari_hush.widgets.judging import Judging, Quality
from napari_hush.widgets.layers import pixel_shape, source_of
from napari_hush.widgets.training_data import whole_of

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.widgets.denoising_run import DenoisingRun
    from napari_hush.widgets.inputs import Inputs
    from napari_hush.widgets.look_panel import LookPanel

__all__ = ["JudgingRun"]


class JudgingRun(QObject):
    """Says how good a result is.

    Parameters
    ----------
    look : LookPanel
        Where it is said.
    inputs : Inputs
        What the result is compared with.
    parent : QObject
        As of every QObject.
    """

    def __init__(self, look: LookPanel, inputs: Inputs, parent: QObject) -> None:
        super().__init__(parent)
        self._look = look
        self._inputs = inputs
        self.job = Job(self)
        self.job.returned.connect(self._on_returned)

    def judge(self, denoising: DenoisingRun) -> None:
        """Judge what `denoising` has made, unless it is only a part of a layer."""
        self._look.setNumbers("")
        canvas, noisy = denoising.whole, self._inputs.chosen()
        if canvas is None or noisy is None or denoising.state.subject != noisy.name:
            return
        if pixel_shape(noisy) != canvas.out.shape or self.job.is_running:
            return
        truth = self._truth_for(noisy)
        self.job.start(
            Judging(
                source_of(noisy),
                canvas.out,
                self._inputs.axes(),
                rgb=bool(noisy.rgb),
                truth=None if truth is None else whole_of(truth),
                truth_name="" if truth is None else truth.name,
            )
        )

    def abandon(self) -> None:
        """The dock goes."""
        self.job.abandon()

    def _truth_for(self, noisy: Image) -> Image | None:
        truth = self._inputs.truth()
        if truth is None or pixel_shape(truth) != pixel_shape(noisy):
            return None
        return truth

    def _on_returned(self, quality: Any) -> None:
        if isinstance(quality, Quality):
            self._look.setNumbers(quality.words, quality.explanation)
