"""The run that trains, saves and loads models, with its live preview."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_hush.config.methods import method_of
from napari_hush.errors import TrainingError
from napari_hush.events import StepsDone, TrainingPaused, TrainingStarted
from napari_hush.widgets.data.layers import Origin, source_of
from napari_hush.widgets.jobs import run_state
from napari_hush.widgets.jobs.denoising_plan import LayerView
from napari_hush.widgets.jobs.preview_layer import PreviewLayer
from napari_hush.widgets.jobs.previewer import (
    Previewer,
    VisibleRegion,
    has_levelled,
)
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity
from napari_hush.widgets.jobs.subprocess_parent import SubprocessTraining
from napari_hush.widgets.jobs.task_events import (
    DeviceMemory,
    EngineReady,
    LatestModel,
    LiveTraining,
    PreviewReady,
    ProcessDied,
)
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.results.pairing import is_first, pair_of

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtWidgets import QWidget

    from napari_hush.events import Event
    from napari_hush.models import Model
    from napari_hush.widgets.jobs.tasks import Task, Training

FOLLOW_MS = 250
"""Milliseconds between two looks at what the viewer shows."""


class TrainingRun(Run):
    """Trains with previews in `viewer`; saves and loads models."""

    def __init__(
        self, viewer: Any, parent: QWidget, on_result: Callable[[Any], str]
    ) -> None:
        super().__init__(parent, self._finish)
        self._show_result = on_result
        self._viewer = viewer
        self._widget = parent
        self._live: LiveTraining | None = None
        self._view: LayerView | None = None
        self._looked: VisibleRegion | None = None
        self._preview: PreviewLayer | None = None
        self._result: Image | None = None
        self._wants_preview = True
        self._losses: list[float] = []
        self._has_levelled = False
        self._promised: list[Future[Model]] = []
        self.layer_was_removed = False
        """Whether the layer in training was removed from the viewer."""
        self.latest: Model | None = None
        """A copy of the model in training, a few seconds old."""
        self.device_memory = ""
        """Device and memory in use, as the training process reports it."""
        self._follow = QTimer(self)
        self._follow.setInterval(FOLLOW_MS)
        self._follow.timeout.connect(self._on_follow)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self.progressed.connect(self._on_progressed)
        self.ended.connect(self._on_ended)

    def start(self, activity: Activity, subject: str, task: Task) -> None:
        self._live = self.latest = self._view = self._looked = None
        self._losses, self._has_levelled = [], False
        self.device_memory, self.layer_was_removed = "", False
        self.closePreview()
        super().start(activity, subject, task)

    def train(
        self, task: Training, layer: Image | None, axes: str, *, apart: bool = False
    ) -> None:
        """Train, in a separate process if `apart`, with previews over `layer`, if any."""
        view = preview = None
        if layer is not None:
            view = LayerView.of(layer, axes)
            source, rgb = source_of(layer), bool(layer.rgb)
            previewer = Previewer(source, axes, rgb=rgb, visible=VisibleRegion())
            task = replace(task, previewer=previewer)
            preview = PreviewLayer(self._viewer, Origin.of(layer), self._widget)
        job = SubprocessTraining(task) if apart else task
        self.start(Activity.TRAINING, task.name, job)
        config = task.configuration if task.model is None else task.model.config
        self.state = replace(self.state, method=method_of(config).label)
        self._view, self._preview = view, preview
        pair = pair_of(layer, self._viewer.layers)
        self._result = None if pair is None else pair[1]
        self._follow.start()

    def pauseOrResume(self) -> None:
        """Pause the training run after the current step, or resume it."""
        if self._live is None:
            return
        if self._live.is_paused:
            self._live.resume_training()
        else:
            self._live.pause_training()
        self.state = run_state.pausing(self.state, wanted=self._live.is_paused)
        self.progressed.emit([])

    def latestModel(self) -> Future[Model]:
        """The model in training: after its current step, or of its last one."""
        promise: Future[Model] = Future()
        self._promised.append(promise)
        if self._live is not None:
            self._live.request_model()
        return promise

    def setPreview(self, wanted: bool) -> None:
        """Switch previews on or off, at any time."""
        self._wants_preview = wanted
        if not wanted:
            self._hide_preview()
        self._on_follow()

    def closePreview(self) -> None:
        """Remove the preview layer."""
        self._hide_preview()
        self._preview = None

    @property
    def preview_was_removed(self) -> bool:
        """Whether the user has removed the preview layer."""
        return self._preview is not None and self._preview.was_removed

    def _on_follow(self) -> None:
        """Have what the viewer shows now previewed, if it has changed."""
        view = self._view
        if view is None or self._live is None:
            return
        view.update(self._viewer)
        view.visible.on = self._wants_preview and self._has_levelled
        if self._is_covered(view.layer):
            view.visible.on = False
            self._hide_preview()
        if view.visible != self._looked:
            self._looked = replace(view.visible)
            self._live.look(self._looked)

    def _is_covered(self, layer: Image) -> bool:
        """Whether a result of `layer` that is newer than this run hides the preview."""
        pair = pair_of(layer, self._viewer.layers)
        if pair is None or is_first(pair[1]):
            return False
        return pair[1] is not self._result and pair[1].visible

    def _hide_preview(self) -> None:
        if self._preview is not None:
            self._preview.close()

    def _on_layer_removed(self, event: Any) -> None:
        # At once: napari 0.9 crashes in OpenGL when a layer gets new pixels after one
        # below it was removed.
        if self._view is not None and event.value is self._view.layer:
            if self._live is not None:
                self._live.look(VisibleRegion(on=False))
            self._view = None
            self.layer_was_removed = True
            self.closePreview()

    def _on_progressed(self, events: list[Event]) -> None:
        preview = None
        for event in events:
            match event:
                case EngineReady():
                    self._live = event.engine
                case TrainingStarted():
                    self._has_levelled = event.first_step > 0
                case StepsDone():
                    self._losses += event.losses
                case TrainingPaused() if self._live is not None:
                    self._live.request_model()
                case LatestModel():
                    self._take_model(event.model)
                case DeviceMemory():
                    self.device_memory = event.description
                case ProcessDied():
                    notify(event.reason)
                case PreviewReady():
                    preview = event
        if not self._has_levelled and has_levelled(self._losses):
            self._has_levelled = True
            self._on_follow()
        wanted = self._looked is not None and self._looked.on and self._wants_preview
        if preview is not None and self._preview is not None and wanted:
            self._preview.show(preview)

    def _take_model(self, model: Model) -> None:
        self.latest = model
        promised, self._promised = self._promised, []
        for promise in promised:
            promise.set_result(model)

    def _finish(self, value: Any) -> str:
        message = self._show_result(value)
        if self._promised and value is not None:
            self._take_model(value.trained)
        return message

    def _on_ended(self) -> None:
        self._follow.stop()
        self._live = self._view = None
        self.closePreview()
        promised, self._promised = self._promised, []
        for promise in promised:
            promise.set_exception(
                TrainingError("Training ended before its first step, without a model.")
            )
