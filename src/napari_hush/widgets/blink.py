"""Before and after in turns, in the same place: the eye sees at once what has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

from napari_hush.widgets.compared_pixels import Swiped
from napari_hush.widgets.layers import Origin, source_of
from napari_hush.widgets.view_layers import add_quietly, remove_quietly

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
