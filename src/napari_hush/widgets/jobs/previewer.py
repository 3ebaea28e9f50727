"""Live preview: the visible part of a layer, denoised during training. No Qt here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import spatial_axes
from napari_hush.widgets.data.layers import engine_axes
from napari_hush.widgets.jobs.task_events import LatestModel, PreviewReady
from napari_hush.widgets.results.canvas import as_type
from napari_hush.widgets.results.contrast import limits_of, other_gray_values

if TYPE_CHECKING:
    from napari_hush.events import Event, OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.data.viewport import Bounds

FIRST_SIDE, MIN_SIDE, MAX_SIDE = 192, 96, 2048
"""Pixels along each axis of the first preview, and of any."""
TARGET_SECONDS = 0.2
"""Time for one preview; its size adapts to this."""


@dataclass
class VisibleRegion:
    """The visible part of a layer: set in the main thread, read in the worker."""

    bounds: Bounds | None = None
    """In the layer's axes; None if unknown."""
    region: tuple[slice, ...] | None = None
    """As a region ``(S, C, (Z), Y, X)``."""
    on: bool = True
    """Whether previews are wanted."""


def _ignore(event: Event) -> None:
    """Drop `event`."""


@dataclass(eq=False)
class Previewer:
    """Denoises the visible part of `source`, of the axes `axes`, in the training thread.

    With `rgb`, the last axis holds colors, and alpha if any.
    """

    source: Any
    axes: str
    rgb: bool
    visible: VisibleRegion
    report: OnProgress = _ignore
    side: int = FIRST_SIDE
    """Pixels along each axis of the next preview, at most."""

    def update(self, model: Model) -> None:
        """Report a preview of `model`, if one is wanted, and `model` itself."""
        self._preview(model)
        self.report(LatestModel(model))

    def _preview(self, model: Model) -> None:
        bounds = self.visible.bounds
        if not self.visible.on or bounds is None:
            return
        bounds = self._limited(bounds)
        if any(part.stop <= part.start for part in bounds):
            return
        started = time.perf_counter()
        pixels = self._denoised(model, bounds)
        spread = None if self.rgb else other_gray_values(model)
        limits = None if spread is None else limits_of(pixels, spread)
        self.report(PreviewReady(bounds, pixels, limits))
        ratio = TARGET_SECONDS / max(time.perf_counter() - started, 1e-3)
        side = self.side * min(2.0, ratio**0.5)
        self.side = round(min(max(side, MIN_SIDE), MAX_SIDE))

    def _limited(self, bounds: Bounds) -> Bounds:
        """The center of `bounds`, of at most the current side; one frame of S and T."""
        limited = []
        for letter, part in zip(self.axes, bounds, strict=True):
            excess = part.stop - part.start - self.side
            if letter in spatial_axes(self.axes) and excess > 0:
                first = part.start + excess // 2
                limited.append(slice(first, first + self.side))
            elif letter in "ST" and part.stop - part.start > 1:
                middle = (part.start + part.stop) // 2
                limited.append(slice(middle, middle + 1))
            else:
                limited.append(part)
        return tuple(limited)

    def _denoised(self, model: Model, bounds: Bounds) -> NDArray[Any]:
        from napari_hush.careamist import CAREamist

        halo = dict(zip(spatial_axes(self.axes), model.network.halo, strict=True))
        shape = self.source.shape
        outer, crop = [], []
        for letter, part, size in zip(self.axes, bounds, shape, strict=True):
            margin = halo.get(letter, 0)
            first, last = max(0, part.start - margin), min(size, part.stop + margin)
            if letter == "C":
                first, last = 0, 3 if self.rgb else size
            outer.append(slice(first, last))
            crop.append(slice(part.start - first, part.stop - first))
        noisy = np.asarray(self.source[tuple(outer)])
        axes = engine_axes(self.axes)
        clean = np.asarray(CAREamist(model).predict(noisy, axes=axes, check=False))
        clean = clean[tuple(crop)]
        return as_type(clean, noisy.dtype) if self.rgb else clean
