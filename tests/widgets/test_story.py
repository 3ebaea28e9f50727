"""The whole workflow with mouse and keyboard in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from gestures import drag_in_canvas, drag_of_layers, drop
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QScrollArea

from napari_hush.careamist import CAREamist


@pytest.fixture
def own_dialogs():
    """Qt's own dialogs, which can be typed into on each system."""
    native = Qt.ApplicationAttribute.AA_DontUseNativeDialogs
    before = QApplication.testAttribute(native)
    QApplication.setAttribute(native, True)
    yield
    QApplication.setAttribute(native, before)


def test_from_a_dropped_layer_to_a_comparison(viewer, hand, noisy, tmp_path, own_dialogs):
    viewer.window._qt_window.resize(1500, 1050)
    cells = viewer.add_image(noisy, name="cells", scale=(0.5, 0.5))
    viewer.add_image(noisy[::-1].copy(), name="another")
    chooser = hand.find("noisy_layers")
    chooser.setLayers([viewer.layers["another"]])
    _look_at(hand, chooser)
    assert drop(chooser, drag_of_layers(viewer, cells))
    assert chooser.value() == [cells]
    assert "cells" in hand.status

    _click(hand, "train")
    hand.until(lambda: len(hand.find("loss_plot").history.steps) > 2)
    assert np.isfinite(hand.find("loss_plot").history.train).all()
    _click(hand, "stop")
    hand.until_ready("save_model")
    assert hand.status.startswith("Stopped early, after step ")

    path = tmp_path / "my cells.safetensors"
    QTimer.singleShot(0, lambda: _type_into_dialog(str(path.with_suffix(""))))
    _click(hand, "save_model")
    hand.until_ready("denoise")
    assert "my cells" in hand.status
    assert CAREamist(source=path).is_trained

    _click(hand, "denoise")
    hand.until_ready("denoise")
    result = viewer.layers["cells denoised"]
    assert np.array_equal(result.scale, cells.scale)
    assert result.data.std() < noisy.std()

    kept = _shown(viewer)
    _click(hand, "compare_swipe")
    hand.until(lambda: "line to drag" in viewer.layers)
    hand.until(lambda: viewer.layers["swipe: cells"].visible)
    drag_in_canvas(viewer, 1, 0, 36, 12)
    picture = viewer.layers["swipe: cells"]
    assert np.array_equal(np.asarray(picture.data)[:, :10], noisy[:, :10])
    assert np.array_equal(np.asarray(picture.data)[:, 14:], result.data[:, 14:])
    _click(hand, "compare_swipe")
    assert _shown(viewer) == kept


def _click(hand, name) -> None:
    """Press the mouse where the button is seen, whatever lies there."""
    button = hand.find(name)
    hand.until(button.isEnabled)
    _look_at(hand, button)
    window = button.window()
    place = button.mapTo(window, button.rect().center())
    QTest.mouseClick(window.windowHandle(), Qt.MouseButton.LeftButton, pos=place)


def _look_at(hand, widget) -> None:
    """Scroll until `widget` is in view."""
    hand.unfold(widget)
    QApplication.processEvents()
    hand.dock.findChild(QScrollArea, "dock_scroll").ensureWidgetVisible(widget)
    QApplication.processEvents()
    assert widget.visibleRegion().contains(QPoint(5, 5))


def _type_into_dialog(name) -> None:
    """Type `name` into the dialog for files once it has the keyboard, and press Enter."""
    dialog = QApplication.activeModalWidget()
    if not isinstance(dialog, QFileDialog) or not dialog.isActiveWindow():
        QTimer.singleShot(50, lambda: _type_into_dialog(name))
        return
    line = dialog.findChild(QLineEdit, "fileNameEdit")
    line.selectAll()
    QTest.keyClicks(line, name)
    QTest.keyClick(line, Qt.Key.Key_Return)


def _shown(viewer) -> list:
    return [
        (layer.name, layer.visible, layer.opacity, str(layer.blending))
        for layer in viewer.layers
    ]
