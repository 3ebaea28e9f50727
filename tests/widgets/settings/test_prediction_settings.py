"""Tile size and batch size of denoising, as a person sets them."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_hush.widgets.settings.prediction_settings import PredictionSettings


def _type(settings, name, keys):
    box = settings.findChild(QWidget, name)
    box.selectAll()
    QTest.keyClicks(box, keys)
    QTest.keyClick(box, Qt.Key.Key_Return)
    return box


def test_both_are_automatic_until_they_are_typed(qtbot):
    settings = PredictionSettings()
    qtbot.addWidget(settings)
    assert settings.findChild(QWidget, "tile_size").text() == "automatic"
    assert settings.value() == {"batch_size": 1}
    with qtbot.waitSignal(settings.valueChanged):
        assert _type(settings, "tile_size", "96").text() == "96 px"
    _type(settings, "batch_size_predict", "4")
    assert settings.value() == {"tile_side": 96, "batch_size": 4}
    settings.setValue({})
    assert settings.value() == {"batch_size": 1}
