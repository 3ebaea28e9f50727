"""Whoever works without a mouse, without colors or with large letters gets everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QLabel,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from napari_hush.widgets.theme.theme import Colours


def _reachable(dock) -> list[QWidget]:
    """All widgets in the order of the tab key, from the dock's first on."""
    chain, widget = [], dock.nextInFocusChain()
    while widget is not dock and len(chain) < 2000:
        if dock.isAncestorOf(widget):
            chain.append(widget)
        widget = widget.nextInFocusChain()
    return chain


def _controls(dock) -> list[QWidget]:
    """What takes the keyboard and can be seen; not the editors inside other controls."""
    return [
        widget
        for widget in _reachable(dock)
        if widget.isVisibleTo(dock)
        and widget.focusPolicy() & Qt.FocusPolicy.TabFocus
        and not (isinstance(widget, QLineEdit) and isinstance(widget.parent(), QSpinBox))
    ]


def _unfold(hand) -> None:
    from napari_hush.widgets.theme.collapsible import Collapsible

    opened = True
    while opened:  # folds come to light in folds
        opened = False
        for fold in hand.dock.findChildren(Collapsible):
            if not fold.isExpanded():
                fold.toggleButton().click()
                opened = True
        QApplication.processEvents()


def _spoken(widget: QWidget) -> str:
    """What a screen reader calls a widget: its name, its words or its label."""
    buddies = [
        label.text()
        for label in widget.window().findChildren(QLabel)
        if label.buddy() is widget
    ]
    words = widget.text() if isinstance(widget, QAbstractButton) else ""
    name = widget.accessibleName() or words or next(iter(buddies), "")
    return name.replace("&", "").strip()


@pytest.fixture
def unfolded(viewer, hand, noisy):
    viewer.add_image(noisy, name="cells")
    _unfold(hand)
    return hand


def test_every_control_has_a_name_to_be_read_out(unfolded):
    controls = _controls(unfolded.dock)
    assert len(controls) > 60
    nameless = [f"{type(w).__name__} {w.objectName()}" for w in controls if not _spoken(w)]
    assert not nameless, nameless


def test_every_button_and_field_can_be_reached_with_the_tab_key(unfolded, quick):
    unfolded.dock.setValue(quick())
    unfolded.train()
    unfolded.denoise()
    reached = {widget.objectName() for widget in _controls(unfolded.dock)}
    for name in (
        *("noisy_layer", "num_epochs", "patch_size_yx", "apart", "reset_all"),
        *("train", "train_on", "live_preview", "snapshots", "denoise_now"),
        *("denoise", "scope", "keep_type", "network_alone", "save_model", "load_model"),
        "recent_models",
        *("compare_swipe", "compare_side_by_side", "compare_residual", "compare_blink"),
        *(f"help_{section}" for section in ("image", "training", "result", "model")),
    ):
        assert name in reached, name
    for name in ("pause", "stop", "cancel"):  # in the place of "Denoise now" during a run
        assert unfolded.find(name).focusPolicy() & Qt.FocusPolicy.TabFocus


def test_the_tab_key_goes_down_the_column(unfolded):
    """Never up by more than a row; within a row from left to right."""
    column = unfolded.find("controls")
    inside = [
        (widget.objectName(), widget.mapTo(column, widget.rect().topLeft()))
        for widget in _controls(unfolded.dock)
        if column.isAncestorOf(widget)
    ]
    jumps = [
        f"{a} ({p.y()}) → {b} ({q.y()})"
        for (a, p), (b, q) in pairwise(inside)
        if q.y() < p.y() - 20
    ]
    assert len(jumps) <= 1, jumps  # from the last to the first, if one begins in the middle


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_both_curves_differ_in_lightness_not_in_hue_alone(qapp, theme):
    from qtpy.QtGui import QColor

    colours = Colours.of(theme)
    curve, text = (QColor(one).lightnessF() for one in (colours.curve, colours.text))
    assert abs(curve - text) > 0.15


@pytest.mark.process
@pytest.mark.parametrize("factor", ["1.25", "2"])
def test_the_dock_is_whole_on_a_scaled_screen(factor):
    lines = (
        "import os, napari",
        "from qtpy.QtWidgets import QApplication",
        "viewer = napari.Viewer()",
        "_, dock = viewer.window.add_plugin_dock_widget('napari-hush', 'Denoise')",
        "QApplication.processEvents()",
        f"assert abs(dock.devicePixelRatioF() - {factor}) < 0.01, dock.devicePixelRatioF()",
        "from qtpy.QtWidgets import QWidget",
        "width = dock.findChild(QWidget, 'controls').minimumSizeHint().width()",
        "assert width <= 300, width",
        "os._exit(0)",
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        capture_output=True,
        env=os.environ | {"QT_SCALE_FACTOR": factor},
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
