"""Live preview: the visible part of a layer, denoised during training. No Qt here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import spatial_axes
from napari_hush.errors import HushError
from napari_hush.events import PreviewFailed
from napari_hush.widgets.data.layers import engine_axes
from napari_hush.widgets.jobs.task_events import LatestModel, PreviewReady
from napari_hush.widgets.results.canvas import as_type
from napari_hush.widgets.results.contrast import limits_of, other_gray_values

if TYPE_CHECKING:
    from napari_hush.events import OnProgress
    from napari_hush.models import Model
    from napari_hush.widgets.data.viewport import Bounds

_log = logging.getLogger(__name__)

FIRST_PIXELS, MIN_PIXELS = {2: 192**2, 3: 96**2}, {2: 128**2, 3: 96**2}
"""Pixels of the first preview, and the least of any, by the number of spatial axes."""
MAX_PIXELS = 2048**2
MARGIN = 0.25
"""Share of the network's halo that is read around a preview. All of it would take most of
the time, ten seconds for a plane of a volume, and changes little."""
TARGET_SECONDS = 0.2
"""Time for one preview; its size adapts to this."""
SHARE = 0.03
"""Share of the time that previews of new models take, while the view does not change."""

WINDOW, SLOW = 15, 0.05
"""Steps to average the loss over, and the fall between two windows that is slow."""


@dataclass
class VisibleRegion:
    """The visible part of a layer, set in the main thread."""

    bounds: Bounds | None = None
    """In the layer's axes; None if unknown."""
    region: tuple[slice, ...] | None = None
    """As a region ``(S, C, (Z), Y, X)``."""
    on: bool = True
    """Whether previews are wanted."""


@dataclass(eq=False)
class Previewer:
    """Denoises the visible part of `source`, of the axes `axes`.

    With `rgb`, the last axis holds colors, and alpha if any.
    """

    source: Any
    axes: str
    rgb: bool
    visible: VisibleRegion
    pixels: float = 0
    """Pixels of the next preview, at most; 0 for the default."""

    def __post_init__(self) -> None:
        self.pixels = self.pixels or FIRST_PIXELS[len(spatial_axes(self.axes))]

    def preview(self, model: Model, visible: VisibleRegion) -> PreviewReady | None:
        """The visible part, denoised with `model`; None if none is wanted or visible."""
        bounds = visible.bounds
        if not visible.on or bounds is None:
            return None
        bounds = self._limited(bounds)
        if any(part.stop <= part.start for part in bounds):
            return None
        started = time.perf_counter()
        pixels = self._denoised(model, bounds)
        spread = None if self.rgb else other_gray_values(model)
        limits = None if spread is None else limits_of(pixels, spread)
        ready = PreviewReady(bounds, pixels, model.steps, limits)
        ratio = TARGET_SECONDS / max(time.perf_counter() - started, 1e-3)
        least = MIN_PIXELS[len(spatial_axes(self.axes))]
        self.pixels = min(max(self.pixels * min(4.0, ratio), least), MAX_PIXELS)
        return ready

    def _limited(self, bounds: Bounds) -> Bounds:
        """The center of `bounds`, of at most `pixels`; one frame of S and T."""
        sizes = [
            part.stop - part.start
            for letter, part in zip(self.axes, bounds, strict=True)
            if letter in spatial_axes(self.axes)
        ]
        side = _side(sizes, self.pixels)
        limited = []
        for letter, part in zip(self.axes, bounds, strict=True):
            excess = part.stop - part.start - side
            if letter in spatial_axes(self.axes) and excess > 0:
                first = part.start + excess // 2
                limited.append(slice(first, first + side))
            elif letter in "ST" and part.stop - part.start > 1:
                middle = (part.start + part.stop) // 2
                limited.append(slice(middle, middle + 1))
            else:
                limited.append(part)
        return tuple(limited)

    def _denoised(self, model: Model, bounds: Bounds) -> NDArray[Any]:
        from napari_hush.careamist import CAREamist

        halo = dict(zip(spatial_axes(self.axes), model.network.halo, strict=True))
        halo = {letter: round(MARGIN * size) for letter, size in halo.items()}
        shape, network = self.source.shape, model.network.config
        context, frame = network.time_context, 0
        outer, crop = [], []
        for letter, part, size in zip(self.axes, bounds, shape, strict=True):
            margin = halo.get(letter, 0)
            first, last = max(0, part.start - margin), min(size, part.stop + margin)
            if letter == "T":
                first = max(0, min(part.start - context, size - network.frames))
                last = min(size, max(part.stop + context, first + network.frames))
                frame = part.start - first
            if letter == "C":
                first, last = 0, 3 if self.rgb else size
            outer.append(slice(first, last))
            crop.append(slice(part.start - first, part.stop - first))
        noisy = np.asarray(self.source[tuple(outer)])
        axes = engine_axes(self.axes)
        region = (slice(frame, frame + 1), *(slice(None),) * (1 + network.conv_dims))
        clean = np.asarray(
            CAREamist(model, enable_progress_bar=False).predict(
                noisy, axes=axes, check=False, region=region if context else None
            )
        )
        clean = clean[tuple(crop)]
        return as_type(clean, noisy.dtype) if self.rgb else clean


