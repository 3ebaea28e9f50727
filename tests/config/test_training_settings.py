"""Settings of targets, optimizer, schedule and trainer, checked when they are given."""

import inspect
from datetime import timedelta

import numpy as np
import pytest
import torch

from napari_hush.config import (
    BackgroundConfig,
    Configuration,
    DataConfig,
    InferenceConfig,
    OptimizerConfig,
    TrainingConfig,
    UNetConfig,
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.dataset.background import MEASURES
from napari_hush.errors import ConfigurationError

COMMON = {
    "experiment_name": "cells",
    "data_type": "array",
    "axes": "YX",
    "patch_size": [16, 16],
    "batch_size": 2,
}


def n2v(**more):
    return create_n2v_configuration(**{**COMMON, **more})


def care(**more):
    return create_care_configuration(**{**COMMON, **more})


@pytest.mark.parametrize(
    ("axes", "channels", "counts"),
    [
        (("CYX", "YX"), {"n_channels_in": 3}, (3, 1)),
        (("YX", "CYX"), {"n_channels_out": 2}, (1, 2)),
        (("CYX", "YXC"), {"n_channels_in": 3}, (3, 3)),
        (("SCYX", "CYX"), {"n_channels_in": 2, "n_channels_out": 4}, (2, 4)),
        (("CYX", "CYX"), {"channels": [0, 2], "target_channels": [1]}, (2, 1)),
    ],
)
@pytest.mark.parametrize("create", [create_care_configuration, create_n2n_configuration])
def test_targets_have_axes_of_their_own(create, axes, channels, counts):
    config = create(**{**COMMON, "axes": axes[0]}, target_axes=axes[1], **channels)
    network = config.algorithm_config.model
    assert config.data_config.target_axes == axes[1]
    assert (network.in_channels, network.num_classes) == counts
    assert network.independent_channels == (counts[0] == counts[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"target_axes": "ZYX"},
        {"target_axes": "YYX"},
        {"target_axes": "CYX"},  # without their number of channels
        {"target_axes": "YX", "n_channels_out": 2},
        {"target_axes": "YX", "target_channels": [0, 1]},
    ],
)
def test_target_axes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        care(**wrong)


def test_arguments_of_optimizers_are_those_of_torch():
    for name in ("Adam", "AdamW", "Adamax", "SGD"):
        known = inspect.signature(getattr(torch.optim, name)).parameters
        for argument in known.keys() - {"params", "lr"}:
            assert OptimizerConfig(name=name, parameters={argument: None})
        with pytest.raises(ConfigurationError, match="no argument 'momentun'"):
            n2v(optimizer=name, optimizer_params={"momentun": 0.9})
    with pytest.raises(ValueError, match="learning_rate is a setting"):
        OptimizerConfig(parameters={"lr": 0.1})


def test_arguments_of_schedules():
    given = {"threshold": 0.01, "threshold_mode": "abs", "cooldown": 3, "min_lr": 1e-5}
    config = n2v(lr_scheduler="ReduceLROnPlateau", lr_scheduler_params=given | {"eps": 0})
    assert config.algorithm_config.lr_scheduler.model_dump().items() >= given.items()
    with_mode = given | {"eps": 0, "mode": "min"}
    assert config == n2v(lr_scheduler="ReduceLROnPlateau", lr_scheduler_params=with_mode)
    with pytest.raises(ConfigurationError, match="follows a loss"):
        n2v(lr_scheduler="ReduceLROnPlateau", lr_scheduler_params={"mode": "max"})
    for name, unknown in (("StepLR", "last_epoch"), ("CosineAnnealingLR", "cooldown")):
        with pytest.raises(ConfigurationError, match=unknown):
            n2v(lr_scheduler=name, lr_scheduler_params={unknown: 2})


def test_new_settings_leave_hashes_of_models_as_they_are():
    text = Configuration(algorithm_config={"lr_scheduler": {"name": "ReduceLROnPlateau"}})
    for name in ("warmup_steps", "min_lr", "target_axes", "max_time", "accumulate"):
        assert name not in text.stable_json()
    assert "warmup_steps" in n2v(lr_scheduler_params={"warmup_steps": 5}).stable_json()


@pytest.mark.parametrize(
    "time", ["01:02:03:04", timedelta(1, 4, hours=2, minutes=3), 93784, {"seconds": 93784}]
)
def test_times_are_seconds(time):
    assert TrainingConfig(max_time=time).max_time == 93784


