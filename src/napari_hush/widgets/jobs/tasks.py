"""Tasks of the worker thread: training, saving and loading of models. No Qt here.

A task is called as ``task(report, stop)`` and returns its result. napari shows its
``str()`` when the window is closed while it runs. Tasks import the engine when they run.
"""

from __future__ import annotations

import gc
import math
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from napari_hush.errors import TrainingError
from napari_hush.events import StepsDone, WarningIssued
from napari_hush.widgets.data.layers import errors_name_layer, of_layer
from napari_hush.widgets.jobs.crash_recovery import (
    new_recovery,
    recovered_path,
    resumed_recovery,
)
from napari_hush.widgets.jobs.previewer import PreviewThread
from napari_hush.widgets.jobs.run_state import is_early
from napari_hush.widgets.jobs.task_events import EngineReady
from napari_hush.widgets.jobs.thread_priority import in_low_priority_thread
from napari_hush.widgets.settings.cost_estimate import is_measured, measure_speed

if TYPE_CHECKING:
    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration
    from napari_hush.events import Event, OnProgress
    from napari_hush.io import ImageMetadata
    from napari_hush.lightning import TrainDataModule, TrainingCheckpoint
    from napari_hush.widgets.data.training_data import TrainingData
    from napari_hush.widgets.jobs.crash_recovery import InterruptedTraining, Recovery
    from napari_hush.widgets.jobs.previewer import Previewer, VisibleRegion


LOADER = "hush-load-engine"
"""Name of the thread that runs `load_engine`."""


class StopRequest:
    """A request to stop, made in one thread and read in another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._callbacks: list[Callable[[], None]] = []
        self.abandoned = False
        """Whether the dock has closed: nobody takes the result."""

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        with self._lock:
            self._is_set = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def abandon(self) -> None:
        """Make the request because the dock closes."""
        self.abandoned = True
        self.set()

    def when_set(self, callback: Callable[[], None]) -> None:
        """Call `callback` once: when the request is made, or now if it has been made."""
        with self._lock:
            if not self._is_set:
                self._callbacks.append(callback)
                return
        callback()

    def forget(self) -> None:
        """Drop all callbacks: the task has ended."""
        with self._lock:
            self._callbacks = []


class Task(Protocol):
    """Work for the worker thread."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Any: ...


@dataclass(frozen=True)
class Training:
    """Train a model; returns its engine, or None if stopped before the first step.

    Has a recovery folder until it ends, so that it can be resumed after a crash.
    """

    configuration: Configuration
    data: TrainingData
    name: str
    """Name of the layer."""
    model: CAREamist | None = None
    """Engine whose model is trained on; None trains a new model."""
    previewer: Previewer | None = None
    """Makes previews with a copy of the model, every few seconds."""
    pixel_size: ImageMetadata | None = None
    """Pixel sizes of the training images."""
    interrupted: Path | None = None
    """Recovery folder of the training run to resume; `model` is None then."""
    fit: Callable[[Configuration], Configuration] | None = None
    """Fits the length to the device once that is measured, if it was not before."""

    @classmethod
    def of(cls, run: InterruptedTraining) -> Training:
        """The task that resumes `run`; `UnreadableFileError` if its pixels are damaged."""
        data, size = run.data(), run.pixel_size
        return cls(
            run.configuration, data, run.name, pixel_size=size, interrupted=run.folder
        )

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        wait_for_engine()
        if self.fit is not None:
            return self.fitted()(report, stop)
        from napari_hush.lightning import PreviewCallback, load_checkpoint

        checkpoint = None if self.interrupted is None else load_checkpoint(self.interrupted)
        engine = self._engine(checkpoint)
        stop.when_set(engine.stop_training)
        if not stop.is_set():
            with (
                PreviewThread(self.previewer, report) as previews,
                self._recovery(report) as recovery,
                errors_name_layer(self.name),
            ):
                engine.callbacks = (PreviewCallback(previews.give),)
                report(EngineReady(_Live(engine, previews)))

                def relay(event: Event) -> None:
                    if stop.is_set():  # perhaps since before the run
                        engine.stop_training()
                    self._relay(recovery, report, event)

                engine.on_progress = relay
                engine.train(
                    datamodule=self._data(engine, recovery.data, checkpoint),
                    checkpoint_dir=recovery.folder if checkpoint is None else None,
                    resume=None if checkpoint is None else recovery.folder,
                    checkpoint_required=False,
                    model_dir=None,
                )
                recovery.finished = not stop.abandoned
        if stop.abandoned and engine.is_trained:
            engine.save(recovered_path(self.name))
        return engine if engine.is_trained else None

    def fitted(self) -> Training:
        """Return this task with the length that `fit` gives."""
        if self.fit is None:
            return self
        return replace(self, configuration=self.fit(self.configuration), fit=None)

    def _engine(self, checkpoint: TrainingCheckpoint | None) -> CAREamist:
        from napari_hush.careamist import CAREamist

        if checkpoint is not None:
            return CAREamist(source=checkpoint.config, enable_progress_bar=False)
        if self.model is None:
            return CAREamist(source=self.configuration, enable_progress_bar=False)
        engine = self.model  # keeps its network and data; takes the other settings
        ours, theirs = engine.config, self.configuration
        network, augmentation = ours.algorithm_config.model, theirs.data_config.transforms
        engine.config = ours.replace(
            training_config=theirs.training_config,
            algorithm_config=theirs.algorithm_config.replace(model=network),
            data_config=ours.data_config.replace(transforms=augmentation),
        )
        return engine

    def _recovery(self, report: OnProgress) -> AbstractContextManager[Recovery]:
        if self.interrupted is not None:
            return resumed_recovery(self.interrupted, self.data)

        def warn(message: str) -> None:
            report(WarningIssued("state", message))

        return new_recovery(self.name, self.configuration, self.data, self.pixel_size, warn)

    def _relay(self, recovery: Recovery, report: OnProgress, event: Event) -> None:
        """Report `event`, with the name of the layer in its message."""
        recovery.has_steps = recovery.has_steps or isinstance(event, StepsDone)
        report(of_layer(event, self.name))

    def _data(
        self, engine: CAREamist, pixels: TrainingData, checkpoint: TrainingCheckpoint | None
    ) -> TrainDataModule:
        """The data; a model that is trained on keeps its normalization."""
        from napari_hush.careamist.training import known_statistics
        from napari_hush.lightning import TrainDataModule

        statistics = known_statistics(engine.model, checkpoint)
        config = self.configuration.data_config.replace(**statistics)
        if engine.model is not None:  # whose network may downsample more
            steps = engine.config.algorithm_config.model.multiple
            size = zip(config.patch_size, steps, strict=False)
            config = config.replace(patch_size=tuple(n - n % step or n for n, step in size))
        # val_minimum_split as in CAREamist.train
        data = TrainDataModule(config, **pixels.sources(), val_minimum_split=1)
        data.pixel_size = self.pixel_size
        return data

    def __str__(self) -> str:
        return f"training on “{self.name}”"


