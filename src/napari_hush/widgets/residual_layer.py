"""What denoising took away, as a layer: there should be nothing in it but noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import Colormap

from napari_hush.widgets.compared_pixels import Difference
from napari_hush.widgets.layers import Origin, source_of
from napari_hush.widgets.view_layers import add_quietly, remove_quietly

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["ResidualLayer"]

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""What it takes over from the source."""
COLOURS = [[0.13, 0.35, 0.67, 1], [0.97, 0.97, 0.97, 1], [0.70, 0.11, 0.17, 1]]
"""Taken away too much, nothing, too little; readable without telling red from green."""
SPREAD = 4.0
"""Standard deviations of the residual from the middle of the colours to either end."""
SAMPLED = 256
"""Pixels along each axis of the plane that this is measured on."""


class ResidualLayer:
    """Shows `before` minus `after`, computed slice by slice where one looks.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where both layers are.
    before, after : Image
        Of one shape and place.
    """

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._after = after
        rgb = bool(before.rgb)
        self._pixels = Difference(source_of(before), source_of(after), rgb=rgb)
        place = Origin.of(before).appearance
        reach = self._reach(before)
        self._layer: Any = add_quietly(
            viewer,
            "add_image",
            self._pixels,
            name=f"{before.name} − {after.name}",
            rgb=False,
            contrast_limits=(-reach, reach),
            colormap=Colormap(COLOURS, name="hush residual", interpolation="linear"),
            blending="translucent_no_depth",
            **{key: place[key] for key in PLACE},
        )
        after.events.set_data.connect(self._on_new_pixels)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layer that this added."""
        return (self._layer,)

    def close(self) -> None:
        """Take it away."""
        self._after.events.set_data.disconnect(self._on_new_pixels)
        remove_quietly(self._viewer, self.layers)

    def _reach(self, before: Image) -> float:
        """Half the range of the colours, from the middle of the plane that is shown."""
        missing = self._viewer.dims.ndim - self._pixels.ndim
        steps = self._viewer.dims.current_step[missing:]
        shown = {axis - missing for axis in self._viewer.dims.displayed[-2:]}
        key = tuple(
            slice(max(0, size // 2 - SAMPLED // 2), size // 2 + SAMPLED // 2)
            if axis in shown or axis >= self._pixels.ndim - 2
            else min(max(int(steps[axis]), 0), size - 1)
            for axis, size in enumerate(self._pixels.shape)
        )
        spread = float(np.std(self._pixels[key]))
        return SPREAD * spread if np.isfinite(spread) and spread > 0 else 1.0

    def _on_new_pixels(self, event: Any = None) -> None:
        self._pixels.forget()
        self._layer.refresh(extent=False, highlight=False, thumbnail=False)
