"""The model in training, tried on what somebody is looking at. No Qt here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.events import Event
from napari_hush.widgets.results.canvas import as_type

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.data.viewport import Bounds

__all__ = ["LatestModel", "Lens", "PreviewReady", "Previewer"]

FIRST_SIDE, LEAST_SIDE, LARGEST_SIDE = 192, 96, 2048
"""Pixels along each axis of the first preview, and of any."""
SECONDS = 0.2
"""How long a preview should take: as large as can be made in this time."""


class Lens:
    """What somebody looks at: told in the main thread, asked for in the worker."""

    def __init__(self) -> None:
        self._seen: tuple[Bounds | None, tuple[slice, ...] | None] = (None, None)
        self.on = True
        """Whether previews are wanted."""

    def look(self, bounds: Bounds | None, region: tuple[slice, ...] | None) -> None:
        """Say what is seen, in the axes of the layer and in canonical ones."""
        self._seen = bounds, region

    @property
    def bounds(self) -> Bounds | None:
        """In the layer's axes; None if nobody has looked yet."""
        return self._seen[0]

    def region(self) -> tuple[slice, ...] | None:
        """As a region ``(S, C, (Z), Y, X)``."""
        return self._seen[1]


@dataclass(frozen=True)
class PreviewReady(Event):
    """What the model makes of a part of the image now."""

    bounds: Bounds
    pixels: NDArray[Any]
    """Of the shape of `bounds`; float32, or the layer's type if RGB."""


@dataclass(frozen=True, eq=False)
class LatestModel(Event):
    """The model as it is now; a copy, to denoise with while the training goes on."""

    model: Model


class Previewer:
    """Denoises what `lens` shows, with the model of the moment, in the training thread.

    Parameters
    ----------
    source : array-like
        What the layer holds, colours and alpha included.
    axes : str
        Its axes, C for the colours included.
    rgb : bool
        Whether it is a colour image.
    lens : Lens
        What to show.
    """

    def __init__(self, source: Any, axes: str, *, rgb: bool, lens: Lens) -> None:
        self._source = source
        self._axes = axes
        self._rgb = rgb
        self.lens = lens
        self._side = FIRST_SIDE
        self.report: OnProgress = _ignore

    def take(self, model: Model) -> None:
        """Show what `model` can do, and hand it on."""
        self._show(model)
        self.report(LatestModel(model))

    def _show(self, model: Model) -> None:
        bounds = self.lens.bounds
        if not self.lens.on or bounds is None:
            return
        bounds = self._fitted(bounds)
        if any(part.stop <= part.start for part in bounds):
            return
        started = time.perf_counter()
        self.report(PreviewReady(bounds, self._denoised(model, bounds)))
        share = SECONDS / max(time.perf_counter() - started, 1e-3)
        side = self._side * min(2.0, share ** (1 / 2))
        self._side = round(min(max(side, LEAST_SIDE), LARGEST_SIDE))

    def _fitted(self, bounds: Bounds) -> Bounds:
        """The middle of `bounds`, if they are too large to be denoised at once."""
        fitted = []
        for letter, part in zip(self._axes, bounds, strict=True):
            too_many = part.stop - part.start - self._side
            if letter in spatial_axes(self._axes) and too_many > 0:
                first = part.start + too_many // 2
                fitted.append(slice(first, first + self._side))
            elif letter in "ST" and part.stop - part.start > 1:
                middle = (part.start + part.stop) // 2
                fitted.append(slice(middle, middle + 1))
            else:
                fitted.append(part)
        return tuple(fitted)

    def _denoised(self, model: Model, bounds: Bounds) -> NDArray[Any]:
        from napari_hush.careamist import CAREamist

        halo = dict(zip(spatial_axes(self._axes), model.network.halo, strict=True))
        shape = self._source.shape
        outer, crop = [], []
        for letter, part, size in zip(self._axes, bounds, shape, strict=True):
            margin = halo.get(letter, 0)
            first, last = max(0, part.start - margin), min(size, part.stop + margin)
            if letter == "C":
                first, last = 0, 3 if self._rgb else size
            outer.append(slice(first, last))
            crop.append(slice(part.start - first, part.stop - first))
        engine = CAREamist(model.config)
        engine.model = model
        noisy = np.asarray(self._source[tuple(outer)])
        clean = np.asarray(engine.predict(noisy, axes=self._axes, judge=False))
        clean = clean[tuple(crop)]
        return as_type(clean, noisy.dtype) if self._rgb else clean


def _ignore(event: Event) -> None:
    """Take no notice."""
