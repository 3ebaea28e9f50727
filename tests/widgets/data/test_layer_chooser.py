from __future__ import annotations

import numpy as np
import pytest
from napari.components import LayerList
from napari.layers import Image, Labels

from napari_hush.widgets.data.layer_field import LayerChooser


@pytest.fixture
def layers():
    return LayerList()


@pytest.fixture
def chooser(qtbot, layers):
    widget = LayerChooser(layers)
    qtbot.addWidget(widget)
    return widget


def image(name: str) -> Image:
    return Image(np.zeros((8, 8)), name=name)


def names(chooser: LayerChooser) -> list[str]:
    return [chooser.itemText(index) for index in range(chooser.count())]


def test_follows_added_and_removed_layers(qtbot, layers, chooser):
    assert chooser.value() is None
    cells = image("cells")
    with qtbot.waitSignal(chooser.valueChanged, check_params_cb=lambda new: new is cells):
        layers.append(cells)
    layers.append(image("nuclei"))
    layers.append(Labels(np.zeros((8, 8), int), name="labels"))
    assert names(chooser) == ["cells", "nuclei"]
    assert chooser.value() is cells
    with qtbot.waitSignal(chooser.valueChanged):
        layers.remove(cells)
    assert names(chooser) == ["nuclei"]
    with qtbot.waitSignal(chooser.valueChanged, check_params_cb=lambda new: new is None):
        layers.clear()
    assert names(chooser) == []


def test_keeps_the_choice_through_renaming_and_reordering(qtbot, layers, chooser):
    cells, nuclei = image("cells"), image("nuclei")
    layers.extend([cells, nuclei])
    chooser.setValue(nuclei)
    with qtbot.assertNotEmitted(chooser.valueChanged):
        nuclei.name = "DAPI"
        layers.move(1, 0)
    assert names(chooser) == ["DAPI", "cells"]
    assert chooser.value() is nuclei
    assert chooser.currentText() == "DAPI"


def test_choosing_by_hand(qtbot, layers, chooser):
    cells, nuclei = image("cells"), image("nuclei")
    layers.extend([cells, nuclei])
    with qtbot.waitSignal(chooser.valueChanged, check_params_cb=lambda new: new is nuclei):
        chooser.setCurrentIndex(1)
    assert chooser.value() is nuclei


def test_says_what_of_the_chosen_layer_was_edited_and_only_of_that(qtbot, layers, chooser):
    cells, nuclei = image("cells"), image("nuclei")
    layers.extend([cells, nuclei])
    with qtbot.waitSignal(chooser.edited, check_params_cb=lambda what: what == "scale"):
        cells.scale = (2, 2)
    chooser.setValue(nuclei)
    with qtbot.assertNotEmitted(chooser.edited):
        cells.scale = (3, 3)
