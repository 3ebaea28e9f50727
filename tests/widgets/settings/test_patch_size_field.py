from __future__ import annotations

import pytest

from napari_hush.config import DataConfig
from napari_hush.widgets.settings.patch_size_field import PatchSizeField


@pytest.fixture
def field(qtbot):
    widget = PatchSizeField()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("size", [(32, 32), (32, 48), (16, 64, 64), (8, 24, 16)])
def test_round_trip(qtbot, field, size):
    with qtbot.waitSignal(field.valueChanged):
        field.setValue(size)
    assert field.value() == size


def test_default_is_that_of_the_configuration(field):
    assert field.value() == DataConfig().patch_size


def test_one_number_edits_both_sides(field):
    field.setValue((32, 48))
    box = field.findChild(type(field._yx), "patch_size_yx")
    box.setValue(96)
    assert field.value() == (96, 96)


def test_volumes_bring_a_number_for_z_and_keep_it(field):
    field.setVolumes(True)
    depth = field.value()[0]
    assert field.value() == (depth, *DataConfig().patch_size)
    field.setVolumes(False)
    assert field.value() == DataConfig().patch_size