@dataclass(frozen=True)
class _Live:
    """A training run in this process, a `LiveTraining`."""

    engine: CAREamist
    previews: PreviewThread

    @property
    def is_paused(self) -> bool:
        return self.engine.is_paused

    def pause_training(self) -> None:
        self.engine.pause_training()

    def resume_training(self) -> None:
        self.engine.resume_training()

    def request_model(self) -> None:
        self.engine.request_model(self.previews.give)

    def look(self, visible: VisibleRegion) -> None:
        self.previews.look(visible)


@dataclass(frozen=True)
class Saving:
    """Write the model to `path`, in the format of its suffix; returns `path`."""

    model: CAREamist
    path: Path
    overwrite: bool
    about: Mapping[str, Any] | None = None
    """Further arguments of `CAREamist.export_to_bmz`, if the format is BioImage.IO."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Path:
        from napari_hush.models.file import SUFFIX

        if self.about is not None:
            return self.model.export_to_bmz(
                self.path, overwrite=self.overwrite, **self.about
            )
        save = self.model.save if self.path.suffix == SUFFIX else self.model.export
        save(self.path, overwrite=self.overwrite)
        return self.path

    def __str__(self) -> str:
        return f"saving of {self.path.name}"


@dataclass(frozen=True)
class Loading:
    """Load the model at `path`; returns its engine."""

    path: Path

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist:
        from napari_hush.careamist import CAREamist

        return CAREamist(source=self.path, enable_progress_bar=False)

    def __str__(self) -> str:
        return f"loading of {self.path.name}"


@dataclass(frozen=True)
class LoadingRecovered:
    """Load the model of the last checkpoint of an interrupted training run."""

    run: InterruptedTraining

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist:
        from napari_hush.careamist import CAREamist
        from napari_hush.lightning import load_checkpoint, model_of

        checkpoint = load_checkpoint(self.run.folder)
        if not checkpoint.position.first_step + checkpoint.position.steps:
            raise TrainingError(
                f"The training run on “{self.run.name}” was interrupted before its first "
                "step, so there is no model; resume the training run, or discard it."
            )
        model, training = model_of(checkpoint), self.run.configuration.training_config
        steps = training.num_steps  # by default, and as a share, of what is not known here
        total = training.num_epochs * steps if isinstance(steps, int) else math.inf
        if is_early(model.steps, total):
            known = replace(model.provenance, unfinished=True)
            model = replace(model, provenance=known)
        return CAREamist(source=model, enable_progress_bar=False)

    def __str__(self) -> str:
        return f"loading of the model of “{self.run.name}”"


def wait_for_engine() -> None:
    """Wait until `load_engine` has ended, if it runs in a thread named `LOADER`.

    Data that a task makes meanwhile would be frozen with the engine, and never freed.
    """
    for thread in threading.enumerate():
        if thread.name == LOADER:
            thread.join()


def load_engine(configuration: Configuration) -> None:
    """Import what the first task needs, and measure the speed of a new device.

    Runs before the first click, because the import takes seconds.
    """
    gc.disable()  # a collection during the import blocks the window for 0.3 s
    try:
        import napari_hush.careamist  # noqa: F401

        device = configuration.training_config.device
        if not is_measured(device):  # with the priority of training
            speed = in_low_priority_thread(partial(measure_speed, configuration))
            if not is_measured(device):  # a run measures it better
                speed.save(device)
    finally:
        gc.freeze()  # see `ShortCollections`
        gc.enable()
