"""Tasks that denoise layers and files. No Qt here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.errors import HushError, counted
from napari_hush.events import Event, ImageStarted, TilesDone
from napari_hush.widgets.data.layers import (
    as_pixels,
    engine_axes,
    errors_name_layer,
    of_layer,
)
from napari_hush.widgets.jobs.task_events import CanvasReady
from napari_hush.widgets.jobs.tasks import wait_for_engine
from napari_hush.widgets.results.canvas import (
    Canvas,
    DiskCanvas,
    fits_into_memory,
    new_result_path,
    tiles_of,
)
from napari_hush.widgets.results.contrast import RobustLimits, other_gray_values

if TYPE_CHECKING:
    from concurrent.futures import Future

    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.jobs.tasks import StopRequest

Region = tuple[slice, ...]


@dataclass(frozen=True)
class Denoising:
    """Denoise into a canvas, which is reported before the first tile; returns it."""

    model: Model | None
    """None for the built-in denoiser, as a first look before training."""
    source: Any
    """Pixels of the layer: numpy, dask, zarr or xarray, with alpha if RGB."""
    axes: str
    """Of the layer, as from `infer_axes`."""
    rgb: bool
    origin: Origin
    region: Region | None = None
    """The part to denoise, ``(S, C, (Z), Y, X)``; None for everything."""
    first: Callable[[], Region | None] | None = None
    """Returns the visible part, which is denoised first."""
    keep_type: bool = False
    """Whether the result has the dtype of the source instead of float32."""
    network_alone: bool = False
    """Whether the result is the output of the network, without what is added to it."""
    part: str = ""
    """Name of the region, for the name of the result; empty for everything."""
    tile_side: int | None = None
    """Pixels along each side of a tile; None for automatic."""
    batch_size: int | None = None
    """Tiles per forward pass; None for the default."""
    newer: Future[Model] | None = None
    """The model to use instead, if it is in training, once the current step is done."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> Canvas | DiskCanvas | None:
        from napari_hush.careamist import CAREamist
        from napari_hush.quality import size_warning

        wait_for_engine()
        model = self._awaited(stop)
        if model is None:
            return None
        canvas, pixels = self._prepared()
        name = self.origin.name
        spread = None if self.rgb else other_gray_values(model)
        limits = None if spread is None else RobustLimits(spread)

        def relay(event: Event) -> None:
            if isinstance(event, ImageStarted):  # the input has been checked
                record, first = self._record(model, pixels), self.model is None
                report(CanvasReady(canvas, self.origin, self.part, record, first))
            elif isinstance(event, TilesDone) and limits is not None:
                for tile in tiles_of(canvas.out, self.axes, event.regions):
                    limits.add(tile)
                canvas.limits = limits.value
            report(of_layer(event, name))

        trained = model.provenance.pixel_size
        if warning := size_warning(f"“{name}”", self.origin.pixel_size, trained):
            report(warning)
        with errors_name_layer(name):
            # not the engine of the model, which may be training
            CAREamist(model, on_progress=relay).predict(
                source=pixels,
                axes=engine_axes(self.axes),
                out=canvas.out,
                should_stop=stop.is_set,
                region=self.region,
                first=self.first,
                dtype="source" if canvas.out.dtype != np.float32 else "float32",
                tile_size=self._tile_size(),
                batch_size=self.batch_size,
                own_value="off" if self.network_alone else "auto",
            )
        if limits is not None:
            canvas.limits = limits.finish()
        return canvas

    def _awaited(self, stop: StopRequest) -> Model | None:
        """The model, once it is there; None if stopped before."""
        if self.newer is None:
            from napari_hush.models import built_in_denoiser

            return self.model or built_in_denoiser()
        done = threading.Event()
        self.newer.add_done_callback(lambda _: done.set())
        stop.when_set(done.set)
        done.wait()
        return None if stop.is_set() else self.newer.result()

    def _tile_size(self) -> tuple[int, ...] | None:
        if self.tile_side is None:
            return None
        return (self.tile_side,) * len(spatial_axes(engine_axes(self.axes)))

    def _prepared(self) -> tuple[Canvas | DiskCanvas, Any]:
        """The canvas and the pixels, in memory if both fit."""
        if self.rgb or fits_into_memory(self.source):
            everything = as_pixels(self.source, rgb=False)
            pixels = as_pixels(everything, rgb=self.rgb)
            shown = np.asarray(everything)  # writing into a masked array would unmask it
            canvas = Canvas(shown, self.axes, rgb=self.rgb, keep_type=self.keep_type)
            return canvas, pixels
        dtype = self.source.dtype if self.keep_type else np.dtype(np.float32)
        path = new_result_path(self.origin.name, self.origin.path)
        shape = tuple(int(size) for size in self.source.shape)
        return DiskCanvas(shape, dtype, path), self.source

    def _record(self, model: Model, pixels: Any) -> dict[str, Any]:
        """Provenance of the result."""
        from napari_hush.io import Image, select_channels
        from napari_hush.models import result_record
        from napari_hush.models.built_in import suited

        image = Image.from_array(pixels, engine_axes(self.axes), self.origin.name)
        image = select_channels(image, model.config.data_config.channels)
        settings: dict[str, Any] = {"keep_type": self.keep_type}
        if self.network_alone:
            settings["own_value"] = "off"
        return result_record(suited(model, image), image, **settings)

    def __str__(self) -> str:
        return f"denoising of “{self.origin.name}”"


@dataclass(frozen=True)
class DenoisingSeveral:
    """Denoise one layer after the other; returns the canvases of those that were begun.

    Raises HushError at the end if some could not be denoised.
    """

    tasks: Sequence[Denoising]

    def __call__(self, report: OnProgress, stop: StopRequest) -> list[Canvas | DiskCanvas]:
        canvases: list[Canvas | DiskCanvas] = []
        failed = []
        for task in self.tasks:
            if stop.is_set():
                break
            try:
                if (canvas := task(report, stop)) is not None:
                    canvases.append(canvas)
            except HushError as error:
                failed.append(str(error))
        if failed:
            done = f"{len(canvases)} of {counted(len(self.tasks), 'layer')} denoised. "
            raise HushError((done if canvases else "") + " ".join(failed))
        return canvases

    def __str__(self) -> str:
        return "denoising of " + ", ".join(f"“{t.origin.name}”" for t in self.tasks)
