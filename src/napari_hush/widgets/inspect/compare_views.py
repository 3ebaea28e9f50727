"""Before and after in turns, in the same place: the eye sees at once what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import Colormap
from qtpy.QtCore import QTimer

from napari_hush.widgets.data.helper_layers import add_quietly, remove_quietly
from napari_hush.widgets.data.layers import Origin, source_of
from napari_hush.widgets.inspect.compared_pixels import Difference, Swiped

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["Blink"]

MILLISECONDS = 600
"""How long each of them is seen."""


class Blink:
    """Shows `before` and `after` in turns, in a layer of its own, until it is closed.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where both layers are.
    before, after : Image
        Of one shape and place.
    """

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._names = before.name, after.name
        self._pixels = Swiped(source_of(before), source_of(after), 0, 0)
        look = Origin.of(before).appearance | {"blending": "translucent_no_depth"}
        look["opacity"] = 1.0
        self._picture: Any = add_quietly(
            viewer, "add_image", self._pixels, name=after.name, **look
        )
        self._picture.name = f"now: {after.name}"
        self._timer = QTimer()
        self._timer.setInterval(MILLISECONDS)
        self._timer.timeout.connect(self._turn)
        self._timer.start()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layer that this added."""
        return (self._picture,)

    def close(self) -> None:
        """Take it away."""
        self._timer.stop()
        remove_quietly(self._viewer, self.layers)

    def _turn(self) -> None:
        whole = self._pixels.shape[self._pixels.axis]
        self._pixels.split = 0 if self._pixels.split else whole
        self._picture.name = f"now: {self._names[not self._pixels.split]}"
        self._picture.refresh(extent=False, highlight=False, thumbnail=False)


class SideBySide:
    """Shows `before` and `after` in napari's grid, and nothing else, until it is closed.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Where both layers are.
    before, after : Image
        For the left and the right panel.
    """

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._grid = viewer.canvas.grid
        layers = list(viewer.layers)
        self._visible = {layer: bool(layer.visible) for layer in layers}
        self._before = {
            name: getattr(self._grid, name) for name in ("enabled", "shape", "stride")
        }
        for layer in layers:
            layer.visible = layer in (before, after)
        # napari begins with the lowest layer, or with the uppermost if told -1.
        self._grid.stride = -1 if layers.index(before) > layers.index(after) else 1
        self._grid.shape = (1, 2)
        self._grid.enabled = True
        viewer.reset_view()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that this added: none."""
        return ()

    def close(self) -> None:
        """Show again what was shown before, as it was."""
        for name, value in self._before.items():
            setattr(self._grid, name, value)
        for layer, visible in self._visible.items():
            layer.visible = visible
        self._viewer.reset_view()


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
