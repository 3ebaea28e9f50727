"""The job that makes or moves a model: training, saving, loading; and its live preview."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_hush.events import WarningIssued
from napari_hush.widgets.data.layers import Origin, source_of
from napari_hush.widgets.jobs import run_state
from napari_hush.widgets.jobs.denoising_plan import Eye
from napari_hush.widgets.jobs.job import Job
from napari_hush.widgets.jobs.previewer import LatestModel, Lens, Previewer, PreviewReady
from napari_hush.widgets.jobs.run_state import Activity, RunState
from napari_hush.widgets.jobs.subprocess_child import MachineSeen
from napari_hush.widgets.jobs.subprocess_parent import ProcessDied, SubprocessTraining
from napari_hush.widgets.jobs.tasks import EngineReady, Steered, Task, Training
from napari_hush.widgets.notifications import WarningCollector, notify
from napari_hush.widgets.results.result_layer import PreviewLayer

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.events import Event
    from napari_hush.models import Model

__all__ = ["TrainingRun"]


class TrainingRun(QObject):
    """Runs one such job at a time, and keeps its state.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where the preview is shown.
    parent : QObject, optional
        As of every QObject.
    """

    progressed = Signal(list)
    """Events since the last time; the state takes account of them already."""
    returned = Signal(object)
    """The task's result; the state still says that it runs."""
    refused = Signal(str)
    crashed = Signal(Exception)

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._engine: Steered | None = None
        self._latest: Model | None = None
        self._eye: Eye | None = None
        self._preview: PreviewLayer | None = None
        self._wants_preview = True
        self._cautions = WarningCollector()
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self.state = RunState()
        self.machine = ""
        """What a process of its own has said of its device."""
        self.job = Job(self)
        self.job.progressed.connect(self._on_progressed)
        self.job.returned.connect(self.returned)
        self.job.refused.connect(self.refused)
        self.job.crashed.connect(self.crashed)

    # ---- Public API

    @property
    def latest(self) -> Model | None:
        """The model as it was a moment ago, while it is being trained."""
        return self._latest

    def start(self, activity: Activity, subject: str, task: Task) -> None:
        """Run `task` in the worker thread."""
        self._engine = self._latest = self._eye = None
        self.machine = ""
        self.closePreview()
        self._cautions.begin()
        self.job.start(task)
        self.state = run_state.begin(activity, subject, time.monotonic())

    def train(
        self, task: Training, layer: Image | None, axes: str, *, apart: bool = False
    ) -> None:
        """Train, and show on `layer`, now and then, what comes of it.

        Without a layer nothing is shown. With `apart`, in a process of its own.
        """
        eye = preview = None
        if layer is None:  # which hands on the model of the moment all the same
            source, rgb, lens = task.data.noisy[0], False, Lens()
        else:
            eye = Eye.on(layer, axes)
            eye.lens.on = self._wants_preview
            eye.look(self._viewer)
            source, rgb, lens = source_of(layer), bool(layer.rgb), eye.lens
            preview = PreviewLayer(self._viewer, Origin.of(layer))
        task = replace(task, previewer=Previewer(source, axes, rgb=rgb, lens=lens))
        where = SubprocessTraining(task) if apart else task
        self.start(Activity.TRAINING, task.name, where)
        self._eye, self._preview = eye, preview

    def pauseOrResume(self) -> None:
        """Let the training wait after the step in hand, or go on."""
        if self._engine is None:
            return
        if self._engine.is_paused:
            self._engine.resume_training()
        else:
            self._engine.pause_training()

    def stop(self) -> None:
        """End after the step in hand; the model so far comes back."""
        self.job.stop()
        self.state = run_state.stop(self.state)

    def setPreview(self, wanted: bool) -> None:
        """Show previews, or do not; at any time."""
        self._wants_preview = wanted
        if self._eye is not None:
            self._eye.lens.on = wanted
        if self._preview is not None and not wanted:
            self._preview.close()

    def closePreview(self) -> None:
        """Take the preview away, for there is something better to see."""
        if self._preview is not None:
            self._preview.close()
            self._preview = None

    @property
    def preview_was_removed(self) -> bool:
        """Whether somebody has removed the layer of the preview."""
        return self._preview is not None and self._preview.was_removed

    # ---- Private API

    def _on_layer_removed(self, event: Any) -> None:
        # At once: napari 0.9 crashes in OpenGL when a layer gets new pixels after one
        # below it was removed.
        if self._eye is not None and event.value is self._eye.layer:
            self._eye.lens.on = False
            self.closePreview()

    def _on_progressed(self, events: list[Event]) -> None:
        shown = None
        for event in events:
            self.state = run_state.advance(self.state, event, time.monotonic())
            if isinstance(event, EngineReady):
                self._engine = event.engine
            elif isinstance(event, LatestModel):
                self._latest = event.model
            elif isinstance(event, MachineSeen):
                self.machine = event.words
            elif isinstance(event, ProcessDied):
                self.state = replace(self.state, stopped=True, hint=event.reason)
                notify(event.reason)
            elif isinstance(event, PreviewReady):
                shown = event
            elif isinstance(event, WarningIssued):
                self._cautions.take(event)
        if self._eye is not None:
            self._eye.look(self._viewer)
        if shown is not None and self._preview is not None and self._wants_preview:
            self._preview.show(shown)
        self.progressed.emit(events)
