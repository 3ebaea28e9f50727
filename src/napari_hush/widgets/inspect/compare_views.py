"""Views that compare two layers: blinking, side by side, and the residual."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.colormaps import Colormap
from qtpy.QtCore import QTimer

from napari_hush.widgets.data.helper_layers import Turns, add_quietly, remove_quietly
from napari_hush.widgets.data.layers import PLACE, Origin, source_of
from napari_hush.widgets.inspect.compared_pixels import Residual, SameContrast, Swiped
from napari_hush.widgets.results.pairing import has_targets

if TYPE_CHECKING:
    from napari.layers import Image, Layer

MILLISECONDS = 600
"""Duration of each image."""


class Blink:
    """Shows `before` and `after` alternately, in an additional layer."""

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._name = before.name
        self._pixels = Swiped(source_of(before), source_of(after), 0, 0)
        self._contrast = SameContrast(before, after, self._pixels, self._redraw)
        look = Origin.of(before).appearance | {"blending": "translucent_no_depth"}
        look["opacity"] = 1.0
        self._picture: Any = add_quietly(
            viewer, "add_image", self._pixels, name=self._now(), visible=False, **look
        )
        self._contrast.picture = self._picture
        self.layers: tuple[Layer, ...] = (self._picture,)
        self._timer = QTimer()
        self._timer.setInterval(MILLISECONDS)
        self._timer.timeout.connect(self._turn)
        self._turns = Turns(self._appear)

    def close(self) -> None:
        """Remove the layer."""
        self._turns.stop()
        self._timer.stop()
        self._contrast.close()
        remove_quietly(self._viewer, self.layers)

    def _appear(self) -> None:
        self._picture.visible = True
        self._timer.start()

    def _now(self) -> str:
        return f"blink: {'noisy' if self._pixels.split else 'denoised'} {self._name}"

    def _turn(self) -> None:
        whole = self._pixels.shape[self._pixels.axis]
        self._pixels.split = 0 if self._pixels.split else whole
        self._picture.name = self._now()
        self._redraw()

    def _redraw(self) -> None:
        self._picture.refresh(extent=False, highlight=False, thumbnail=False)


class SideBySide:
    """Shows only `before` (left) and `after` (right), in the grid of napari."""

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._grid = viewer.canvas.grid
        self.layers: tuple[Layer, ...] = ()
        layers = list(viewer.layers)
        self._visible = {layer: bool(layer.visible) for layer in layers}
        self._before = {
            name: getattr(self._grid, name) for name in ("enabled", "shape", "stride")
        }
        for layer in layers:
            layer.visible = layer in (before, after)
        # The grid starts with the lowest layer, or with the topmost for stride -1.
        self._grid.stride = -1 if layers.index(before) > layers.index(after) else 1
        self._grid.shape = (1, 2)
        self._grid.enabled = True
        viewer.reset_view()

    def close(self) -> None:
        """Restore the grid and the visibility of all layers."""
        for name, value in self._before.items():
            setattr(self._grid, name, value)
        for layer, visible in self._visible.items():
            layer.visible = visible
        self._viewer.reset_view()


COLOURS = [[0.13, 0.35, 0.67, 1], [0.97, 0.97, 0.97, 1], [0.70, 0.11, 0.17, 1]]
"""Negative, zero, positive; readable with red-green color blindness."""
REACH = 4.0
"""Standard deviations of the noise at both ends of the colormap."""


class ResidualLayer:
    """Shows `before` minus `after` in units of the local noise, for the displayed slice."""

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._after = after
        rgb = bool(before.rgb)
        self._pixels = Residual(
            source_of(before), source_of(after), rgb=rgb, fit_gain=has_targets(after)
        )
        place = Origin.of(before).appearance
        self._layer: Any = add_quietly(
            viewer,
            "add_image",
            self._pixels,
            name=f"residual ±{REACH:g} SD: {before.name}",
            rgb=False,
            contrast_limits=(-REACH, REACH),
            colormap=Colormap(COLOURS, name="hush residual", interpolation="linear"),
            blending="translucent_no_depth",
            visible=False,
            **{key: place[key] for key in PLACE},
        )
        self.layers: tuple[Layer, ...] = (self._layer,)
        after.events.set_data.connect(self._on_new_pixels)
        self._turns = Turns(self._appear)

    def close(self) -> None:
        """Remove the layer."""
        self._turns.stop()
        self._after.events.set_data.disconnect(self._on_new_pixels)
        remove_quietly(self._viewer, self.layers)

    def _appear(self) -> None:
        self._layer.visible = True

    def _on_new_pixels(self, event: Any = None) -> None:
        self._pixels.forget()
        self._layer.refresh(extent=False, highlight=False, thumbnail=False)
