"""The dock "Denoise": clicks start runs, their events advance states, `Presenter` shows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, QTimer, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_hush.errors import HushError
from napari_hush.widgets.data.drag_and_drop import DropTarget
from napari_hush.widgets.data.helper_layers import bare
from napari_hush.widgets.data.layers import fitted_axes, pixel_shape
from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.dock.controls import Controls
from napari_hush.widgets.dock.docking import AskBeforeClosing, OnlyDock, add_shortcuts
from napari_hush.widgets.dock.presenter import Presenter
from napari_hush.widgets.dock.short_collections import ShortCollections
from napari_hush.widgets.inspect.check_task import why_training_cannot_work
from napari_hush.widgets.inspect.quality_job import QualityRun
from napari_hush.widgets.jobs import tasks
from napari_hush.widgets.jobs.denoising_plan import (
    LayerView,
    layer_called,
    plan_denoising,
    plan_first_look,
)
from napari_hush.widgets.jobs.denoising_run import DenoisingRun
from napari_hush.widgets.jobs.run_state import Activity, Phase, RunState, after_training
from napari_hush.widgets.jobs.task_events import LatestModel
from napari_hush.widgets.jobs.training_run import TrainingRun
from napari_hush.widgets.model.current_model import CurrentModel
from napari_hush.widgets.model.export_form import ask_about
from napari_hush.widgets.model.file_dialogs import (
    PACKAGE,
    READABLE,
    ask_where_from,
    ask_where_to,
)
from napari_hush.widgets.model.model_panel import snapshot_menu
from napari_hush.widgets.notifications import confirm, notify
from napari_hush.widgets.results import save_image
from napari_hush.widgets.results.pairing import first_looks, remembered, to_save
from napari_hush.widgets.theme.help import add_help_key
from napari_hush.widgets.theme.repaint import DrawingContext
from napari_hush.widgets.theme.theme import Colours
from napari_hush.widgets.theme.widgets import column, scrolled
from napari_hush.widgets.user_settings import add_recent_model

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image
    from qtpy.QtGui import QShowEvent

    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration
    from napari_hush.events import Event
    from napari_hush.lightning import Snapshot
    from napari_hush.models import Model
    from napari_hush.widgets.jobs.crash_recovery import InterruptedTraining
    from napari_hush.widgets.jobs.run import Run
    from napari_hush.widgets.model.current_model import Earlier

WARM_UP_MS = 300
"""Milliseconds from showing the dock to loading the engine and finding interrupted runs."""


class DenoiseDock(QWidget):
    """Trains a denoiser on an image layer and denoises layers with it."""

    valueChanged = Signal()
    """A setting was edited; `value` may raise."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._model = CurrentModel()
        self._loading: Path | None = None
        self._denoise_next: tuple[Image | list[Path], str] | None = None
        """The layer or the files of "Denoise now", and their axes."""
        self._views: list[LayerView] = []

        # ---- widgets
        self.setObjectName("denoise_dock")
        self._controls = Controls(viewer, Colours.of(viewer.theme))
        self._inputs = self._controls.inputs
        self._run = TrainingRun(viewer, self, self._on_result)
        self._denoising = DenoisingRun(viewer, self)
        self._quality = QualityRun(
            self._controls.compare, self._inputs.axes, self._inputs.truth, self
        )
        self._drawing = DrawingContext(viewer, self)
        self._presenter = Presenter(
            self, viewer, self._controls, self._model, self._run, self._denoising
        )
        self._warm_up = QTimer(self, singleShot=True)

        # ---- layout
        layout = column(self, spacing=0)
        layout.addWidget(scrolled("dock_scroll", self._controls), 1)
        layout.addWidget(self._controls.foot)

        # ---- connections
        self._warm_up.timeout.connect(self._inputs.loadEngine)
        self._warm_up.timeout.connect(self._controls.recovery.refresh)
        self._inputs.valueChanged.connect(self._on_edited)
        self._inputs.renamed.connect(self._presenter.update)
        self._inputs.check.checked.connect(lambda report: self._on_checked())
        self._inputs.costChanged.connect(self._presenter.update)
        self._controls.compare.pairChanged.connect(self._presenter.update)
        self._controls.compare.judged.connect(self._presenter.update)
        self._controls.card.chosen.connect(self.loadModel)
        self._controls.recovery.resumed.connect(self._on_resume)
        self._controls.recovery.modelAsked.connect(self._on_use_model)
        viewer.layers.selection.events.active.connect(self._on_selected)
        DropTarget(self, viewer.layers).dropped.connect(self._inputs.take)
        self._inputs.modelDropped.connect(self.loadModel)
        self._inputs.data.refused.connect(self._on_not_opened)
        for name, slot in (
            ("denoise_now", self._on_denoise_now),
            ("train", lambda: self._train(None)),
            ("train_on", lambda: self._train(self._model.engine)),
            ("pause", self._run.pauseOrResume),
            ("stop", lambda: self._stop(self._run)),
            ("denoise", self._on_denoise),
            ("denoise_files", self._on_denoise_files),
            ("cancel", lambda: self._stop(self._denoising)),
            ("snapshots", self._on_snapshots),
            ("save_image", self._on_save_image),
            ("save_model", self._on_save),
            ("load_model", self._on_load),
        ):
            self._controls.buttons[name].clicked.connect(slot)
        self._controls.preview.toggled.connect(self._run.setPreview)
        self._controls.scope.currentIndexChanged.connect(self._presenter.update)
        self._run.progressed.connect(self._on_progressed)
        self._run.refused.connect(self._on_refused)
        self._run.ended.connect(self._on_ended)
        self._denoising.progressed.connect(self._on_tiles)
        self._denoising.ended.connect(self._on_denoised)
        add_shortcuts(self, self._controls.buttons)
        add_help_key(self)
        OnlyDock(self, viewer)
        self._asking = AskBeforeClosing(self, self._why_not_close, self._is_idle)
        ShortCollections(viewer, self._is_idle, self)
        self._controls.followPreferences()
        self._quality.update()  # of a result from before the dock was opened
        self._presenter.update()

    def value(self) -> Configuration:
        """Configuration for the next training run; `ConfigurationError` if not valid."""
        return self._inputs.value()

    def setValue(self, configuration: Configuration) -> None:
        """Show `configuration`."""
        self._inputs.setValue(configuration)

    @property
    def model(self) -> Model | None:
        """The current model, which Denoise uses and Save writes."""
        return self._model.model

    @property
    def modelName(self) -> str:
        """Name of the current model; empty without one."""
        return self._model.name

    @property
    def state(self) -> RunState:
        """The state of the run in progress, or of the last one."""
        return self._presenter.state

    def saveModel(
        self, path: Path, about: dict[str, Any] | None = None, *, overwrite: bool = False
    ) -> None:
        """Save the current model to `path`, in the background.

        `about` are further arguments of `CAREamist.export_to_bmz`, for a package.
        """
        if self._model.engine is not None and _is_free(self._run):
            task = tasks.Saving(self._model.engine, path, overwrite, about)
            self._run.start(Activity.SAVING, path.name, task)
            self._show_started()

    def loadModel(self, path: Path) -> None:
        """Load a model from `path`, in the background, and show its settings."""
        if _is_free(self._run):
            self._loading = path
            self._run.start(Activity.LOADING, path.name, tasks.Loading(path))
            self._show_started()

    def denoiseNow(self, layer: Image) -> None:
        """Choose `layer` and denoise it, as the button "Denoise now" does."""
        if _is_free(self._run, self._denoising):
            self._inputs.data.fields["noisy"].setLayers([layer])
            self._inputs.whenKnown(self._click_denoise_now)

    def sizeHint(self) -> QSize:
        return QSize(330, 720)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._warm_up.start(WARM_UP_MS)
        self._asking.watch()

    def event(self, event: QEvent) -> bool:
        # napari removes the dock from its frame when that is closed.
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            for run in (self._run, self._denoising, self._quality):
                run.abandon()  # a model in training is saved to a file
            self._run.closePreview()
            self._controls.compare.closeView()
            self._presenter.close()
        return bool(super().event(event))

    def _is_idle(self) -> bool:
        runs = (self._run, self._denoising, self._quality)
        return not any(run.state.busy for run in runs)

    def _on_selected(self, event: Any) -> None:
        """Choose the next image, once there is a result: those before may be a pair."""
        busy = any(run.state.busy for run in (self._run, self._denoising))
        if not (busy or self._presenter.awaits_check) and any(
            remembered(layer) for layer in self._viewer.layers
        ):
            self._inputs.data.follow(bare(event.value))
        self._presenter.update()  # a selected result may be saved

    def _why_not_close(self) -> str:
        if self._run.state.busy and self._run.state.activity is Activity.TRAINING:
            return (
                f"Closing the dock stops the training on “{self._run.state.subject}”; you "
                "can resume it when you open the dock again."
            )
        if self._model.model is not None and not self._model.kept:
            return (
                f"The model “{self._model.name}” is not saved; closing the dock loses it. "
                "Save model … keeps it in a file."
            )
        return ""

    # ---- Clicks and drops

    def _on_resume(self, run: InterruptedTraining) -> None:
        """Resume `run`, with previews on its layer if that is open."""
        if not _is_free(self._run):
            return
        try:
            task = tasks.Training.of(run)
        except HushError as error:
            notify(str(error))
            self._controls.recovery.refresh()
            return
        axes = run.configuration.data_config.axes
        layer = layer_called(run.name, axes, self._viewer)
        if layer is not None:
            axes = fitted_axes(axes, pixel_shape(layer))
        self._inputs.showSettingsOf(_unnamed(run.configuration))
        apart = self._inputs.settings.apart.isChecked()
        self._run.train(task, layer, axes, apart=apart)
        self._show_started()

    def _on_use_model(self, run: InterruptedTraining) -> None:
        if _is_free(self._run):
            self._loading = None
            self._run.start(Activity.LOADING, run.name, tasks.LoadingRecovered(run))
            self._show_started()

    def _click_denoise_now(self) -> None:
        button = self._controls.buttons["denoise_now"]
        if button.isEnabled():
            button.click()
        else:
            notify(button.toolTip())

    def _on_denoise_now(self) -> None:
        """Denoise with the model if it fits; otherwise train one, and denoise with it."""
        if self._presenter.uses_model:
            self._on_denoise()
        elif self._inputs.check.is_pending:  # its advice decides the method
            self._presenter.awaits_check = True
            self._presenter.update()
        else:
            engine = self._model.engine if self._presenter.continues else None
            if self._train(engine, stop_early=True):
                self._denoise_next = self._inputs.subject(), self._inputs.axes()
                self._show_first_look(keep=engine is not None)

    def _show_first_look(self, *, keep: bool) -> None:
        """Denoise the layer with the built-in denoiser, where its noise is independent.

        With `keep`, not if that was done.
        """
        layer, report = self._inputs.chosen(), self._inputs.check.report
        if layer is None or self._denoising.state.busy or self._inputs.check.problem:
            return
        if keep and first_looks(str(layer.unique_id), self._viewer.layers):
            return
        if report is not None and report.suggestion != "n2v":
            hot = report.suggestion == "n2v2"
            why = "the image has hot pixels" if hot else "the noise is correlated"
            self._run.showHint(f"There is no first look, because {why}.")
            return
        plan = plan_first_look(self._viewer, layer, self._inputs.axes())
        self._views = plan[1]
        self._denoising.denoise(plan[0])
        self._presenter.update()

    def _on_denoise_files(self) -> None:
        self._open_files_dock(self._inputs.folder())

    def _open_files_dock(self, files: list[Path]) -> None:
        """Open the other dock with the current model."""
        from napari_hush.widgets.dock.files_dock import open_files_dock

        if (model := self._model.model) is not None:
            alone = self._controls.network_alone.isChecked()
            name = self._model.name
            open_files_dock(self._viewer, name, model, *files, network_alone=alone)

    def _on_checked(self) -> None:
        continues = self._presenter.awaits_check and not self._inputs.check.is_pending
        if continues:
            self._presenter.awaits_check = False
        self._presenter.update()  # whether the model suits these intensities
        if continues:
            self._controls.buttons["denoise_now"].click()

    def _on_denoise(self) -> None:
        self._denoise(self._inputs.subject(), self._inputs.axes())

    def _denoise(self, subject: Image | list[Path], axes: str) -> None:
        """Denoise a layer with these axes into a new one, or files in the other dock."""
        if isinstance(subject, list):
            if subject:
                self._open_files_dock(subject)
            return
        training = self._run.state.is_running(Activity.TRAINING)
        model = self._run.latest if training else self._model.model
        if model is None:
            return
        scope = self._controls.scope.value()
        if subject is not self._inputs.chosen():
            scope = Scope.LAYER
        settings: dict[str, Any] = {**self._controls.prediction.value()}
        settings["keep_type"] = self._controls.keep_type.isChecked()
        settings["network_alone"] = self._controls.network_alone.isChecked()
        if training:
            settings["newer"] = self._run.latestModel()
        plan = plan_denoising(self._viewer, subject, axes, scope, model, **settings)
        if not plan[0]:
            notify("No image layer is selected; select at least one in the layer list.")
            return
        self._views = plan[1]
        self._denoising.denoise(plan[0])
        self._presenter.denoised_last = not training
        self._presenter.update()

    def _stop(self, run: Run) -> None:
        run.stop()
        self._presenter.update()

    def _on_snapshots(self) -> None:
        button = self._controls.buttons["snapshots"]
        place = button.mapToGlobal(button.rect().bottomLeft())
        snapshot_menu(button, self._model, self._go_back).popup(place)

    def _go_back(self, moment: Snapshot | Earlier) -> None:
        if not self._run.state.busy:
            engine = self._model.engine
            message = self._model.goBackTo(moment)
            if self._model.engine is not engine:
                self._controls.plot.forgetModel()
            self._presenter.updateModel()
            self._run.showMessage(message)
            self._presenter.denoised_last = False
            self._controls.log.addLine(message)
            self._presenter.update()

    def _on_save_image(self) -> None:
        pair = to_save(self._inputs.chosen(), self._viewer.layers)
        if pair is None or not (path := save_image.ask_where_to(self, *pair[::-1])):
            return
        if _is_free(self._denoising):  # one may have begun while the dialog was open
            remembered(pair[1])["saved"] = True
            self._denoising.save(save_image.SavingImage.of(pair[1], path))
            self._presenter.denoised_last = not self._run.state.busy
            self._presenter.update()

    def _on_save(self) -> None:
        model, name, inputs = self._model.model, self._model.name, self._inputs
        if model is None or not (asked := ask_where_to(self, name, inputs.imagePath())):
            return
        path, overwrite = asked
        save = partial(self.saveModel, path, overwrite=overwrite)
        if path.suffix.lower() == PACKAGE:
            ask_about(self, model, name, inputs.chosen(), inputs.axes(), save)
        else:
            save()

    def _on_load(self) -> None:
        if path := ask_where_from(self, self._inputs.imagePath()):
            self.loadModel(path)

    def _on_edited(self) -> None:
        self._presenter.awaits_check &= self._inputs.chosen() is not None
        self._controls.compare.refresh()
        self._quality.update()
        for run in (self._run, self._denoising):
            run.reset()
        self._presenter.update()
        self.valueChanged.emit()

    # ---- Events of the runs

    def _on_progressed(self, events: list[Event]) -> None:
        self._controls.plot.addEvents(events)
        if any(isinstance(event, LatestModel) for event in events):
            self._inputs.setModel(self._run.latest)
        if self._run.preview_was_removed:
            self._controls.preview.setChecked(False)
        self._presenter.updateAndPaint(self._run)

    def _on_tiles(self) -> None:
        for view in self._views:
            view.update(self._viewer)
        if self._denoising.is_seen:
            self._presenter.updateAndPaint(self._denoising)
        else:  # the first paint takes long and says nothing about the others
            self._presenter.update()

    def _on_denoised(self) -> None:
        self._controls.log.addLine(self._denoising.state.message)
        self._controls.compare.refresh()
        self._quality.update()
        self._presenter.update()
        self._denoise_trained()

    def _on_result(self, value: Any) -> str:
        state = self._run.state
        match state.activity:
            case Activity.TRAINING:
                return self._after_training(value)
            case Activity.SAVING:
                if value.suffix.lower() in READABLE:
                    self._model.noteSaved(value)
                    add_recent_model(value)
                return f"Saved the model as “{value.name}”."
            case Activity.LOADING:
                path = self._loading  # None: recovered from an interrupted training run
                name = state.subject if path is None else path.stem
                self._model.take(value, name, kept=path is not None)
                self._controls.plot.forgetModel()
                self._inputs.showSettingsOf(_unnamed(value.config))
                if path is not None:
                    add_recent_model(path)
                return f"Loaded the model “{state.subject}”."
        return ""

    def _on_refused(self, sentence: str) -> None:
        notify(sentence, Show_the_log=self._controls.log.expand)

    def _on_not_opened(self, sentence: str) -> None:
        notify(sentence, Show_the_log=self._controls.log.expand)
        self._controls.log.addLine(sentence)
        if not self._run.state.busy:
            self._run.showMessage(sentence)
            self._presenter.denoised_last = False
            self._presenter.update()

    def _on_ended(self) -> None:
        self._presenter.updateModel()
        self._controls.recovery.refresh()
        state = self._run.state
        self._controls.log.addLine(state.message)
        self._presenter.update()
        self._denoise_trained()

    def _denoise_trained(self) -> None:
        """Denoise the image of "Denoise now" once it is trained on and the dock is free."""
        state = self._run.state
        if self._denoise_next is None or state.busy:
            return
        if state.phase is Phase.DONE and self._denoising.state.busy:  # calls this again
            self._denoising.stop()
            return
        (subject, axes), self._denoise_next = self._denoise_next, None
        if state.phase is not Phase.DONE or state.stopped:
            return
        if isinstance(subject, list) or subject in self._viewer.layers:
            self._denoise(subject, axes)

    def _train(self, engine: CAREamist | None, *, stop_early: bool = False) -> bool:
        """Train a new model or that of `engine`; returns whether it has started."""
        task = self._inputs.training(stop_early=stop_early)
        if task is None:
            return False
        report = self._inputs.check.report
        problem = task.data.too_few_pixels() or why_training_cannot_work(
            report, task.configuration
        )
        if problem and not confirm(self, "Train anyway", problem):
            return False
        if not _is_free(self._run):
            return False
        apart = self._inputs.settings.apart.isChecked()
        task, layer = replace(task, model=engine), self._inputs.data.previewed()
        self._run.train(task, layer, self._inputs.axes(), apart=apart)
        self._show_started()
        return True

    def _show_started(self) -> None:
        self._presenter.denoised_last = False
        self._denoising.reset()
        state = self._run.state
        if state.activity is Activity.TRAINING:  # of another one than the current model
            self._inputs.setModel(None)
        self._controls.log.addLine(f"{state.activity.value.capitalize()}: {state.subject}")
        self._presenter.update()
        focus = QApplication.focusWidget()  # the clicked button may be hidden now
        if focus is None or not self.isAncestorOf(focus):
            self.setFocus()

    def _after_training(self, engine: CAREamist | None) -> str:
        state = self._run.state
        if engine is None:
            return "Stopped before the first step; there is no new model."
        early, is_new = state.stopped_early, engine is not self._model.engine
        before = self._model.name if is_new and not self._model.kept else ""
        self._model.take(engine, state.subject, kept=False, unfinished=early)
        self._inputs.noteRun(state.done, state.seconds_per_step)
        removed = f" “{state.subject}” was removed in the meantime."
        words = after_training(state) + (removed if self._run.layer_was_removed else "")
        if before:
            words += f" The previous model, “{before}”, is under Snapshots until you quit."
        return words


def _unnamed(configuration: Configuration) -> Configuration:
    """The settings of a model for the next one, which gets another name."""
    name = type(configuration)().experiment_name
    return configuration.replace(experiment_name=name)


def _is_free(*runs: Run) -> bool:
    """Whether none of `runs` is busy; says so otherwise."""
    if busy := any(run.state.busy for run in runs):
        notify("The dock is busy; wait until it has finished, or stop it.")
    return not busy
