"""Repainting: measured, paced, and with the right OpenGL context."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QCoreApplication, QEvent, QObject, QTimer
from qtpy.QtWidgets import QLabel, QMainWindow, QWidget

if TYPE_CHECKING:
    import napari.viewer

SHARE_OF_MOVIES = 0.01
"""Share of the main thread's time for animations in the window."""
FRAME_MS = 30
"""Milliseconds between two frames of napari's busy indicator at full speed."""
PAINT_MS = 30
"""Milliseconds until a window is painted that waits for a separate turn."""


def paint_now(widget: QWidget) -> float:
    """Paint all changes in the window of `widget`; return the seconds it took.

    Also slows the animations in that window, such as napari's busy indicator, in
    proportion: each frame repaints the whole window, and without a GPU 30 frames per
    second take half the time of a training run.
    """
    started = time.perf_counter()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
    QCoreApplication.sendPostedEvents(widget.window(), QEvent.Type.UpdateRequest.value)
    seconds = time.perf_counter() - started
    _pace_movies(widget.window(), 1000 * seconds / SHARE_OF_MOVIES)
    return seconds


def paint_apart(widget: QWidget) -> None:
    """Paint the window of `widget` in a later turn of the event loop.

    napari takes 0.1 s to add or remove a layer, and as long to paint the window after that;
    events are handled in between.
    """
    window = widget.window()
    window.setUpdatesEnabled(False)
    timer = QTimer(window)
    timer.setSingleShot(True)
    timer.timeout.connect(partial(_paint_again, weakref.ref(window)))
    timer.timeout.connect(timer.deleteLater)
    timer.start(PAINT_MS)


def _paint_again(window: weakref.ref[QWidget]) -> None:
    if (there := window()) is not None:
        there.setUpdatesEnabled(True)


def _pace_movies(window: QWidget, least_ms: float) -> None:
    """Show at most one frame per `least_ms` milliseconds, as far as Qt can slow a movie."""
    percent = max(1, min(100, round(100 * FRAME_MS / max(least_ms, FRAME_MS))))
    for label in window.findChildren(QLabel):
        if (movie := label.movie()) is not None:
            movie.setSpeed(percent)


class DrawingContext(QObject):
    """Makes the OpenGL context of the canvas current before a layer is removed.

    napari 0.9 deletes the textures of a layer in whatever context is current, which may be
    that of the window or of the histogram; with software rendering (Mesa llvmpipe) the
    next draw of the canvas then crashes the process. `widget` is the parent, any widget in
    the window of `viewer`.
    """

    def __init__(self, viewer: napari.viewer.Viewer, widget: QWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        viewer.layers.events.removing.connect(self._on_removing, position="first")

    def _on_removing(self, event: Any) -> None:
        for canvas in canvases(self._widget):
            canvas.makeCurrent()


def canvases(widget: QWidget) -> Iterator[Any]:
    """The OpenGL widgets in the middle of the main window that `widget` is in."""
    window: QWidget | None = widget
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    center = None if window is None else window.centralWidget()
    for child in () if center is None else center.findChildren(QWidget):
        if child.inherits("QOpenGLWidget"):
            yield child