def _side(sizes: list[int], pixels: float) -> int:
    """The largest side such that a box within `sizes` has at most `pixels`."""
    for number, size in enumerate(sorted(sizes)):
        side = int(pixels ** (1 / (len(sizes) - number)) + 1e-6)
        if size > side:
            return max(1, side)
        pixels /= max(1, size)
    return max(sizes, default=1)


def has_levelled(losses: Sequence[float]) -> bool:
    """Whether the loss of each step has fallen most of its way, so that a preview helps."""
    if len(losses) < 3 * WINDOW:
        return False
    before, last = np.mean(losses[-2 * WINDOW : -WINDOW]), np.mean(losses[-WINDOW:])
    return bool(last > (1 - SLOW) * before)


class PreviewThread:
    """Reports previews of each new model and of each new view, and the models themselves.

    Previews are made in a separate thread, so that they follow the view while training
    is paused or a step takes long. Without a `previewer` only models are reported.
    """

    def __init__(self, previewer: Previewer | None, report: OnProgress) -> None:
        self._previewer, self._report = previewer, report
        self._changed = threading.Condition()
        self._model: Model | None = None
        self._visible = VisibleRegion() if previewer is None else previewer.visible
        self._is_new = self._ended = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._previewer is not None:
            args = (self._previewer,)
            self._thread = threading.Thread(target=self._work, args=args, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def give(self, model: Model) -> None:
        """Take a copy of the model in training, from the training thread."""
        with self._changed:
            self._model = model
            self._changed.notify_all()
        self._report(LatestModel(model))

    def look(self, visible: VisibleRegion) -> None:
        """Preview what is `visible` now, from any thread."""
        with self._changed:
            self._visible, self._is_new = replace(visible), True
            self._changed.notify_all()

    def _work(self, previewer: Previewer) -> None:
        done: Model | None = None
        rest_until = 0.0
        while True:
            with self._changed:
                while not (self._ended or self._is_due(done, rest_until)):
                    left = rest_until - time.monotonic()
                    self._changed.wait(left if left > 0 else None)
                if self._ended or self._model is None:
                    return
                done, visible, self._is_new = self._model, self._visible, False
            started = time.monotonic()
            try:
                ready = previewer.preview(done, visible)
            except Exception as error:
                _log.warning("There are no more previews in this run.", exc_info=True)
                reason = str(error) if isinstance(error, HushError) else repr(error)
                self._report(PreviewFailed(done.steps, reason))
                return
            if ready is not None:
                self._report(ready)
            now = time.monotonic()
            rest_until = now + (now - started) * (1 / SHARE - 1)

    def _is_due(self, done: Model | None, rest_until: float) -> bool:
        if self._model is None:
            return False
        is_newer = self._model is not done and time.monotonic() >= rest_until
        return self._is_new or is_newer
