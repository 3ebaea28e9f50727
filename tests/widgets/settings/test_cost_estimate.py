"""What a run is expected to cost."""

from __future__ import annotations

import pytest

from napari_hush.config import create_n2v_configuration
from napari_hush.widgets.settings.cost_estimate import (
    estimate,
    measure_speed,
    speed_of_run,
    steps_per_epoch,
)


def configure(**changes):
    settings = {"patch_size": [16, 16], "batch_size": 4, "num_epochs": 3, "num_steps": 5}
    return create_n2v_configuration("a", "array", "YX", **(settings | changes))


def test_a_run_at_the_speed_of_the_last_one_takes_what_that_took():
    config = configure()
    speed = speed_of_run(config, patches_per_second=20.0)
    cost = estimate(config, [(16, 32)], speed)  # 2 patches: none for validation
    assert cost.seconds == pytest.approx(3 * 5 * 4 / 20)


@pytest.mark.parametrize(
    ("shapes", "val_shapes", "validated"),
    [
        ([(160, 160)], [], 10),
        ([(1600, 1600)], [], 256),
        ([(160, 160)], [(32, 32)], 4),
        ([(160, 160)], [(1600, 1600)], 256),
    ],
)
def test_validation_is_a_third_of_the_work_per_patch(shapes, val_shapes, validated):
    config = configure()
    speed = speed_of_run(config, patches_per_second=20.0)
    cost = estimate(config, shapes, speed, val_shapes)
    assert cost.seconds == pytest.approx(3 * (5 * 4 + validated / 3) / 20)


def test_one_pass_holds_as_many_steps_as_windows_fit():
    config = configure(num_steps=None)
    assert steps_per_epoch(config, [(64, 64)]) == 4
    assert steps_per_epoch(config, [(64, 64), (16, 20)]) == 5


@pytest.mark.parametrize(
    "more",
    [{"patch_size": [32, 32]}, {"batch_size": 8}, {"model_params": {"depth": 3}}],
)
def test_more_work_takes_longer_at_the_same_speed(more):
    speed = 1e6
    small = estimate(configure(), [(64, 64)], speed).seconds
    assert estimate(configure(**more), [(64, 64)], speed).seconds > small


def test_an_unknown_device_has_no_time():
    assert estimate(configure(), [(64, 64)], None).seconds is None


def test_the_measured_speed_is_a_positive_number():
    assert measure_speed(configure(model_params={"num_channels_init": 8})) > 0
