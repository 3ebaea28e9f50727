"""The layer that shows live previews over their source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_hush.widgets.data.helper_layers import add_quietly, remove_quietly
from napari_hush.widgets.results.contrast import FollowedLimits

if TYPE_CHECKING:
    from napari_hush.widgets.data.layers import Origin
    from napari_hush.widgets.jobs.task_events import PreviewReady

FRAME = "#ff9f1c"
"""Color of the frame and the caption; seen on dark and on light pixels."""


class PreviewLayer:
    """Shows previews, framed and captioned, until closed; the user may remove the layer."""

    def __init__(self, viewer: Any, origin: Origin) -> None:
        self._viewer = viewer
        self._origin = origin
        self._layer: Any = None
        self._limits: FollowedLimits | None = None

    @property
    def was_removed(self) -> bool:
        """Whether the user has removed the layer."""
        return self._layer is not None and self._layer not in self._viewer.layers

    def show(self, preview: PreviewReady) -> None:
        """Show `preview` at its position in the source."""
        if self.was_removed:
            return
        translate = self._translation(preview)
        name = f"preview, step {preview.step:,}"
        if self._layer is None or self._limits is None:
            look = self._origin.appearance | {"translate": translate, "opacity": 1.0}
            look["blending"] = "translucent_no_depth"
            self._layer = add_quietly(
                self._viewer, "add_image", preview.pixels, name=name, **look
            )
            self._limits = FollowedLimits(self._layer)
            self._limits.set(preview.limits)
            self._frame()
            return
        self._limits.set(preview.limits)
        self._layer.data = preview.pixels
        if not np.array_equal(self._layer.translate, translate):
            self._layer.translate = translate
        if self._layer.name != name:
            self._layer.name = name

    def close(self) -> None:
        """Remove the layer."""
        if self._layer is not None:
            remove_quietly(self._viewer, (self._layer,))
            self._layer = None

    def _frame(self) -> None:
        """Show a frame around the pixels, and the layer's name in the canvas."""
        frame, caption = self._layer.bounding_box, self._layer.name_overlay
        frame.points = False
        frame.line_color, frame.line_thickness = FRAME, 2
        caption.color = FRAME
        frame.visible = caption.visible = True

    def _translation(self, preview: PreviewReady) -> Any:
        """World position of the first pixel of `preview`."""
        look = self._origin.appearance
        ndim = len(look["scale"])
        first = [part.start for part in preview.bounds[:ndim]]
        place = {key: look[key] for key in ("scale", "rotate", "shear", "translate")}
        return Affine(**place)(first)
