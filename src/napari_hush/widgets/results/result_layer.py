"""Layers of the viewer that show results."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtCore import QTimer

from napari_hush.widgets.data.helper_layers import add_quietly
from napari_hush.widgets.data.layers import result_name
from napari_hush.widgets.results.canvas import DiskCanvas
from napari_hush.widgets.results.contrast import FollowedLimits
from napari_hush.widgets.results.pairing import (
    first_looks,
    next_number,
    note_name,
    remembered,
    result_mark,
)
from napari_hush.widgets.theme.repaint import PAINT_MS, paint_apart

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import napari.viewer
    from qtpy.QtWidgets import QWidget

    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.results.canvas import Canvas

SELECT_MS, APPEAR_MS = 2 * PAINT_MS, 3 * PAINT_MS
"""Milliseconds until the layer is selected, and visible. napari takes 0.1 s to add a layer
and as long to draw it for the first time; other events are handled in between."""
REFRESH_SECONDS = 0.2
"""Least time between two drawings of the layer while it fills."""
NETWORK_ALONE = "network alone"
"""In the names of results that are the output of the network, with nothing added."""
DRAWING_SHARE = 0.1
"""Share of the time for drawings: in 3D without a GPU, each takes up to seconds."""


class ResultLayer:
    """A layer that shows a canvas while the engine fills it; the user may remove it.

    One from `before_training` gives way to the next one, and to a result that is no worse.
    The window of `widget` is painted in a later turn of the event loop.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        origin: Origin,
        canvas: Canvas | DiskCanvas,
        record: dict[str, Any] | None = None,
        *,
        part: str = "",
        before_training: bool = False,
        widget: QWidget | None = None,
    ) -> None:
        self._viewer = viewer
        self._origin = origin
        self._canvas = canvas
        self._next = time.monotonic() + REFRESH_SECONDS
        self.is_seen = False
        """Whether the layer has been made visible once."""
        self.file: Path | None = canvas.path if isinstance(canvas, DiskCanvas) else None
        """File of the pixels, if they are not in memory."""
        number = next_number(origin.source_id, viewer.layers)
        self._number = 0 if before_training else number
        self._when = "before training" if before_training else ""
        if before_training:
            for layer in first_looks(origin.source_id, viewer.layers):
                viewer.layers.remove(layer)
        mark = result_mark(
            origin.source_id,
            source=origin.name,
            number=self._number,
            provenance=record or {},
            partial=True,
            before=number if before_training else 0,
            **({} if self.file is None else {"file": str(self.file)}),
        )
        if widget is not None:
            paint_apart(widget)
        self._layer: Any = Image(
            canvas.shown,
            name=self._name(part, _made_how(record)),
            metadata=origin.metadata | mark,
            visible=False,
            **origin.appearance,
        )
        add_quietly(viewer, "add_layer", self._layer)
        QTimer.singleShot(SELECT_MS, self._select)
        note_name(self._layer)
        self._part = part
        self._limits = FollowedLimits(self._layer)
        # Its noisy pixels would cover a first look.
        if before_training or not first_looks(origin.source_id, viewer.layers):
            QTimer.singleShot(APPEAR_MS, self._appear)

    @property
    def is_there(self) -> bool:
        """Whether the layer is still in the viewer."""
        return self._layer in self._viewer.layers

    @property
    def name(self) -> str:
        """The layer's name now."""
        return str(self._layer.name)

    def show(self, regions: Sequence[tuple[slice, ...]]) -> None:
        """Show finished tiles soon; `regions` are in ``(S, C, (Z), Y, X)``."""
        self._canvas.show(regions)
        if regions:
            self._appear()
        if time.monotonic() > self._next:
            self._refresh()

    def finish(self) -> None:
        """Show everything, thumbnail included."""
        if self.is_there:
            remembered(self._layer)["partial"] = self._part
            self._appear()
            self._limits.set(self._canvas.limits)
            self._layer.refresh()

    def finish_partial(self, tiles_done: int) -> None:
        """Mark the layer as partial, or remove it if no tile is done."""
        if not self.is_there:
            return
        if tiles_done:
            self._appear()
            self._layer.name = self._name("partial")
            note_name(self._layer)
            self._limits.set(self._canvas.limits)
            self._layer.refresh()
        else:
            self._viewer.layers.remove(self._layer)

    def _name(self, *about_it: str) -> str:
        about = ", ".join(filter(None, (*about_it, self._when)))
        return result_name(self._origin.name, self._number, about)

    def _select(self) -> None:
        if self.is_there:
            self._viewer.layers.selection.active = self._layer

    def _appear(self) -> None:
        if not self.is_seen:
            self.is_seen = self._layer.visible = True

    def _refresh(self) -> None:
        if not (self.is_there and self.is_seen):
            return
        started, self._next = time.monotonic(), math.inf
        self._limits.set(self._canvas.limits)
        self._layer.refresh(extent=False, highlight=False, thumbnail=False)
        QTimer.singleShot(0, lambda: self._pace(started))  # after it is drawn

    def _pace(self, started: float) -> None:
        now = time.monotonic()
        self._next = now + max(REFRESH_SECONDS, (now - started) / DRAWING_SHARE)


def _made_how(record: dict[str, Any] | None) -> str:
    """How a result with this provenance was made, for its name; empty for most."""
    if record is None:
        return ""
    from napari_hush.models.provenance import is_of_network_alone

    return NETWORK_ALONE if is_of_network_alone(record) else ""
