from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent

from napari_hush.config import DataConfig, TrainingConfig, UNetConfig
from napari_hush.widgets.settings.fields import CountField, ValuesField
from napari_hush.widgets.settings.labels import help_of


@pytest.fixture
def make(qtbot):
    def make(owner, name):
        widget = CountField(name, owner.model_fields[name])
        qtbot.addWidget(widget)
        return widget

    return make


def test_bounds_default_and_help_are_those_of_the_configuration(make):
    box = make(DataConfig, "batch_size")
    assert (box.minimum(), box.maximum()) == (1, 4096)
    assert box.value() == DataConfig().batch_size
    assert box.objectName() == "batch_size"
    assert DataConfig.model_fields["batch_size"].description in box.toolTip()


def test_default_in_the_help_is_the_value_of_the_field():
    # "32" is a precision as well, which has a label.
    field = UNetConfig.model_fields["num_channels_init"]
    assert "Default: 32\n" in help_of("num_channels_init", field, "empty")


def test_a_fraction_is_shown_until_a_number_is_set(make):
    box = make(TrainingConfig, "num_steps")
    box.setValue(0.5)
    assert box.text() == "0.5 of all"
    box.setValue(7)
    assert box.value() == 7
    box.setValue(None)
    assert box.text() == box.EMPTY


def test_help_names_what_the_box_shows_and_not_none(make):
    box = make(TrainingConfig, "num_steps")
    assert "automatic to visit every training patch once" in box.toolTip()
    assert "None" not in box.toolTip()


def test_none_is_shown_as_automatic(make):
    box = make(TrainingConfig, "num_steps")
    assert box.value() is None
    assert box.text() == "automatic"
    box.setValue(1)
    assert (box.value(), box.text()) == (1, "1")
    box.setValue(None)
    assert box.value() is None


def test_the_wheel_scrolls_the_dock_unless_the_box_was_clicked(make):
    box = make(TrainingConfig, "num_epochs")
    event = QWheelEvent(
        QPointF(5, 5),
        QPointF(5, 5),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    before = box.value()
    box.wheelEvent(event)
    assert box.value() == before
    assert not event.isAccepted()


@pytest.mark.parametrize("typed", ["[" * 200, "1" * 5000, "*a", "!!python/name:os.system"])
def test_lines_that_are_no_values_stay_text_that_the_configuration_refuses(qtbot, typed):
    field = ValuesField(None, "", "[%s]")
    qtbot.addWidget(field)
    field.setText(typed)
    assert field.value() == typed


def test_lines_of_values_are_parsed(qtbot):
    field = ValuesField(None, "", "[%s]")
    qtbot.addWidget(field)
    field.setText("64, 32")
    assert field.value() == [64, 32]
