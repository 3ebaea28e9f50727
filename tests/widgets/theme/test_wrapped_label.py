"""Labels whose text wraps."""

from __future__ import annotations

from napari_hush.widgets.theme.widgets import WrappedLabel


def test_a_label_is_as_high_as_its_text_when_that_gets_shorter(qtbot):
    label = WrappedLabel("label", "one line")
    qtbot.addWidget(label)
    label.resize(300, 100)
    label.show()
    one_line = label.minimumHeight()
    label.setText("a sentence of many words " * 8)
    assert label.minimumHeight() > 2 * one_line
    label.setText("one line")
    assert label.minimumHeight() == one_line
    label.resize(20, 100)
    assert label.minimumHeight() > one_line
