"""The run that trains, saves and loads models, with its live preview."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_hush.widgets.data.layers import Origin, source_of
from napari_hush.widgets.jobs.denoising_plan import LayerView
from napari_hush.widgets.jobs.previewer import Previewer, VisibleRegion
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity
from napari_hush.widgets.jobs.subprocess_parent import SubprocessTraining
from napari_hush.widgets.jobs.task_events import (
    DeviceMemory,
    EngineReady,
    LatestModel,
    Pausable,
    PreviewReady,
    ProcessDied,
)
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.results.result_layer import PreviewLayer

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_hush.events import Event
    from napari_hush.models import Model
    from napari_hush.widgets.jobs.tasks import Task, Training


class TrainingRun(Run):
    """Trains with previews in `viewer`; saves and loads models."""

    def __init__(
        self, viewer: Any, parent: QObject, on_result: Callable[[Any], str]
    ) -> None:
        super().__init__(parent, on_result)
        self._viewer = viewer
        self._engine: Pausable | None = None
        self._view: LayerView | None = None
        self._preview: PreviewLayer | None = None
        self._wants_preview = True
        self.latest: Model | None = None
        """A copy of the model in training, a few seconds old."""
        self.device_memory = ""
        """Device and memory in use, as the training process reports it."""
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self.progressed.connect(self._on_progressed)

    def start(self, activity: Activity, subject: str, task: Task) -> None:
        self._engine = self.latest = self._view = None
        self.device_memory = ""
        self.closePreview()
        super().start(activity, subject, task)

    def train(
        self, task: Training, layer: Image | None, axes: str, *, apart: bool = False
    ) -> None:
        """Train, in a separate process if `apart`, with previews over `layer`, if any."""
        view = preview = None
        if layer is None:  # still needed for its copies of the model
            source, rgb, visible = task.data.noisy[0], False, VisibleRegion()
        else:
            view = LayerView.of(layer, axes)
            view.visible.on = self._wants_preview
            view.update(self._viewer)
            source, rgb, visible = source_of(layer), bool(layer.rgb), view.visible
            preview = PreviewLayer(self._viewer, Origin.of(layer))
        task = replace(task, previewer=Previewer(source, axes, rgb=rgb, visible=visible))
        job = SubprocessTraining(task) if apart else task
        self.start(Activity.TRAINING, task.name, job)
        self._view, self._preview = view, preview

    def pauseOrResume(self) -> None:
        """Pause the training run after the current step, or resume it."""
        if self._engine is None:
            return
        if self._engine.is_paused:
            self._engine.resume_training()
        else:
            self._engine.pause_training()

    def setPreview(self, wanted: bool) -> None:
        """Switch previews on or off, at any time."""
        self._wants_preview = wanted
        if self._view is not None:
            self._view.visible.on = wanted
        if self._preview is not None and not wanted:
            self._preview.close()

    def closePreview(self) -> None:
        """Remove the preview layer."""
        if self._preview is not None:
            self._preview.close()
            self._preview = None

    @property
    def preview_was_removed(self) -> bool:
        """Whether the user has removed the preview layer."""
        return self._preview is not None and self._preview.was_removed

    def _on_layer_removed(self, event: Any) -> None:
        # At once: napari 0.9 crashes in OpenGL when a layer gets new pixels after one
        # below it was removed.
        if self._view is not None and event.value is self._view.layer:
            self._view.visible.on = False
            self.closePreview()

    def _on_progressed(self, events: list[Event]) -> None:
        preview = None
        for event in events:
            match event:
                case EngineReady():
                    self._engine = event.engine
                case LatestModel():
                    self.latest = event.model
                case DeviceMemory():
                    self.device_memory = event.description
                case ProcessDied():
                    notify(event.reason)
                case PreviewReady():
                    preview = event
        if self._view is not None:
            self._view.update(self._viewer)
        if preview is not None and self._preview is not None and self._wants_preview:
            self._preview.show(preview)
