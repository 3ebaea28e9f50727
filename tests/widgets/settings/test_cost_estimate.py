"""The expected cost of a run."""

from __future__ import annotations

import math

import pytest

from napari_hush.config import create_n2v_configuration
from napari_hush.config.training import PRESETS
from napari_hush.widgets.settings.cost_estimate import (
    FARTHEST,
    Estimate,
    Speed,
    absurdity,
    denoising_seconds,
    estimate,
    fitted_length,
    is_measured,
    measure_speed,
    note_run,
    steps_per_epoch,
)

SPEED = Speed(rate=1e9, overhead=0.02)
SIZES = {"YX": (512, 512), "ZYX": (16, 256, 256), "CYX": (3, 512, 512)}


def configure(axes="YX", filters=32, **changes):
    network = {"num_channels_init": filters, **changes.pop("model_params", {})}
    settings = {"patch_size": [16, 16], "batch_size": 4, "num_epochs": 3, "num_steps": 5}
    settings |= changes
    return create_n2v_configuration("a", "array", axes, **settings, model_params=network)


def without_validation(config):
    return config.replace(data_config=config.data_config.replace(max_val_patches=0))


def step_of(config, speed):
    """Expected seconds of a step, without validation."""
    training = config.training_config
    shape = SIZES[config.data_config.axes]
    cost = estimate(without_validation(config), [shape], speed)
    return cost.seconds / training.num_epochs / training.num_steps


MEASURED = (
    (configure(filters=8, patch_size=[8, 8], batch_size=1), 16),
    (configure(filters=8, patch_size=[16, 16], batch_size=4), 17),
    (configure(filters=8, patch_size=[64, 64], batch_size=2), 17),
    (configure(filters=8, patch_size=[32, 32], batch_size=16), 18),
    (configure(filters=8, patch_size=[64, 64], batch_size=16), 52),
    (configure(filters=16, patch_size=[64, 64], batch_size=16), 86),
    (configure(filters=32, patch_size=[64, 64], batch_size=16), 222),
    (configure(filters=8, patch_size=[64, 64], batch_size=64), 171),
    (configure(filters=64, patch_size=[64, 64], batch_size=16), 736),
    (configure(patch_size=[64, 64], batch_size=16, model_params={"depth": 1}), 136),
    (configure(patch_size=[64, 64], batch_size=16, model_params={"depth": 3}), 312),
    (configure(patch_size=[64, 64], batch_size=16, use_n2v2=True), 266),
    (configure("CYX", patch_size=[64, 64], batch_size=16, n_channels=3), 627),
    (configure("ZYX", patch_size=[16, 64, 64], batch_size=2), 1007),
    (configure("ZYX", filters=8, patch_size=[16, 64, 64], batch_size=4), 450),
)
"""Milliseconds of a step on one core of an AMD EPYC, measured with the trainer."""


@pytest.mark.parametrize(("config", "milliseconds"), MEASURED)
def test_one_rate_and_one_overhead_explain_steps_of_all_networks(config, milliseconds):
    reference, known = MEASURED[6]
    work = step_of(reference, Speed(1.0, 0.0))
    speed = Speed(work / (known / 1000 - 0.015), 0.015)
    assert 1 / 1.6 < 1000 * step_of(config, speed) / milliseconds < 1.6


@pytest.mark.parametrize(
    ("shapes", "val_shapes", "validated"),
    [
        ([(16, 32)], [], 0),  # 2 patches
        ([(160, 160)], [], 10),
        ([(1600, 1600)], [], 256),
        ([(160, 160)], [(32, 32)], 4),
        ([(160, 160)], [(1600, 1600)], 256),
    ],
)
def test_validation_is_a_third_of_the_work_per_patch(shapes, val_shapes, validated):
    config, speed = configure(), Speed(1e9, 0.0)
    patch = step_of(config, speed) / 4
    cost = estimate(config, shapes, speed, val_shapes)
    assert cost.seconds == pytest.approx(3 * (5 * 4 + validated / 3) * patch)


def test_one_pass_holds_as_many_steps_as_windows_fit():
    config = configure(num_steps=None)
    assert steps_per_epoch(config, [(64, 64)]) == 4
    assert steps_per_epoch(config, [(64, 64), (16, 20)]) == 5


@pytest.mark.parametrize(
    "more",
    [
        {"patch_size": [32, 32]},
        {"batch_size": 8},
        {"model_params": {"depth": 3}},
        {"num_epochs": 4},
        {"use_n2v2": True},
    ],
)
def test_more_work_takes_longer_at_the_same_speed(more):
    small = estimate(configure(), [(64, 64)], SPEED).seconds
    assert estimate(configure(**more), [(64, 64)], SPEED).seconds > small


# ---- What runs teach


