"""The entries of napari's Layers > Filter menu, and keys."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QApplication

COLUMN = [
    "train_on",
    "scope",
    "denoise",
    "save_model",
    "load_model",
    "denoise_now",
    "pause",
    "stop",
    "cancel",
]
"""Controls after "train", in the order of the Tab key."""


def _entries(viewer) -> dict:
    from napari._app_model import get_app_model

    menu = get_app_model().menus.get_menu("napari/layers/filter")
    return {item.command.id: item.command.title for item in menu}


def test_the_filter_menu_has_both_entries(viewer):
    assert {"napari-hush.denoise_quickly", "napari-hush.denoise"} <= set(_entries(viewer))


def test_one_click_in_the_menu_goes_all_the_way(viewer, noisy, hand, quick):
    from napari._app_model import get_app_model

    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    get_app_model().commands.execute_command("napari-hush.denoise_quickly").result()
    hand.until(lambda: "cells denoised" in viewer.layers, 120)
    hand.until_ready("denoise")
    assert not np.array_equal(viewer.layers["cells denoised"].data, noisy)


def test_without_a_selected_image_it_says_what_to_do(viewer, notifications):
    from napari_hush.widgets.dock.actions import denoise_quickly

    viewer.add_points([[0, 1]])
    denoise_quickly(viewer)
    assert "select" in notifications()[0]
    assert len(viewer.window.dock_widgets) == 0


def test_keys_press_the_buttons_and_tab_goes_from_one_to_the_next(
    viewer, hand, noisy, quick, qtbot
):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    viewer.window._qt_window.activateWindow()
    hand.until(lambda: QApplication.activeWindow() is not None)
    train = hand.find("train")
    train.setFocus()
    qtbot.keyClick(train, Qt.Key.Key_T, Qt.KeyboardModifier.AltModifier)
    hand.until(lambda: hand.dock.state.busy)
    hand.until_ready("train")
    order, widget = [], train
    for _ in range(100):
        widget = widget.nextInFocusChain()
        if widget.objectName() in COLUMN:
            order.append(widget.objectName())
    assert order[: len(COLUMN)] == COLUMN


def test_the_log_lists_the_runs(viewer, hand, noisy, quick):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    hand.train()
    text = hand.find("log_text").toPlainText()
    assert "Training: cells" in text
    assert "Trained on “cells”" in text
    hand.click("log")
    assert hand.find("log_text").isVisible()


def test_no_key_of_the_dock_is_one_of_napari(viewer, hand, qtbot):
    viewer.window._qt_window.activateWindow()
    hand.until(lambda: QApplication.activeWindow() is not None)
    pressed, ambiguous = [], []
    shortcuts = hand.dock.findChildren(QShortcut)
    assert len(shortcuts) >= 8
    for shortcut in shortcuts:
        shortcut.activated.disconnect()
        keys = shortcut.key().toString()
        shortcut.activated.connect(lambda keys=keys: pressed.append(keys))
        shortcut.activatedAmbiguously.connect(lambda keys=keys: ambiguous.append(keys))
    chooser = hand.find("scope")
    chooser.setFocus()
    for shortcut in shortcuts:
        combination = shortcut.key()[0]
        qtbot.keyClick(chooser, combination.key(), combination.keyboardModifiers())
    assert ambiguous == []
    assert sorted(pressed) == sorted(s.key().toString() for s in shortcuts)
