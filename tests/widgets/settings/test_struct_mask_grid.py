"""The grid in which neighbors are clicked that structN2V masks."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSpinBox, QWidget

from napari_hush.config import Configuration
from napari_hush.config.methods import METHODS, method_of, with_method
from napari_hush.errors import ConfigurationError
from napari_hush.widgets.settings.settings_form import SettingsForm
from napari_hush.widgets.settings.struct_mask_grid import SIDE, StructMaskGrid
from napari_hush.widgets.theme.theme import Colours


@pytest.fixture
def form(qtbot):
    widget = SettingsForm()
    qtbot.addWidget(widget)
    widget.method.setColours(Colours.of("dark"))
    widget.method.setValue(METHODS["structn2v"], "horizontal", 5)
    widget.show()
    return widget


@pytest.fixture
def grid(form):
    return form.findChild(StructMaskGrid, "struct_mask")


def masks(form):
    return form.value().algorithm_config.n2v_config


def click(qtbot, grid, *cells):
    for cell in cells:
        place = grid.cell(*cell).center()
        qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=place)


def axis_box(form):
    return form.findChild(QComboBox, "struct_mask_axis")


@pytest.mark.parametrize("axis", ["horizontal", "vertical", "cross", "square"])
def test_the_grid_shows_axis_and_span(form, grid, axis):
    form.method.setValue(METHODS["structn2v"], axis, 7)
    assert grid.value() == set(masks(form).hidden(2))
    assert masks(form).struct_mask_axis == axis


@pytest.mark.parametrize(
    ("cells", "axis", "span"),
    [
        ([(0, 3)], "horizontal", 7),
        ([(0, 2)], "horizontal", 3),
        ([(0, -1), (0, 2), (1, 0), (-2, 0)], "vertical", 5),
        ([(1, 0), (2, 0)], "cross", 5),
        ([(0, 2), (1, 0), (1, 1), (1, -1)], "square", 3),
    ],
)
def test_neighbors_on_an_axis_become_that_axis_and_its_span(
    qtbot, form, grid, cells, axis, span
):
    click(qtbot, grid, *cells)  # and their mirror images, from the two on each side
    assert (masks(form).struct_mask_axis, masks(form).struct_mask_span) == (axis, span)
    assert masks(form).struct_mask is None
    assert axis_box(form).currentText() == axis
    assert form.findChild(QSpinBox, "struct_mask_span").value() == span


def test_other_neighbors_become_a_mask_that_the_engine_trains_with(qtbot, form, grid):
    click(qtbot, grid, (1, 1))
    found = masks(form)
    assert found.struct_mask == ((0, 1, 0, 0, 0), (1, 1, 0, 1, 1), (0, 0, 0, 1, 0))
    assert method_of(form.value()).key == "structn2v"
    assert form.chosen_by_user
    assert axis_box(form).currentIndex() == -1  # shows "custom"
    assert not form.findChild(QSpinBox, "struct_mask_span").isEnabled()
    (turn,) = form.value().data_config.transforms  # of the mask's symmetries
    assert turn.half_turns_only
    axis_box(form).setCurrentText("cross")
    assert masks(form).struct_mask is None
    assert len(form.value().data_config.transforms) == 2


def test_a_mask_without_neighbors_is_refused_and_can_be_filled_again(qtbot, form, grid):
    click(qtbot, grid, (0, 1), (0, 2))
    with pytest.raises(ConfigurationError):
        form.value()
    click(qtbot, grid, (0, 0))  # the center is always masked
    with pytest.raises(ConfigurationError):
        form.value()
    click(qtbot, grid, (0, 1))
    assert (masks(form).struct_mask_axis, masks(form).struct_mask_span) == ("horizontal", 3)


def test_the_grid_is_edited_with_the_keyboard(qtbot, form, grid):
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Space):  # from (0, 1)
        qtbot.keyClick(grid, key)
    assert masks(form).struct_mask_span == 7
    for _ in range(9):
        qtbot.keyClick(grid, Qt.Key.Key_Down)
    qtbot.keyClick(grid, Qt.Key.Key_Space)
    half = SIDE // 2
    assert {(half, 3), (-half, -3)} <= set(masks(form).hidden(2))


def test_larger_masks_fit_and_those_in_3d_are_not_edited(form, grid):
    form.method.setValue(METHODS["structn2v"], "square", 31)
    assert grid.rect().contains(grid.cell(-15, -15))
    assert grid.rect().contains(grid.cell(15, 15))
    form.setImage("ZYX", None)
    assert grid.isEnabled()
    form.method.setValue(METHODS["structn2v"], "z", 5)
    assert not grid.isEnabled()
    assert grid.value() == set()
    assert masks(form).struct_mask_axis == "z"


def test_a_mask_of_a_file_is_kept_by_all_other_edits(qtbot, form, grid):
    mask = ((1, 1, 0), (0, 1, 0), (0, 1, 1))
    tree = with_method(Configuration().model_dump(), METHODS["structn2v"], mask=mask)
    form.setValue(Configuration.build(tree))
    assert grid.value() == {(-1, -1), (-1, 0), (1, 0), (1, 1)}
    form.findChild(QWidget, "batch_size").setValue(3)
    assert masks(form).struct_mask == mask
    form.method.setValue(METHODS["n2v"], None, None)
    assert masks(form).struct_mask is None
    assert len(form.value().data_config.transforms) == 2
    form.method.setValue(METHODS["structn2v"], None, None)
    assert masks(form).struct_mask == mask


def test_masked_cells_are_seen(qtbot, form, grid):
    def colour(y, x):
        return grid.grab().toImage().pixelColor(grid.cell(y, x).center()).name()

    colours = Colours.of("dark")
    assert colour(0, 2) == colours.curve
    assert colour(0, 3) == colour(2, 0) == colours.raised
    assert colour(0, 0) == colours.text
