"""The jobs of the dock: what the worker thread does, with the engine loaded there. No Qt.

A task is called as ``task(report, stop)`` and returns its result. Its text is what napari
lists when somebody closes the window while it runs.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from napari_hush.errors import TrainingError
from napari_hush.events import StepsDone, WarningIssued
from napari_hush.widgets.data.layers import of_layer, refusals_name
from napari_hush.widgets.jobs.crash_recovery import going_on, keeping, recovered_path
from napari_hush.widgets.jobs.task_events import EngineReady
from napari_hush.widgets.settings.cost_estimate import measure_speed
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration
    from napari_hush.events import Event, OnProgress
    from napari_hush.io import ImageMetadata
    from napari_hush.lightning import TrainDataModule, TrainingCheckpoint
    from napari_hush.widgets.data.training_data import TrainingData
    from napari_hush.widgets.jobs.crash_recovery import InterruptedTraining, Keeping
    from napari_hush.widgets.jobs.previewer import Previewer


class StopRequest:
    """A wish to stop, made in one thread and read in another.

    The wish may come before there is anything to stop: callbacks that are added later are
    then called at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made = self._abandoned = False
        self._callbacks: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._made

    @property
    def abandoned(self) -> bool:
        """Whether nobody will be there to take the result."""
        return self._abandoned

    def abandon(self) -> None:
        """Make the wish because the window or the dock goes."""
        self._abandoned = True
        self.set()

    def set(self) -> None:
        with self._lock:
            self._made = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def forget(self) -> None:
        """Call nobody any more: what was to be stopped is over."""
        with self._lock:
            self._callbacks = []

    def when_set(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, as soon as there is the wish to stop."""
        with self._lock:
            if not self._made:
                self._callbacks.append(callback)
                return
        callback()


class Task(Protocol):
    """Work for the worker thread."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Any: ...


@dataclass(frozen=True)
class Training:
    """Train a model; returns it, or None if it was stopped before its first step.

    What it takes to go on after a crash is kept until it is over.
    """

    configuration: Configuration
    data: TrainingData
    name: str
    model: CAREamist | None = None
    """The model to train on; None for a fresh one."""
    previewer: Previewer | None = None
    """Gets the model every few seconds."""
    pixel_size: ImageMetadata | None = None
    """Pixel sizes of what is learned from."""
    interrupted: Path | None = None
    """The folder of a training that was cut off, to go on with it; then `model` is None."""

    @classmethod
    def of(cls, run: InterruptedTraining) -> Training:
        """What goes on with `run`.

        Raises
        ------
        UnreadableFileError
            If its pixels are not there.
        """
        data, size = run.data(), run.pixel_size
        return cls(
            run.configuration, data, run.name, pixel_size=size, interrupted=run.folder
        )

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        from napari_hush.lightning import load_checkpoint

        state = None if self.interrupted is None else load_checkpoint(self.interrupted)
        engine = self._engine(state)
        engine.callbacks = self._callbacks(report)
        report(EngineReady(engine))
        stop.when_set(engine.stop_training)
        if not stop.is_set():
            with self._kept(report) as run, refusals_name(self.name):
                engine.on_progress = partial(self._tell, run, report)
                engine.train(
                    datamodule=self._data(engine, run.data, state),
                    checkpoint_dir=run.folder if state is None else None,
                    resume=None if state is None else run.folder,
                    checkpoint_required=False,
                )
                run.over = not stop.abandoned
        if stop.abandoned and engine.is_trained:
            engine.save(recovered_path(self.name))
        return engine if engine.is_trained else None

    def _engine(self, state: TrainingCheckpoint | None) -> CAREamist:
        from napari_hush.careamist import CAREamist

        if state is not None:
            return CAREamist(source=state.config)
        if self.model is None:
            return CAREamist(source=self.configuration)
        engine = self.model  # what it is stays; how long it is trained does not
        training = self.configuration.training_config
        engine.config = engine.config.replace(training_config=training)
        return engine

    def _kept(self, report: OnProgress) -> AbstractContextManager[Keeping]:
        if self.interrupted is not None:
            return going_on(self.interrupted, self.data)
        return keeping(
            self.name,
            self.configuration,
            self.data,
            self.pixel_size,
            lambda words: report(WarningIssued("state", words)),
        )

    def _tell(self, run: Keeping, report: OnProgress, event: Event) -> None:
        run.learned = run.learned or isinstance(event, StepsDone)
        report(of_layer(event, self.name))

    def _data(
        self, engine: CAREamist, pixels: TrainingData, state: TrainingCheckpoint | None
    ) -> TrainDataModule:
        """The data; a model that is trained on keeps its normalisation."""
        from napari_hush.lightning import TrainDataModule

        config = self.configuration.data_config
        if state is not None and state.position.first_step:
            config = config.replace(**state.data.statistics)
        if (model := engine.model) is not None:
            scaling = model.target_normalization
            config = config.replace(
                image_means=model.normalization.means,
                image_stds=model.normalization.stds,
                target_means=None if scaling is None else scaling.means,
                target_stds=None if scaling is None else scaling.stds,
            )
        data = TrainDataModule(
            config,
            **pixels.sources(),
            val_minimum_split=1,  # as CAREamist.train does it
        )
        data.pixel_size = self.pixel_size
        return data

    def _callbacks(self, report: OnProgress) -> tuple[Any, ...]:
        from napari_hush.lightning import PreviewCallback

        if self.previewer is None:
            return ()
        self.previewer.report = report
        return (PreviewCallback(self.previewer.update),)

    def __str__(self) -> str:
        return f"training on “{self.name}”"


@dataclass(frozen=True)
class Saving:
    """Write the model to `path`, in the format it ends in; returns `path`."""

    model: CAREamist
    path: Path
    overwrite: bool

    def __call__(self, report: OnProgress, stop: StopRequest) -> Path:
        from napari_hush.models.file import SUFFIX

        if self.path.suffix == SUFFIX:
            self.model.save(self.path, overwrite=self.overwrite)
        else:
            self.model.export(self.path, overwrite=self.overwrite)
        return self.path

    def __str__(self) -> str:
        return f"saving of {self.path.name}"


@dataclass(frozen=True)
class Loading:
    """Read the model at `path`; returns it."""

    path: Path

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist:
        from napari_hush.careamist import CAREamist

        return CAREamist(source=self.path)

    def __str__(self) -> str:
        return f"loading of {self.path.name}"


@dataclass(frozen=True)
class LoadingRecovered:
    """Take the model out of a training that was cut off, as it was last; returns it."""

    run: InterruptedTraining

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist:
        from napari_hush.careamist import CAREamist
        from napari_hush.lightning import load_checkpoint, model_of

        state = load_checkpoint(self.run.folder)
        if not state.position.first_step + state.position.steps:
            raise TrainingError(
                f"The training on “{self.run.name}” was cut off before anything was "
                "learned; let it go on, or discard it."
            )
        return CAREamist(source=model_of(state))

    def __str__(self) -> str:
        return f"loading of the model of “{self.run.name}”"


def load_engine(configuration: Configuration) -> None:
    """Import what the first job will need: seconds better spent before somebody waits.

    On a device that is not known yet, its speed is measured as well.
    """
    import napari_hush.careamist  # noqa: F401

    device = configuration.training_config.device
    if device not in (speeds := load_setting("speeds", {})):
        save_setting("speeds", {**speeds, device: measure_speed(configuration)})
    gc.collect()  # of all that was loaded; later it would hold up a window that trains
