"""Removal of layers without a crash of the drawing library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QMainWindow, QWidget

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["DrawingContext"]


class DrawingContext(QObject):
    """Makes the canvas's OpenGL context the current one before a layer is removed.

    napari 0.9 deletes what a layer has on the graphics card at once, in whatever context
    is current. That may be the one that Qt draws the window in, or the histogram's; with
    the processor drawing (Mesa's llvmpipe) the whole process then crashes when the canvas
    is drawn next.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
        Whose layers.
    widget : QWidget
        Any in the window of that viewer; this ends with it.
    """

    def __init__(self, viewer: napari.viewer.Viewer, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        viewer.layers.events.removing.connect(self._on_removing, position="first")

    def _on_removing(self, event: Any) -> None:
        window: Any = self._widget
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        canvas = None if window is None else window.centralWidget()
        if canvas is None:
            return
        for child in canvas.findChildren(QWidget):
            if child.inherits("QOpenGLWidget"):
                child.makeCurrent()
