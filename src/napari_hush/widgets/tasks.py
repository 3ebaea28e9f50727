"""The jobs of the dock: what the worker thread does, with the engine loaded there. No Qt.

A task is called as ``task(report, stop)`` and returns its result. Its text is what napari
lists when somebody closes the window while it runs.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_hush.events import Event, ImageStarted
from napari_hush.widgets.canvas import Canvas
from napari_hush.widgets.estimate import measure_speed
from napari_hush.widgets.layers import as_pixels
from napari_hush.widgets.remembered import recall, remember

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_hush.careamist import CAREamist
    from napari_hush.config import Configuration
    from napari_hush.events import OnProgress
    from napari_hush.widgets.layers import Origin
    from napari_hush.widgets.training_data import TrainingData

__all__ = [
    "CanvasReady",
    "Denoising",
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
        self._made = False
        self._callbacks: list[Callable[[], None]] = []

    def is_set(self) -> bool:
        return self._made

    def set(self) -> None:
        with self._lock:
            self._made = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

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
class CanvasReady(Event):
    """The pixels are read and the result can be shown; the first tile is next."""

    canvas: Canvas
    origin: Origin


@dataclass(frozen=True)
class Training:
    """Train a fresh model; returns it, or None if it was stopped before its first step."""

    configuration: Configuration
    data: TrainingData
    name: str

    def __call__(self, report: OnProgress, stop: StopRequest) -> CAREamist | None:
        from napari_hush.careamist import CAREamist
        from napari_hush.lightning import TrainDataModule

        model = CAREamist(source=self.configuration, on_progress=report)
        stop.when_set(model.stop_training)
        data = TrainDataModule(
            self.configuration.data_config,
            **self.data.sources(),
            val_minimum_split=1,  # as CAREamist.train does it
        )
        model.train(datamodule=data)
        return model if model.is_trained else None

    def __str__(self) -> str:
        return f"training on “{self.name}”"


@dataclass(frozen=True)
class Denoising:
    """Denoise into a canvas, reported before the first tile; returns it."""

    model: CAREamist
    source: Any
    """What the layer holds: numpy, dask, zarr or xarray, with alpha if RGB."""
    axes: str
    rgb: bool
    origin: Origin

    def __call__(self, report: OnProgress, stop: StopRequest) -> Canvas:
        everything = as_pixels(self.source, rgb=False)
        pixels = as_pixels(everything, rgb=self.rgb)
        canvas = Canvas(everything, self.axes, rgb=self.rgb)

        def relay(event: Event) -> None:
            if isinstance(event, ImageStarted):  # all checks are passed
                report(CanvasReady(canvas, self.origin))
            report(event)

        self.model.on_progress = relay
        self.model.predict(
            source=pixels, axes=self.axes, out=canvas.out, should_stop=stop.is_set
        )
        return canvas

    def __str__(self) -> str:
        return f"denoising of “{self.origin.name}”"


@dataclass(frozen=True)
class Saving:
    """Write the model to `path`; returns `path`."""

    model: CAREamist
    path: Path
    overwrite: bool

    def __call__(self, report: OnProgress, stop: StopRequest) -> Path:
        self.model.save(self.path, overwrite=self.overwrite)
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
