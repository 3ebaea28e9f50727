"""What hands do in the window: drag layers and files onto the dock, drag in the canvas."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication


def drag_of_layers(viewer, *layers) -> QMimeData:
    """What napari's own list of layers drags."""
    view = viewer.window._qt_viewer.layers
    model = view.model()
    root = [layer.name for layer in viewer.layers]
    rows = [len(root) - 1 - root.index(layer.name) for layer in layers]
    return model.mimeData([model.index(row, 0) for row in rows])


def drag_of_files(*paths) -> QMimeData:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return mime


def drop(widget, mime) -> bool:
    """Drag `mime` over `widget` and let go; whether it was taken."""
    here = QPoint(5, 5)
    common = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    actions = Qt.DropAction.MoveAction | Qt.DropAction.CopyAction
    over = QDragEnterEvent(here, actions, mime, *common)
    QApplication.sendEvent(widget, over)
    if not over.isAccepted():
        return False
    event = QDropEvent(QPointF(here), actions, mime, *common)
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def until_opened(hand) -> None:
    """Wait until dropped files are open."""
    hand.until(lambda: "Opening" not in hand.status, 20)


def drag_in_canvas(viewer, axis, up, first, last) -> None:
    """Drag with the mouse from one pixel of the layer to another, along its `axis`."""
    layer = viewer.layers[0]
    ends = []
    for pixel in (first - 0.5, last - 0.5):
        data = [0.0] * layer.ndim
        data[axis], data[up] = pixel, layer.data.shape[up] / 3
        ends.append(data)
    drag_on_canvas(viewer, layer, *ends)


def drag_on_canvas(viewer, layer, first, last) -> None:
    """Drag with the mouse from one point of `layer` to another, in its pixels."""
    canvas = viewer.window._qt_viewer.canvas.native
    places = []
    for data in np.linspace(first, last, 6):
        world = np.asarray(layer.data_to_world(data))[list(viewer.dims.displayed)]
        camera = viewer.scene.camera
        away = (world - np.asarray(camera.center[-2:])) * camera.zoom
        places.append(
            QPoint(
                round(canvas.width() / 2 + away[1]), round(canvas.height() / 2 + away[0])
            )
        )
    QTest.mouseMove(canvas, places[0])
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places:
        _move(canvas, place)
        QTest.qWait(40)
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])
    QTest.qWait(100)


def _move(canvas, place) -> None:
    """Move with the button held, which QTest.mouseMove does not say."""
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)
