from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_hush.widgets.dock.readiness import check_inputs
from napari_hush.widgets.settings.settings_form import SettingsForm


@pytest.fixture
def settings(qtbot):
    widget = SettingsForm()
    qtbot.addWidget(widget)
    return widget


def test_nothing_stands_in_the_way(settings):
    readiness = check_inputs(Image(np.zeros((64, 72))), "YX", settings, "64 × 72 px")
    assert (readiness.training, readiness.denoising) == ("", "")
    assert readiness.facts == "64 × 72 px"


def test_no_layer(settings):
    readiness = check_inputs(None, "YX", settings)
    assert "image" in readiness.training
    assert readiness.denoising


@pytest.mark.parametrize("axes", ["", "Y", "ZYX", "YQ", "YY"])
def test_axes_that_do_not_fit(settings, axes):
    readiness = check_inputs(Image(np.zeros((64, 72))), axes, settings)
    assert readiness.axes_wrong
    assert readiness.training.endswith(".")
    assert readiness.denoising == readiness.training


def test_a_patch_that_cannot_be_halved(settings):
    settings.findChild(object, "patch_size_yx").setValue(50)
    readiness = check_inputs(Image(np.zeros((64, 72))), "YX", settings)
    assert readiness.training.startswith("Patch_size along Y is 50")


def test_channels_are_counted(settings):
    check_inputs(Image(np.zeros((2, 64, 72))), "CYX", settings)
    assert settings.value().algorithm_config.model.in_channels == 2
