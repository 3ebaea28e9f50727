"""The layer that shows live previews over their source."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from qtpy.QtCore import QTimer

from napari_hush.widgets.data.helper_layers import add_quietly, remove_quietly
from napari_hush.widgets.results.contrast import FollowedLimits

if TYPE_CHECKING:
    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.jobs.task_events import PreviewReady

FRAME = "#ff9f1c"
"""Color of the frame and the caption; seen on dark and on light pixels."""


STEP_MS = 150
"""Milliseconds between two parts of the first preview; each takes the window a while."""
LETTERS = (1, 4, 7, 11, None)
"""Letters of the caption in its parts; napari draws each when it is first needed."""


class PreviewLayer:
    """Shows previews, framed and captioned, until closed; the user may remove the layer."""

    def __init__(self, viewer: Any, origin: Origin) -> None:
        self._viewer = viewer
        self._origin = origin
        self._layer: Any = None
        self._limits: FollowedLimits | None = None
        self._preview: Any = None
        self._name = ""
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
        self._preview, self._name = preview, f"preview, step {preview.step:,}"
        if self._layer is None or self._limits is None:
            if not self._timer.isActive():
                self._parts = [self._add, self._appear, self._frame, self._caption]
                self._parts += [partial(self._spell, letters) for letters in LETTERS[1:]]
                self._timer.start()
            return
        translate = self._translation(preview)
        self._limits.set(preview.limits)
        self._layer.data = preview.pixels
        if not np.array_equal(self._layer.translate, translate):
            self._layer.translate = translate
        if not self._parts and self._layer.name != self._name:
            self._layer.name = self._name

    def close(self) -> None:
        """Remove the layer."""
        self._timer.stop()
        if self._layer is not None:
            remove_quietly(self._viewer, (self._layer,))
            self._layer = None

    def _on_timeout(self) -> None:
        """Show the next part."""
        if self.was_removed or not self._parts:
            self._timer.stop()
        else:
            self._parts.pop(0)()

    def _add(self) -> None:
        preview = self._preview
        look = self._origin.appearance | {"translate": self._translation(preview)}
        look |= {"opacity": 1.0, "blending": "translucent_no_depth", "visible": False}
        name = self._name[: LETTERS[0]]
        self._layer = add_quietly(
            self._viewer, "add_image", preview.pixels, name=name, **look
        )
        self._limits = FollowedLimits(self._layer)
        self._limits.set(preview.limits)

    def _appear(self) -> None:
        self._layer.visible = True

    def _frame(self) -> None:
        frame = self._layer.bounding_box
        frame.points = False
        frame.line_color, frame.line_thickness = FRAME, 2
        frame.visible = True

    def _caption(self) -> None:
        caption = self._layer.name_overlay
        caption.color = FRAME
        caption.visible = True

    def _spell(self, letters: int | None) -> None:
        self._layer.name = self._name[:letters]

    def _translation(self, preview: PreviewReady) -> Any:
        """World position of the first pixel of `preview`."""
        look = self._origin.appearance
        ndim = len(look["scale"])
        first = [part.start for part in preview.bounds[:ndim]]
        place = {key: look[key] for key in ("scale", "rotate", "shear", "translate")}
        return Affine(**place)(first)
