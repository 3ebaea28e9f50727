"""Help on the sections of the docks: buttons, the F1 key, and the texts."""

from __future__ import annotations

import re

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit, QWidget

from napari_hush.widgets.theme.help import (
    HelpButton,
    HelpWindow,
    add_help_key,
    help_texts,
)
from napari_hush.widgets.theme.theme import FOR_TEXT, Colours, contrast_ratio, stylesheet
from napari_hush.widgets.theme.widgets import column, row

NOT_SAID = ("pass ", "effort", "mirror", "halve", "caution", "judge", "moment", "what was")


@pytest.fixture
def dock(qtbot):
    """Sections, each with a help button above a field, the first one next to it."""
    widget = QWidget()
    layout = column(widget)
    widget.setStyleSheet(stylesheet(Colours.of("dark")))
    for section in ("image", "training", "model"):
        field = QLineEdit()
        field.setObjectName(section)
        top = row()
        top.addWidget(QWidget(), 1)
        top.addWidget(HelpButton(section))
        layout.addLayout(top)
        layout.addWidget(field)
    add_help_key(widget)
    qtbot.addWidget(widget)
    widget.show()
    widget.activateWindow()
    qtbot.waitUntil(widget.isActiveWindow)
    return widget


def open_windows(dock):
    return [one for one in dock.findChildren(HelpWindow) if one.isVisible()]


def shown(dock):
    (window,) = open_windows(dock)
    return window.findChild(QWidget, "help_text").toPlainText().partition("\n")[0]


def click(dock, section):
    QTest.mouseClick(dock.findChild(QWidget, f"help_{section}"), Qt.MouseButton.LeftButton)


def test_a_click_opens_the_help_and_another_closes_it(dock):
    click(dock, "training")
    assert shown(dock) == "Training"
    assert not open_windows(dock)[0].isModal()
    click(dock, "model")  # one window at a time
    assert shown(dock) == "Model"
    click(dock, "model")
    assert open_windows(dock) == []


def test_esc_closes_the_help(dock):
    click(dock, "image")
    QTest.keyClick(open_windows(dock)[0], Qt.Key.Key_Escape)
    assert open_windows(dock) == []


@pytest.mark.parametrize("section", ["image", "training", "model"])
def test_f1_opens_the_help_of_the_section_with_the_focus(dock, qtbot, section):
    field = dock.findChild(QLineEdit, section)
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QTest.keyClick(field, Qt.Key.Key_F1)
    assert shown(dock) == help_texts()[section][0]


def test_f1_prefers_the_help_of_the_smallest_part(qtbot, dock):
    part = QWidget()
    inner, field, button = column(part), QLineEdit(), HelpButton("live")
    inner.addWidget(field)
    inner.addWidget(button)  # below the field, but in the same part
    dock.layout().addWidget(part)
    qtbot.waitUntil(button.isVisible)
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    QTest.keyClick(field, Qt.Key.Key_F1)
    assert shown(dock) == "While training"


def test_the_tab_key_reaches_the_buttons(dock):
    button = dock.findChild(QWidget, "help_image")
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert button.accessibleName() == "Help: Image"
    QTest.keyClick(button, Qt.Key.Key_Space)
    assert shown(dock) == "Image"


@pytest.mark.parametrize("points", [9, 18, 60])
def test_the_window_stays_on_the_screen_at_any_size_of_the_font(dock, points):
    dock.setStyleSheet(f"* {{ font-size: {points}pt; }}")
    click(dock, "image")
    (window,) = open_windows(dock)
    screen = window.screen().availableGeometry()
    assert screen.contains(window.geometry())
    page = window.findChild(QWidget, "help_text")
    assert page.horizontalScrollBar().maximum() == 0
    if points == 9:
        assert page.verticalScrollBar().maximum() == 0  # all of it is seen


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_text_is_readable(viewer, theme):
    viewer.theme = theme
    button = HelpButton("image")
    viewer.window.add_dock_widget(button)
    button.click()
    (window,) = button.findChildren(HelpWindow)
    picture = window.grab().toImage()
    colours = [
        picture.pixelColor(x, y)
        for x in range(20, picture.width() // 2, 1)
        for y in range(20, 60)
    ]
    light, dark = max(colours, key=QColor.lightness), min(colours, key=QColor.lightness)
    assert contrast_ratio(light, dark) >= FOR_TEXT


@pytest.mark.parametrize("section", help_texts())
def test_a_text_is_short_and_in_the_words_of_the_package(section):
    title, text = help_texts()[section]
    lines = [line for line in text.splitlines() if line]
    assert 4 <= len(lines) <= 10
    assert len(text.split()) <= 160
    assert all(re.search(r"[.!]$", line) for line in lines)
    assert not [word for word in NOT_SAID if word in f"{title} {text}".lower()]
    assert "_" not in text.replace("cells_*.tif", "")  # no names of Python
