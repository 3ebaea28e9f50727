from __future__ import annotations

import pytest

from napari_hush.config import Configuration, create_n2v_configuration
from napari_hush.errors import ConfigurationError
from napari_hush.widgets.settings_form import SettingsForm

CONFIGURATIONS = {
    "defaults": Configuration(),
    "steps": create_n2v_configuration("a", "array", "YX", [32, 32], 4, 7, num_steps=9),
    "volumes": create_n2v_configuration("b", "tiff", "TZYX", [16, 32, 32], 2),
    "channels": create_n2v_configuration("c", "array", "CYX", [32, 48], 2, n_channels=3),
    "hidden settings": create_n2v_configuration(
        "d",
        "custom",
        "YX",
        [64, 64],
        16,
        augmentations=[],
        roi_size=5,
        model_params={"depth": 3, "num_channels_init": 8},
        optimizer="SGD",
        optimizer_params={"lr": 0.1, "momentum": 0.9},
        lr_scheduler="StepLR",
        lr_scheduler_params={"step_size": 3},
        seed=7,
    ),
}


@pytest.fixture
def form(qtbot):
    widget = SettingsForm()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_round_trip(qtbot, form, name):
    with qtbot.waitSignal(form.valueChanged):
        form.setValue(CONFIGURATIONS[name])
    assert form.value() == CONFIGURATIONS[name]


def test_starts_with_the_defaults(form):
    assert form.value() == Configuration()


def test_the_network_follows_the_image(form):
    form.setImage("CZYX", 2)
    config = form.value()
    assert config.data_config.axes == "CZYX"
    assert len(config.data_config.patch_size) == 3
    assert config.algorithm_config.model.conv_dims == 3
    assert config.algorithm_config.model.in_channels == 2
    form.setImage("YX", None)
    assert form.value() == Configuration()


def test_what_cannot_be_is_said_in_a_sentence(qtbot, form):
    box = form.findChild(type(form._patch_size._yx), "patch_size_yx")
    box.setValue(65)
    with pytest.raises(ConfigurationError, match="patch_size along Y is 65"):
        form.value()
