"""The dock "Denoise": what happens when.

People's clicks start jobs, the worker's events move one `RunState` on, and `_render`
alone shows what is.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QCoreApplication, QEvent, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from napari_hush.events import EpochDone, Event, StepsDone, TilesDone, TrainingStarted
from napari_hush.widgets import layers, run_state, tasks
from napari_hush.widgets.colours import Colours, stylesheet
from napari_hush.widgets.controls import Controls
from napari_hush.widgets.face import Situation, resolve
from napari_hush.widgets.job import Job
from napari_hush.widgets.model_files import ask_where_from, ask_where_to
from napari_hush.widgets.result_layer import ResultLayer
from napari_hush.widgets.run_state import Activity, RunState
from napari_hush.widgets.settings_form import fresh_configuration

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtGui import QShowEvent

    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration

__all__ = ["DenoiseDock"]

WARM_UP_MS = 300
"""Milliseconds after the dock is shown until it loads what the first run will need."""


@dataclass(frozen=True)
class _Model:
    """The model that Denoise and Save work with."""

    engine: CAREamist
    name: str
    kept: bool
    """Whether it is in a file."""


class DenoiseDock(QWidget):
    """Trains a denoiser on an image layer and denoises layers with it.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers there are to choose from, and where results go.
    """

    valueChanged = Signal()
    """A setting was edited. Ask `value` for the result, which may not be allowed."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._state = RunState()
        self._model: _Model | None = None
        self._result: ResultLayer | None = None

        # ---- widgets
        self.setObjectName("denoise_dock")
        self._controls = Controls(viewer, Colours.of(viewer.theme))
        self._inputs = self._controls.inputs
        self._job = Job(self)
        self._warm_up_timer = QTimer(self)
        self._warm_up_timer.setSingleShot(True)
        self._warm_up_timer.setInterval(WARM_UP_MS)

        # ---- layout
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._controls)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

        # ---- connections
        self._inputs.valueChanged.connect(self._on_edited)
        self._inputs.renamed.connect(self._render)
        for name, slot in (
            ("train", self._on_train),
            ("stop", self._on_stop),
            ("denoise", self._on_denoise),
            ("cancel", self._on_stop),
            ("save_model", self._on_save),
            ("load_model", self._on_load),
        ):
            self._controls.buttons[name].clicked.connect(slot)
        self._job.progressed.connect(self._on_progressed)
        self._job.returned.connect(self._on_returned)
        self._job.refused.connect(self._on_refused)
        self._job.crashed.connect(self._on_crashed)
        self._warm_up_timer.timeout.connect(self._warm_up)
        viewer.events.theme.connect(self._on_theme)

        self._on_theme()
        self._render()

    # ---- Public API

    def value(self) -> Configuration:
        """The configuration that Train would use.

        Raises
        ------
        ConfigurationError
            If what was typed cannot be; the dock shows why.
        """
        return self._inputs.value()

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`; settings without a control here are kept, too."""
        self._inputs.setValue(configuration)

    def saveModel(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the model to `path`, in the worker."""
        if self._model is not None:
            task = tasks.Saving(self._model.engine, path, overwrite)
            self._start(Activity.SAVING, path.name, task)

    def loadModel(self, path: Path) -> None:
        """Read a model from `path`, in the worker, and show its settings."""
        self._start(Activity.LOADING, path.name, tasks.Loading(path))

    def sizeHint(self) -> QSize:
        return QSize(330, 720)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._warm_up_timer.start()

    def event(self, event: QEvent) -> bool:
        # When its frame is closed, napari takes the dock out of it.
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._job.stop()
        return bool(super().event(event))

    # ---- What people do

    def _on_train(self) -> None:
        if task := self._inputs.training():
            self._start(Activity.TRAINING, task.name, task)

    def _on_denoise(self) -> None:
        layer = self._inputs.chosen()
        if layer is not None and self._model is not None:
            task = tasks.Denoising(
                self._model.engine,
                layers.source_of(layer),
                self._inputs.axes(),
                layer.rgb,
                layers.Origin.of(layer),
            )
            self._start(Activity.DENOISING, layer.name, task)

    def _on_stop(self) -> None:
        self._job.stop()
        self._set_state(run_state.stop(self._state))

    def _on_save(self) -> None:
        if self._model is not None and (asked := ask_where_to(self, self._model.name)):
            path, overwrite = asked
            self.saveModel(path, overwrite=overwrite)

    def _on_load(self) -> None:
        if path := ask_where_from(self):
            self.loadModel(path)

    def _on_edited(self) -> None:
        """Take notice of other inputs; what was said about the last run is history."""
        self._set_state(self._state if self._state.busy else RunState())
        self.valueChanged.emit()

    # ---- What the worker says

    def _start(self, activity: Activity, subject: str, task: tasks.Task) -> None:
        self._result = None
        self._job.start(task)
        self._set_state(run_state.begin(activity, subject, time.monotonic()))

    def _on_progressed(self, events: list[Event]) -> None:
        state, plot = self._state, self._controls.plot
        for event in events:
            state = run_state.advance(state, event, time.monotonic())
            match event:
                case TrainingStarted():
                    plot.clear()
                case StepsDone():
                    plot.addSteps(event.first_step, event.losses)
                case EpochDone(val_loss=float(loss)):
                    plot.addValidation(event.step, loss)
                case tasks.CanvasReady():
                    self._result = ResultLayer(self._viewer, event.origin, event.canvas)
                case TilesDone() if self._result is not None:
                    self._result.show(event.regions)
        if self._result is not None and not self._result.is_there:
            self._job.stop()  # somebody removed it: there is nothing to fill any more
        plot.redraw()
        self._set_state(state)
        self._job.setCostOfNews(self._paint())

    def _on_returned(self, value: Any) -> None:
        state = self._state
        match state.activity:
            case Activity.TRAINING:
                message = self._after_training(value)
            case Activity.DENOISING:
                message = self._after_denoising()
            case Activity.SAVING:
                if self._model is not None:
                    self._model = replace(self._model, name=value.stem, kept=True)
                message = f"The model is saved as “{value.name}”."
            case Activity.LOADING:
                self._model = _Model(value, Path(state.subject).stem, kept=True)
                self._inputs.showSettingsOf(value.config)
                message = f"The model “{state.subject}” is loaded."
        self._set_state(run_state.finish(state, message))

    def _on_refused(self, sentence: str) -> None:
        show_error(sentence)
        self._give_up(sentence)

    def _on_crashed(self, error: Exception) -> None:
        self._give_up(f"{type(error).__name__}: {error}")

    # ---- Private API

    def _after_training(self, engine: CAREamist | None) -> str:
        state = self._state
        if engine is None:
            return "Stopped before the first step; nothing was learned yet."
        self._model = _Model(engine, state.subject, kept=False)
        if state.patches_per_second:
            self._inputs.noteSpeed(state.patches_per_second)
        if state.stopped:
            return f"Stopped in epoch {state.epoch}; the model learned so far is ready."
        spent = run_state.in_words(time.monotonic() - state.started)
        return f"Trained on “{state.subject}” in {spent}. Denoise is next."

    def _after_denoising(self) -> str:
        state, result = self._state, self._result
        if result is None or not result.is_there:
            return "Cancelled."
        if state.done < state.total:
            result.finish_partial(state.done)
            return f"Cancelled; {state.done} of {state.total} tiles are denoised."
        result.finish()
        return f"Denoised into “{result.name}”."

    def _give_up(self, message: str) -> None:
        if self._result is not None:
            self._result.finish_partial(self._state.done)
        self._set_state(run_state.fail(self._state, message))

    def _set_state(self, state: RunState) -> None:
        self._state = state
        self._render()

    def _render(self) -> None:
        layer, model = self._inputs.chosen(), self._model
        self._controls.showFace(
            resolve(
                Situation(
                    self._state,
                    self._inputs.readiness,
                    layer="" if layer is None else layer.name,
                    model="" if model is None else model.name,
                    model_is_kept=model is not None and model.kept,
                )
            )
        )

    def _paint(self) -> float:
        """Paint all that has changed, now and at once; return the seconds it took."""
        started = time.perf_counter()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        QCoreApplication.sendPostedEvents(self.window(), QEvent.Type.UpdateRequest.value)
        return time.perf_counter() - started

    def _on_theme(self, event: Any = None) -> None:
        colours = Colours.of(self._viewer.theme)
        self.setStyleSheet(stylesheet(colours))
        self._controls.plot.setColours(colours)
        self._inputs.settings.method.setLinkColour(colours.curve)

    def _warm_up(self) -> None:
        if "napari_hush.careamist" not in sys.modules:
            threading.Thread(
                target=tasks.load_engine,
                args=[fresh_configuration()],
                name="hush-load-engine",
            ).start()
            self._inputs.awaitSpeed()
