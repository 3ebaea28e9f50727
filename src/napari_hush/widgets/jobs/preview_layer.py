"""The layer that shows live previews over their source."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.transforms import Affine
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QLabel

from napari_hush.widgets.data.helper_layers import MARK, add_quietly, remove_quietly
from napari_hush.widgets.results.contrast import FollowedLimits
from napari_hush.widgets.theme.repaint import canvases, paint_apart

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.jobs.task_events import PreviewReady

FRAME = "#ff9f1c"
"""Color of the frame and the caption; seen on dark and on light pixels."""
STEP_MS = 150
"""Milliseconds between two parts of the first preview; each takes the window a while."""
INSET = 12
"""Pixels between the caption and the edges of the canvas."""
CAPTION = "preview_caption"


class PreviewLayer:
    """Shows previews, framed and captioned, until closed; the user may remove the layer.

    The caption lies over the canvas of the window of `parent`: the first text that napari
    draws takes it 0.2 s, a Qt label nothing.
    """

    def __init__(self, viewer: Any, origin: Origin, parent: QWidget | None = None) -> None:
        self._viewer = viewer
        self._origin = origin
        self._made: Any = None
        self._layer: Any = None
        self._limits: FollowedLimits | None = None
        self._preview: Any = None
        self._waits = False
        self._caption = _caption(parent)
        self._parts: list[Callable[[], None]] = []
        self._timer = QTimer()
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._on_timeout)

    @property
    def was_removed(self) -> bool:
        """Whether the user has removed the layer."""
        return self._layer is not None and self._layer not in self._viewer.layers

    def show(self, preview: PreviewReady) -> None:
        """Show `preview` at its position in the source."""
        if self.was_removed:
            return
        self._preview = preview
        if self._layer is None or self._limits is None:
            if not self._timer.isActive():
                self._parts = [self._make, self._add, self._appear, self._frame]
                self._timer.start()
            return
        if self._waits and not self._has_no_cell():
            self._waits, self._layer.visible = False, True
        translate = self._translation(preview)
        self._limits.set(preview.limits)
        self._layer.data = preview.pixels
        if not np.array_equal(self._layer.translate, translate):
            self._layer.translate = translate
        self._name(preview)

    def close(self) -> None:
        """Remove the layer."""
        self._timer.stop()
        if self._caption is not None:
            self._caption.hide()
        if self._layer is not None:
            if self._caption is not None:
                paint_apart(self._caption)
            remove_quietly(self._viewer, (self._layer,))
            self._layer = None

    def _on_timeout(self) -> None:
        """Show the next part."""
        if self.was_removed or not self._parts:
            self._timer.stop()
        else:
            self._parts.pop(0)()

    def _make(self) -> None:
        look = self._origin.appearance | {"metadata": {MARK: True}, "visible": False}
        look |= {"opacity": 1.0, "blending": "translucent_no_depth"}
        self._made = Image(self._preview.pixels, **look)

    def _add(self) -> None:
        preview, self._layer = self._preview, self._made
        self._layer.data = preview.pixels  # may be newer by now
        self._layer.translate = self._translation(preview)
        if self._caption is not None:
            paint_apart(self._caption)
        add_quietly(self._viewer, "add_layer", self._layer)
        self._name(preview)
        self._limits = FollowedLimits(self._layer)
        self._limits.set(preview.limits)

    def _appear(self) -> None:
        """Show the layer, unless the cells of the grid are for a layer and its result."""
        self._layer.events.visible.connect(self._show_caption)
        self._waits = self._has_no_cell()
        self._layer.visible = not self._waits

    def _has_no_cell(self) -> bool:
        grid = self._viewer.canvas.grid
        return bool(grid.enabled and -1 not in grid.shape)

    def _frame(self) -> None:
        frame = self._layer.bounding_box
        frame.points = False
        frame.line_color, frame.line_thickness = FRAME, 2
        frame.visible = True

    def _name(self, preview: PreviewReady) -> None:
        name = f"preview, step {preview.step:,}"
        if self._layer.name != name:
            self._layer.name = name
        if self._caption is not None:
            self._caption.setText(name)
            self._caption.adjustSize()

    def _show_caption(self) -> None:
        if self._caption is not None:
            self._caption.setVisible(self._layer is not None and self._layer.visible)

    def _translation(self, preview: PreviewReady) -> Any:
        """World position of the first pixel of `preview`."""
        look = self._origin.appearance
        ndim = len(look["scale"])
        first = [part.start for part in preview.bounds[:ndim]]
        place = {key: look[key] for key in ("scale", "rotate", "shear", "translate")}
        return Affine(**place)(first)


def _caption(parent: QWidget | None) -> QLabel | None:
    """The label over the canvas in the window of `parent`, hidden; None without canvas."""
    canvas = None if parent is None else next(canvases(parent), None)
    if canvas is None:
        return None
    label = canvas.findChild(QLabel, CAPTION)
    if label is None:
        label = QLabel(canvas)
        label.setObjectName(CAPTION)
        label.setStyleSheet(f"color: {FRAME}; background: rgba(0, 0, 0, 160); padding: 3px")
        label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        label.move(INSET, INSET)
    label.hide()
    return label
