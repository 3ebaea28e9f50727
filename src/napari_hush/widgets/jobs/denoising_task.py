"""Denoising as a job of the dock: what the worker thread does. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.events import Event, ImageStarted
from napari_hush.io.arrays_and_readers import lazily
from napari_hush.widgets.data.layers import as_pixels, of_layer, refusals_name
from napari_hush.widgets.jobs.task_events import CanvasReady
from napari_hush.widgets.results.canvas import (
    Canvas,
    DiskCanvas,
    fits_into_memory,
    place_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_hush.events import OnProgress, WarningIssued
    from napari_hush.models import Model
    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.jobs.tasks import StopRequest

Region = tuple[slice, ...]


@dataclass(frozen=True)
class Denoising:
    """Denoise into a canvas, reported before the first tile; returns it."""

    model: Model
    source: Any
    """What the layer holds: numpy, dask, zarr or xarray, with alpha if RGB."""
    axes: str
    rgb: bool
    origin: Origin
    region: Region | None = None
    """The part to denoise, ``(S, C, (Z), Y, X)``; None for everything."""
    first: Callable[[], Region | None] | None = None
    """Where somebody looks, to be denoised before the rest."""
    keep_type: bool = False
    """Whether the result is of the source's type, not float32."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Canvas | DiskCanvas:
        from napari_hush.careamist import CAREamist

        canvas, pixels = self._prepared()

        def relay(event: Event) -> None:
            if isinstance(event, ImageStarted):  # all checks are passed
                record = _record(self, pixels)
                ready = CanvasReady(canvas, self.origin, self.region is not None, record)
                report(ready)
            report(of_layer(event, self.origin.name))

        if other := _other_size(self):
            report(other)

        with refusals_name(self.origin.name):
            # not the engine that trains, so that both can work at once
            CAREamist(self.model, on_progress=relay).predict(
                source=pixels,
                axes=self.axes,
                out=canvas.out,
                should_stop=stop.is_set,
                region=self.region,
                first=self.first,
                dtype="source" if canvas.out.dtype != np.float32 else "float32",
            )
        return canvas

    def _prepared(self) -> tuple[Canvas | DiskCanvas, Any]:
        """What to fill, and the pixels: in memory if both fit into it."""
        if self.rgb or fits_into_memory(self.source):
            everything = as_pixels(self.source, rgb=False)
            pixels = as_pixels(everything, rgb=self.rgb)
            canvas = Canvas(everything, self.axes, rgb=self.rgb, keep_type=self.keep_type)
            return canvas, pixels
        dtype = self.source.dtype if self.keep_type else np.dtype(np.float32)
        place = place_for(self.origin.name, self.origin.path)
        shape = tuple(int(size) for size in self.source.shape)
        return DiskCanvas(shape, dtype, place), lazily(self.source)

    def __str__(self) -> str:
        return f"denoising of “{self.origin.name}”"


@dataclass(frozen=True)
class DenoisingSeveral:
    """Denoise one layer after the other; returns the canvases of those that were begun."""

    tasks: Sequence[Denoising]

    def __call__(self, report: OnProgress, stop: StopRequest) -> list[Canvas | DiskCanvas]:
        canvases = []
        for task in self.tasks:
            if stop.is_set():
                break
            canvases.append(task(report, stop))
        return canvases

    def __str__(self) -> str:
        return "denoising of " + ", ".join(f"“{t.origin.name}”" for t in self.tasks)


def _record(task: Denoising, pixels: Any) -> dict[str, Any]:
    from napari_hush.io import Image, select_channels
    from napari_hush.models import result_record

    image = Image.from_array(pixels, task.axes, task.origin.name)
    image = select_channels(image, task.model.config.data_config.channels)
    return result_record(task.model, image, keep_type=task.keep_type)


def _other_size(task: Denoising) -> WarningIssued | None:
    """Whether the layer's pixels are of another size than those trained on."""
    from napari_hush.quality import size_warning

    trained = task.model.provenance.pixel_size
    return size_warning(f"“{task.origin.name}”", task.origin.pixel_size, trained)


@dataclass(frozen=True)
class DenoisingFiles:
    """Denoise all images in a folder into another one; returns the results written."""

    model: Path
    source: Path
    """A folder, or one file."""
    output: Path
    axes: str
    """Axes of the files; empty for those that the model was trained on."""
    overwrite: bool = False
    resume: bool = False
    """Leave the results that are there."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> list[Path]:
        from napari_hush.careamist import CAREamist

        engine = CAREamist(source=self.model, on_progress=report)
        return engine.predict_to_disk(
            self.source,
            prediction_dir=self.output.absolute(),
            overwrite=self.overwrite,
            resume=self.resume,
            axes=self.axes or None,
            should_stop=stop.is_set,
        )

    def __str__(self) -> str:
        return f"denoising of the files in “{self.source.name}”"
