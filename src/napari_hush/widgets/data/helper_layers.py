"""Temporary layers that show other layers in another way.

They hold no data: choosers and everything that works on layers leave them out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.layers import Layer

MARK = "napari_hush_view"
"""Key in the metadata of such layers."""


def is_view(layer: Layer) -> bool:
    """Whether `layer` is such a layer."""
    return MARK in layer.metadata


def add_quietly(viewer: Any, add: str, *args: Any, **attributes: Any) -> Layer:
    """Call ``viewer.<add>``, keep the selection, and mark the layer as a view.

    With ``"add_layer"`` the layer is given; the caller marks it if it is a view.

    The window does not hear of the selection in between: each change rebuilds its controls.
    """
    selection = viewer.layers.selection
    before = set(selection)
    if add != "add_layer":
        attributes["metadata"] = {**attributes.get("metadata", {}), MARK: True}
    with selection.events.changed.blocker(), selection.events.active.blocker():
        layer = bare(getattr(viewer, add)(*args, **attributes))
        viewer.layers.selection = before
    return layer


def remove_quietly(viewer: Any, layers: Iterable[Layer]) -> None:
    """Remove those of `layers` that still exist, and keep the selection."""
    for layer in layers:
        if layer in viewer.layers:
            kept = set(viewer.layers.selection) - {layer}
            viewer.layers.remove(layer)
            viewer.layers.selection = kept


class Turns:
    """Calls `steps` in turns of the event loop, so that other events come in between.

    napari takes 0.1 s to add a layer, and as long to draw it for the first time.
    """

    def __init__(self, *steps: Callable[[], None]) -> None:
        self._steps = list(steps)
        self._timer = QTimer()
        self._timer.timeout.connect(self._call_next)
        self._timer.start(0)

    def stop(self) -> None:
        """Leave out the steps that were not called yet."""
        self._timer.stop()

    def _call_next(self) -> None:
        step = self._steps.pop(0)
        if not self._steps:
            self._timer.stop()
        step()


def bare(proxied: Any) -> Any:
    """The object behind the proxy that napari gives to plugins."""
    return getattr(proxied, "__wrapped__", proxied)
