from __future__ import annotations

import pytest
from qtpy.QtWidgets import QLabel

from napari_hush.widgets.dock.status import StatusLine


@pytest.fixture
def line(qtbot):
    widget = StatusLine()
    qtbot.addWidget(widget)
    widget.resize(280, 60)
    widget.show()
    return widget


def test_a_short_sentence_moves_nothing(line):
    line.setText("Ready.", "plain")
    before = line.height()
    line.setText("Epoch 3 of 10.", "plain")
    assert line.height() == before


def test_a_long_sentence_is_shown_whole(line):
    line.setText("word " * 100, "problem")
    label = line.findChild(QLabel, "status")
    assert label.property("kind") == "problem"
    assert label.height() == line.minimumHeight() >= label.heightForWidth(label.width())
    line.setText("Ready.", "plain")
    assert line.minimumHeight() < 100
