"""Before and after in two panels, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Image, Layer

__all__ = ["SideBySide"]


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
