"""The layer that shows what the model in training makes of what one looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine

from napari_hush.widgets.view_layers import add_quietly, remove_quietly

if TYPE_CHECKING:
    from napari_hush.widgets.layers import Origin
    from napari_hush.widgets.previewer import PreviewReady

__all__ = ["PreviewLayer"]


class PreviewLayer:
    """Shows previews over their source, each in its place, until it is closed.

    Lives in the main thread. The layer may be removed by hand; then no preview is wanted.
    """

    def __init__(self, viewer: Any, origin: Origin) -> None:
        self._viewer = viewer
        self._origin = origin
        self._layer: Any = None

    @property
    def was_removed(self) -> bool:
        """Whether somebody has removed the layer."""
        return self._layer is not None and self._layer not in self._viewer.layers

    def show(self, preview: PreviewReady) -> None:
        """Show `preview` in its place."""
        if self.was_removed:
            return
        translate = self._place(preview)
        if self._layer is None:
            look = self._origin.appearance | {"translate": translate, "opacity": 1.0}
            look["blending"] = "translucent_no_depth"
            name = f"live preview of {self._origin.name}"
            self._layer = add_quietly(
                self._viewer, "add_image", preview.pixels, name=name, **look
            )
            return
        self._layer.data = preview.pixels
        if not np.array_equal(self._layer.translate, translate):
            self._layer.translate = translate

    def close(self) -> None:
        """Remove the layer."""
        if self._layer is not None:
            remove_quietly(self._viewer, (self._layer,))
            self._layer = None

    def _place(self, preview: PreviewReady) -> Any:
        """Where the first pixel of `preview` lies, so that it lies over its source."""
        look = self._origin.appearance
        ndim = len(look["scale"])
        first = [part.start for part in preview.bounds[:ndim]]
        place = {key: look[key] for key in ("scale", "rotate", "shear", "translate")}
        return Affine(**place)(first)
