"""Events of the dock's tasks, beside those of the engine. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from napari_hush.events import Event

if TYPE_CHECKING:
    from napari_hush.models import Model
    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.data.viewport import Bounds
    from napari_hush.widgets.jobs.previewer import VisibleRegion
    from napari_hush.widgets.results.canvas import Canvas, DiskCanvas
    from napari_hush.widgets.results.contrast import Limits


class LiveTraining(Protocol):
    """Controls a training run, in this process or another; from any thread."""

    @property
    def is_paused(self) -> bool: ...

    def pause_training(self) -> None: ...

    def resume_training(self) -> None: ...

    def request_model(self) -> None:
        """Have the model reported, as `LatestModel`, after the current step."""

    def look(self, visible: VisibleRegion) -> None:
        """Have a preview of `visible` reported, as `PreviewReady`."""


@dataclass(frozen=True)
class EngineReady(Event):
    """Training is about to begin."""

    engine: LiveTraining | None
    """None where it comes from another process, which keeps it."""


@dataclass(frozen=True)
class PreviewReady(Event):
    """A part of the image, denoised with the model in training."""

    bounds: Bounds
    pixels: NDArray[Any]
    """Of the shape of `bounds`; float32, or the layer's type if RGB."""
    step: int
    """Optimizer steps of the model, over all its runs."""
    limits: Limits | None = None
    """Contrast limits; None for those of the layer."""


@dataclass(frozen=True, eq=False)
class LatestModel(Event):
    """A copy of the model in training, to denoise with meanwhile."""

    model: Model


@dataclass(frozen=True)
class DeviceMemory(Event):
    """Device and memory in use, which only the training process can measure."""

    description: str


@dataclass(frozen=True)
class ProcessDied(Event):
    """The training process ended unexpectedly; the latest model is the result."""

    reason: str


@dataclass(frozen=True)
class CanvasReady(Event):
    """The pixels are read and the result can be shown; the first tile is next."""

    canvas: Canvas | DiskCanvas
    origin: Origin
    part: str
    """Name of the region that will be denoised; empty for everything."""
    record: dict[str, Any]
    """Provenance of the result, for JSON."""
    before_training: bool = False
    """Whether it is a first look by the built-in denoiser."""
