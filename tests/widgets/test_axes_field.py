from __future__ import annotations

import pytest

from napari_hush.config import DataConfig
from napari_hush.widgets.axes_field import AxesField


@pytest.fixture
def field(qtbot):
    widget = AxesField()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("axes", ["YX", "TZYX", "nonsense"[:6]])
def test_round_trip(qtbot, field, axes):
    field.setValue("CYX")
    with qtbot.waitSignal(
        field.valueChanged, check_params_cb=lambda new: new == axes.upper()
    ):
        field.setValue(axes)
    assert field.value() == axes.upper()


def test_letters_become_capitals_as_they_are_typed(qtbot, field):
    field.clear()
    qtbot.keyClicks(field, "tyx")
    assert field.text() == "TYX"
    field.setCursorPosition(1)
    qtbot.keyClicks(field, "z")
    assert field.text() == "TZYX"
    assert field.cursorPosition() == 2


def test_default_and_help_are_those_of_the_configuration(field):
    assert field.value() == DataConfig().axes
    assert DataConfig.model_fields["axes"].description in field.toolTip()