@pytest.mark.parametrize("factor", [3.0, 1.5, 0.3], ids=["slower", "a bit", "faster"])
def test_a_run_corrects_the_estimate_up_and_down(factor):
    config = configure()
    SPEED.save("auto")
    expected = step_of(config, Speed.load("auto"))
    note_run(config, Speed.load("auto"), expected, factor * expected)
    assert step_of(config, Speed.load("auto")) == pytest.approx(factor * expected)
    note_run(
        config, Speed.load("auto"), factor * expected, expected
    )  # the next one takes what was expected
    halfway = math.sqrt(factor) * expected
    assert step_of(config, Speed.load("auto")) == pytest.approx(halfway)


def test_kinds_of_networks_are_corrected_each_for_itself():
    small, default = configure(filters=8), configure()
    SPEED.save("auto")
    note_run(small, Speed.load("auto"), 1.0, 3.0)
    note_run(default, Speed.load("auto"), 3.0, 1.0)
    speed = Speed.load("auto")
    assert (speed.ratio(small), speed.ratio(default)) == (3.0, 1.0)
    assert speed.ratio(configure(filters=8, patch_size=[64, 64])) == 3.0
    assert speed.ratio(configure("ZYX", patch_size=[8, 16, 16])) == 2.0


def test_a_run_on_a_busy_machine_does_not_spoil_the_estimates():
    SPEED.save("auto")
    note_run(configure(), Speed.load("auto"), 1.0, 50.0)
    assert Speed.load("auto").ratio(configure()) == FARTHEST


# ---- Presets


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
@pytest.mark.parametrize("faster", [0.001, 0.3, 1, 3, 1000])
def test_a_preset_is_as_long_as_it_says_within_its_steps(preset, faster):
    config = configure(filters=32, patch_size=[64, 64], batch_size=16)
    speed = Speed(1e10 * faster, 0.01 / faster)
    length = fitted_length(preset, config, [(512, 512)], speed)
    steps = math.prod(length.values())
    assert preset.fewest <= steps <= preset.most
    training = config.training_config.replace(**length)
    seconds = estimate(
        config.replace(training_config=training), [(512, 512)], speed
    ).seconds
    if preset.fewest < steps < preset.most:
        assert 0.8 * preset.seconds < seconds <= preset.seconds
    elif steps == preset.fewest:
        assert seconds > 0.8 * preset.seconds
    else:
        assert seconds <= preset.seconds


# ---- Before anything has run


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda:1", "mps"])
def test_a_device_has_a_time_before_it_is_measured(device, monkeypatch, tmp_path):
    monkeypatch.setenv("HUSH_CONFIG_DIR", str(tmp_path))
    assert not is_measured(device)
    config = configure(filters=32, patch_size=[64, 64], batch_size=16, num_steps=50)
    config = config.replace(
        training_config=config.training_config.replace(**PRESETS[1].changes)
    )
    seconds = estimate(config, [(512, 512)], Speed.load(device)).seconds
    assert 3 < seconds < 600  # 1,000 steps: a minute or two without a GPU
    SPEED.save(device)
    assert is_measured(device)
    assert Speed.load(device) == SPEED


def test_the_measured_speed_is_positive():
    speed = measure_speed(configure(filters=8))
    assert speed.rate > 0
    assert 0 < speed.overhead < 10


# ---- Denoising


def test_denoising_grows_with_the_image_and_takes_less_than_training_on_it():
    speed = Speed(1e9, 0.0)
    config = configure(struct_n2v_axis="horizontal", struct_n2v_span=5)
    small, large = (denoising_seconds(config, "YX", (n, n), speed) for n in (512, 2048))
    assert large == pytest.approx(16 * small, rel=0.01)
    one_pass = 512 * 512 / (4 * 16 * 16) * step_of(config, speed)
    assert one_pass / 3 < small < one_pass / 2
    for axes in ("TYX", "ZYX"):  # a 2D model denoises stacks plane by plane
        stack = denoising_seconds(config, axes, (9, 512, 512), speed)
        assert stack == pytest.approx(9 * small)


def test_the_share_of_the_built_in_denoiser_takes_time():
    config, speed = configure(), Speed(1e9, 0.0)
    alone = configure(struct_n2v_axis="horizontal", struct_n2v_span=5)
    both, one = (denoising_seconds(c, "YX", (512, 512), speed) for c in (config, alone))
    assert 2 < both / one < 2.6  # the same network once more, on wider tiles
    volume = configure("ZYX", patch_size=[8, 16, 16])
    assert not volume.algorithm_config.takes_built_in_share


def test_a_run_of_days_or_of_more_memory_than_there_is_is_called_absurd():
    assert absurdity(Estimate(4893 * 3600, 481.0)) == (
        "Training would take 4,893 hours and 481 GB of memory; check the axes and the "
        "settings."
    )
    assert absurdity(Estimate(60, 1e6))
    assert not absurdity(Estimate(36 * 3600, 0.1))


def test_a_benchmark_beside_a_run_does_not_spoil_its_correction():
    config, table = configure(), Speed.load("auto")
    expected = step_of(config, table)
    Speed(table.rate / 1000, 1000 * table.overhead).save("auto")  # on a busy machine
    note_run(config, table, expected, 2 * expected)
    assert step_of(config, Speed.load("auto")) == pytest.approx(2 * expected)
