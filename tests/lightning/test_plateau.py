"""Plateaus of the loss, and early stopping."""

import json

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.config import (
    TrainingConfig,
    create_care_configuration,
    create_n2v_configuration,
)
from napari_hush.config.training import PRESETS, may_end_early, until_good
from napari_hush.events import EarlyStopped, EpochDone, Plateau, TrainingDone, WarningIssued
from napari_hush.lightning.progress import LevelDetector, PlateauDetector


def reached(losses, epochs=3, tolerance=0.01, smoothing=0.0):
    watch = PlateauDetector(epochs, tolerance, smoothing)
    return [number for number, loss in enumerate(losses) if watch.is_reached(loss)]


def test_a_loss_that_falls_makes_no_plateau():
    assert reached([1 / n for n in range(1, 30)]) == []


def test_a_plateau_is_told_once():
    assert reached([3, 2, 1, 1, 1, 1, 1, 1, 1, 1]) == [5]


def test_another_one_is_told_after_the_loss_moved():
    assert reached([1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5]) == [3, 8]


def test_less_than_the_tolerance_is_no_fall():
    falling = [0.995**n for n in range(8)]
    assert reached(falling, tolerance=0.1) == [3]
    assert reached(falling, tolerance=0.001) == []


def test_a_single_outlier_is_smoothed_over():
    """One lucky epoch at once counts as lowest without smoothing, not with it."""
    losses = [1.0, 0.9, 0.65, *(0.8 - 0.02 * n for n in range(12))]
    assert reached(losses, epochs=4) == [6]
    assert reached(losses, epochs=4, smoothing=0.7) == []


def test_never():
    assert reached([1] * 50, epochs=0) == []


def level(losses, epochs=5, tolerance=0.002):
    detector = LevelDetector(epochs, tolerance)
    return next((n for n, loss in enumerate(losses, 1) if detector.is_reached(loss)), None)


def test_scatter_neither_ends_a_run_early_nor_keeps_it_going():
    """Losses as of Noise2Void: the noise floor and what remains to be learned."""
    rng = np.random.default_rng(0)
    epochs = np.arange(100)
    for _ in range(20):
        scatter = rng.normal(1, 0.001, 100)
        stopped = level((0.6 + 0.02 * np.exp(-epochs / 6)) * scatter)
        assert 0.02 * np.exp(-stopped / 6) < 0.003  # 0.5 % of the loss is left
        assert 10 <= stopped <= 30
    assert level(1 / (epochs + 1)) is None
    assert level([0.6] * 100) == 10
    assert level([0.6] * 100, epochs=0) is None


def test_a_resumed_run_stops_at_the_same_epoch():
    losses = [*np.linspace(1, 0.9, 8), *[0.9] * 20]
    detector = LevelDetector(4, 0.01)
    for loss in losses[:9]:
        assert not detector.is_reached(loss)
    again = LevelDetector(4, 0.01)
    again.restore(json.loads(json.dumps(detector.state())))
    assert [again.is_reached(loss) for loss in losses[9:]].index(True) + 10 == level(
        losses, 4, 0.01
    )


def test_until_good_stops_within_the_preset(noisy):
    """A loss that stands still ends Balanced after 8 of its 12 epochs."""
    config = standing_still()
    balanced = config.training_config.replace(**PRESETS[1].changes)
    training = until_good(balanced)
    assert (training.num_epochs, training.num_steps) == (12, 50)
    training = training.replace(num_steps=1)
    careamist, events = run(
        config.replace(training_config=training), noisy, train_target=2 * noisy
    )
    assert careamist.model.epochs == 8
    assert any(isinstance(event, EarlyStopped) for event in events)
    best = until_good(balanced.replace(**PRESETS[2].changes))
    assert (best.num_epochs, best.early_stopping_epochs) == (100, 10)
    assert may_end_early(best)
    assert not may_end_early(balanced)
    short = until_good(balanced.replace(num_steps=20))
    assert short.early_stopping_epochs == 10  # 200 steps


def standing_still(create=create_care_configuration, **training):
    """A learning rate so small that no loss moves."""
    config = create(
        "still",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=7,
        optimizer="SGD",
        optimizer_params={"lr": 1e-9},
        model_params={"num_channels_init": 8, "use_batch_norm": False},
    )
    training = {"final_model": "last", **training}
    return config.replace(training_config=config.training_config.replace(**training))


def run(config, noisy, **more):
    events = []
    careamist = CAREamist(config, on_progress=events.append)
    careamist.train(train_source=noisy, **more)
    return careamist, events


def test_a_run_tells_its_plateau_and_goes_on(noisy):
    config = standing_still(plateau_epochs=2, plateau_tolerance=0.5)
    careamist, events = run(config, noisy, train_target=2 * noisy)
    (plateau,) = (e for e in events if isinstance(e, Plateau))
    assert (plateau.epoch, plateau.epochs) == (2, 2)
    before = events[events.index(plateau) - 1]
    assert isinstance(before, EpochDone)
    assert before.epoch == 2
    assert careamist.model.epochs == 7
    assert not events[-1].stopped


def test_early_stopping_goes_by_validation(noisy):
    config = standing_still(early_stopping_epochs=2)
    careamist, events = run(config, noisy, train_target=2 * noisy)
    epochs = [e for e in events if isinstance(e, EpochDone)]
    (stopped,) = (e for e in events if isinstance(e, EarlyStopped))
    losses = [e.val_loss for e in epochs]
    assert min(losses[:-2]) <= min(losses[-2:])
    assert stopped.epoch == epochs[-1].epoch == careamist.model.epochs - 1 < 6
    assert isinstance(events[-1], TrainingDone)
    assert events[-1].stopped


def test_no_method_stops_early_unless_asked(noisy):
    assert TrainingConfig().early_stopping_epochs == 0
    careamist, events = run(standing_still(create_n2v_configuration), noisy)
    assert careamist.model.epochs == 7
    assert not any(isinstance(e, EarlyStopped) for e in events)


@pytest.mark.parametrize("field", ["plateau_epochs", "early_stopping_epochs"])
def test_counts_are_not_negative(field):
    with pytest.raises(ValueError, match=field):
        TrainingConfig(**{field: -1})


def test_a_loss_that_blew_up_is_reported_at_the_end(tiny_config, noisy):
    events = []
    config = tiny_config(
        num_epochs=2,
        num_steps=10,
        optimizer_params={"lr": 1.0},
        lr_scheduler="StepLR",
        lr_scheduler_params={"step_size": 9},
    )
    CAREamist(config, on_progress=events.append).train(train_source=noisy)
    (warning,) = [event for event in events if isinstance(event, WarningIssued)]
    assert warning.about == "loss"
    assert isinstance(events[-1], TrainingDone)
