"""The jobs of the dock: what the worker thread does, with the engine loaded there. No Qt.

A task is called as ``task(report, stop)`` and returns its result. Its text is what napari
lists when somebody closes the window while it runs.
"""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_hush.events import Event
from napari_hush.widgets.estimate import measure_speed
from napari_hush.widgets.layer_names import of_layer, refusals_name
from napari_hush.widgets.recovery import recovered_path
from napari_hush.widgets.remembered import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration
    from napari_hush.events import OnProgress
    from napari_hush.io import ImageMetadata
    from napari_hush.lightning import TrainDataModule
    from napari_hush.widgets.previewer import Previewer
    from napari_hush.widgets.training_data import TrainingData

__all__ = [
    "EngineReady",
    "Loading",
    "Saving",
    "StopRequest",
    "Task",
    "Training",
    "load_engine",
]


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
class EngineReady(Event):
    """Training is about to begin; `engine` can be asked to pause and to go on."""

    engine: Steered | None
    """None on its way from another process, where only that has it."""


class Steered(Protocol):
    """What can be asked to pause and to go on: an engine, here or elsewhere."""

    @property
    def is_paused(self) -> bool: ...

    def pause_training(self) -> None: ...

    def resume_training(self) -> None: ...


@dataclass(frozen=True)
class Training:
    """Train a model; returns it, or None if it was stopped before its first step."""

    configuration: Configuration
    data: TrainingData
    name: str
    model: CAREamist | None = None
    """The model to train on; None for a fresh one."""
    previewer: Previewer | None = None
    """Gets the model every few seconds."""
    pixel_size: ImageMetadata | None = None
    """Pixel sizes of what is learned from."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        from napari_hush.careamist import CAREamist

        engine = self.model or CAREamist(source=self.configuration)
        if self.model is not None:  # what it is stays; how long it is trained does not
            training = self.configuration.training_config
            engine.config = engine.config.replace(training_config=training)
        engine.on_progress = lambda event: report(of_layer(event, self.name))
        engine.callbacks = self._callbacks(report)
        report(EngineReady(engine))
        stop.when_set(engine.stop_training)
        if not stop.is_set():
            with refusals_name(self.name):
                engine.train(datamodule=self._data(engine))
        if stop.abandoned and engine.is_trained:
            engine.save(recovered_path(self.name))
        return engine if engine.is_trained else None

    def _data(self, engine: CAREamist) -> TrainDataModule:
        """The data; a model that is trained on keeps its normalisation."""
        from napari_hush.lightning import TrainDataModule

        config = self.configuration.data_config
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
            **self.data.sources(),
            val_minimum_split=1,  # as CAREamist.train does it
        )
        data.pixel_size = self.pixel_size
        return data

    def _callbacks(self, report: OnProgress) -> tuple[Any, ...]:
        from napari_hush.lightning import PreviewCallback

        if self.previewer is None:
            return ()
        self.previewer.report = report
        return (PreviewCallback(self.previewer.take),)

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


def load_engine(configuration: Configuration) -> None:
    """Import what the first job will need: seconds better spent before somebody waits.

    On a device that is not known yet, its speed is measured as well.
    """
    import napari_hush.careamist  # noqa: F401

    device = configuration.training_config.device
    if device not in (speeds := recall("speeds", {})):
        remember("speeds", {**speeds, device: measure_speed(configuration)})
    gc.collect()  # of all that was loaded; later it would hold up a window that trains
