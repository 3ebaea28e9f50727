"""Painting at a moment of our choice, so that its cost is known and kept low."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtWidgets import QLabel, QMainWindow, QWidget

if TYPE_CHECKING:
    import napari.viewer

__all__ = ["paint_now"]

SHARE_OF_MOVIES = 0.01
"""Share of the main thread's time that moving pictures in the window may take."""
FRAME_MS = 30
"""Milliseconds between two frames of napari's wheel at its natural speed."""


def paint_now(widget: QWidget) -> float:
    """Paint all that has changed in the widget's window; return the seconds it took.

    Moving pictures in that window, such as the wheel that napari turns while something is
    in progress, move no faster from now on than this cost allows: each of their frames has
    the whole window drawn, and where the processor does that, 30 frames per second would
    take half of the time of a training.
    """
    started = time.perf_counter()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
    QCoreApplication.sendPostedEvents(widget.window(), QEvent.Type.UpdateRequest.value)
    seconds = time.perf_counter() - started
    _pace_movies(widget.window(), 1000 * seconds / SHARE_OF_MOVIES)
    return seconds


def _pace_movies(window: QWidget, least_ms: float) -> None:
    """Let about `least_ms` pass between two frames, as far as a movie can be slowed."""
    percent = max(1, min(100, round(100 * FRAME_MS / max(least_ms, FRAME_MS))))
    for label in window.findChildren(QLabel):
        if (movie := label.movie()) is not None:
            movie.setSpeed(percent)


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
