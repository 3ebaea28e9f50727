from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QToolButton

from napari_hush.config import DataConfig
from napari_hush.widgets.data.axes_chips import AxesChips


@pytest.fixture
def chips(qtbot):
    widget = AxesChips()
    qtbot.addWidget(widget)
    widget.show()
    return widget


def chip(chips, place):
    return chips.findChild(QToolButton, f"axis_{place}")


@pytest.mark.parametrize("axes", ["YX", "TZYX", "STCZYX"])
def test_round_trip(qtbot, chips, axes):
    chips.setValue("CYX")
    with qtbot.waitSignal(chips.valueChanged, check_params_cb=lambda new: new == axes):
        chips.setValue(axes)
    assert chips.value() == axes


def test_default_and_help_are_those_of_the_configuration(chips):
    assert chips.value() == DataConfig().axes
    assert DataConfig.model_fields["axes"].description in chips.toolTip()


def test_typed_letters_go_from_chip_to_chip(qtbot, chips):
    chips.setValue("TYX")
    chip(chips, 0).setFocus()
    qtbot.keyClicks(chip(chips, 0), "z")
    assert chips.value() == "ZYX"
    qtbot.keyClicks(chip(chips, 1), "q")
    assert chips.value() == "ZYX"


def test_a_letter_that_is_elsewhere_changes_places(chips):
    chips.setValue("YX")
    menu = chip(chips, 0).menu()
    next(action for action in menu.actions() if action.text()[0] == "X").trigger()
    assert chips.value() == "XY"


def test_each_chip_says_its_meaning_and_size(chips):
    chips.setValue("ZYX", (12, 64, 72))
    assert "volume" in chip(chips, 0).toolTip()
    assert "size 12" in chip(chips, 0).toolTip()
    assert "depth" in chip(chips, 0).accessibleName()
    assert chip(chips, 0).focusPolicy() & Qt.FocusPolicy.TabFocus


def test_a_dimension_of_size_1_can_be_left_out(qtbot, chips):
    chips.setValue("TZYX", (3, 1, 8, 9))
    qtbot.keyClicks(chip(chips, 1), "1")
    assert chips.value() == "T1YX"
    assert "size 1, left out" in chip(chips, 1).toolTip()
    chips.setValue("T11YX")
    qtbot.keyClicks(chip(chips, 2), "z")
    assert chips.value() == "T1ZYX"