@pytest.mark.parametrize(
    ("steps", "whole", "number"),
    [
        (None, 9, 9),
        (7, 9, 7),
        (0.5, 9, 4),
        (1.0, 9, 9),
        (0.01, 9, 1),
        (1, 9, 1),
        (50.0, 9, 50),
    ],
)
def test_steps_are_a_number_or_a_fraction(steps, whole, number):
    training = n2v(num_steps=steps).training_config
    assert training.steps_of(whole) == number
    again = TrainingConfig.model_validate_json(training.model_dump_json())
    assert again.steps_of(whole) == number
    for wrong in (0, -1, 1.5, 0.0):
        with pytest.raises(ConfigurationError):
            n2v(num_steps=wrong)


def test_arguments_of_lightnings_trainer(caplog):
    params = {
        "max_epochs": 7,
        "limit_train_batches": 0.5,
        "gradient_clip_val": 0.8,
        "accumulate_grad_batches": 4,
        "check_val_every_n_epoch": 3,
        "max_time": "00:01:00:00",
        "accelerator": "gpu",
        "devices": "auto",
        "precision": "bf16-mixed",
        "logger": False,
        "ema_decay": 0.9,  # a setting of ours
        "val_check_interval": 1.0,
        "log_every_n_steps": 10,
    }
    training = care(trainer_params=params).training_config
    assert training == TrainingConfig(
        num_epochs=7,
        num_steps=0.5,
        gradient_clip_norm=0.8,
        accumulate_grad_batches=4,
        check_val_every_n_epoch=3,
        max_time=3600,
        device="cuda",
        precision="bf16",
        logger="none",
        ema_decay=0.9,
    )
    assert "change no result: log_every_n_steps." in caplog.text
    explicit = care(trainer_params=params, num_epochs=9, num_steps=30, logger="csv")
    assert explicit.training_config.num_epochs == 9
    assert explicit.training_config.num_steps == 30
    assert explicit.training_config.logger == "csv"
    assert n2v(num_epochs=None, trainer_params={}).training_config == TrainingConfig()


@pytest.mark.parametrize(
    "params",
    [
        {"val_check_interval": 0.25},
        {"val_check_interval": 1},
        {"limit_val_batches": 1},
        {"gradient_clip_algorithm": "value"},
        {"detect_anomaly": True},
        {"min_epochs": 5},
        {"precision": "16-mixed"},
        {"max_epoch": 3},
        {"max_time": "an hour"},
        [("max_epochs", 3)],
    ],
)
def test_trainer_arguments_without_an_equivalent_are_refused(params):
    with pytest.raises(ConfigurationError):
        n2v(trainer_params=params)


def test_data_settings_are_arguments():
    background = BackgroundConfig(measure="max", threshold=5)
    config = care(normalization="quantile", num_workers=2, background=background)
    assert config.data_config == DataConfig(
        patch_size=(16, 16),
        batch_size=2,
        normalization={"name": "quantile"},
        num_workers=2,
        background=background,
    )
    scaled = n2v(normalization={"name": "quantile", "upper": 0.9})
    assert scaled.data_config.normalization.upper == 0.9
    assert MEASURES["max"](np.arange(6.0).reshape(2, 3)) == 5


def test_a_final_activation_is_none():
    for none in ("None", None):
        assert UNetConfig(final_activation=none) == UNetConfig()
    for create in (n2v, care):
        with pytest.raises(ConfigurationError, match="final_activation is 'ReLU'"):
            create(model_params={"final_activation": "ReLU"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"patch_size": 64},
        {"patch_size": "64"},
        {"patch_size": None},
        {"axes": None},
        {"axes": ["Y", "X"]},
        {"axes": "CYX", "channels": 1},
        {"axes": "CYX", "n_channels": 0},
        {"model_params": [3]},
        {"optimizer_params": "lr"},
        {"augmentations": "x_flip"},
        {"axes": "ZYX", "patch_size": ["a", 16, 16]},
        {"normalization": 3},
    ],
)
def test_values_of_another_kind_are_refused_in_a_sentence(wrong):
    with pytest.raises(ConfigurationError):
        n2v(**wrong)


def test_one_number_is_no_tile_size():
    with pytest.raises(ConfigurationError, match=r"such as \[32, 32\]"):
        InferenceConfig.build({"tile_size": 32, "image_means": [0], "image_stds": [1]})


def test_a_precision_may_be_a_number():
    """YAML reads 32 without quotes as one."""
    assert TrainingConfig(precision=32).precision == "32"
    values = {"image_means": [0], "image_stds": [1]}
    assert InferenceConfig.build({"precision": 32, **values}).precision == "32"
    for wrong in (16, True):
        with pytest.raises(ConfigurationError, match="'auto', '32' or 'bf16'"):
            InferenceConfig.build({"precision": wrong, **values})
