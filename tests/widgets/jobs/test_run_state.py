from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from napari_hush.events import (
    EarlyStopped,
    EpochDone,
    ImageStarted,
    Plateau,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingPaused,
    TrainingStarted,
)
from napari_hush.widgets.jobs.run_state import (
    Activity,
    Phase,
    RunState,
    advance,
    after_training,
    begin,
    fail,
    finish,
    pausing,
    stop,
)
from napari_hush.widgets.settings.labels import format_duration, roughly

STARTED = TrainingStarted(
    num_epochs=4,
    steps_per_epoch=10,
    num_patches=100,
    num_val_patches=10,
    device="cpu",
    precision="32",
)


def steps(first: int, count: int) -> StepsDone:
    return StepsDone(
        epoch=0,
        first_step=first,
        losses=(1.0,) * count,
        learning_rate=1e-3,
        patches_per_second=240.0,
        seconds_left=72.0,
    )


def test_training_counts_steps_and_epochs_from_one():
    state = begin(Activity.TRAINING, "cells", now=5.0)
    assert state.busy
    assert state.total == 0
    state = advance(state, STARTED, now=6.0)
    assert (state.done, state.total, state.epoch) == (0, 40, 1)
    state = advance(state, steps(0, 10), now=7.0)
    assert (state.done, state.epoch) == (10, 1)
    state = advance(state, steps(10, 1), now=8.0)
    assert (state.done, state.epoch) == (11, 2)


def _shown_times_left(durations, total):
    """Seconds left, as shown after each of these steps, in s."""
    state = begin(Activity.TRAINING, "cells", 0.0)
    state = advance(state, replace(STARTED, num_epochs=1, steps_per_epoch=total), 0.0)
    now, shown = 0.0, []
    for number, duration in enumerate(durations):
        now += duration
        state = advance(state, steps(number, 1), now)
        shown.append(state.seconds_left)
    return shown


def test_the_time_left_leaves_out_the_first_step():
    """It compiles and allocates: "51 h left" after one step of 7 s in 25,000."""
    shown = _shown_times_left([7.0, *[0.5] * 20], total=120)
    assert shown[:4] == [None] * 4
    assert shown[4:] == [pytest.approx(0.5 * (120 - n)) for n in range(5, 22)]


def test_the_time_left_follows_the_speed_without_jumps():
    """Other programs make the second half of the steps twice as slow."""
    shown = _shown_times_left([1.0] * 50 + [2.0] * 50, total=100)
    assert shown[49] == pytest.approx(50)
    assert max(abs(b - a) for a, b in pairwise(shown[5:])) < 6
    assert shown[89] > 12
    assert shown[-1] < 4


def test_a_pause_is_said_at_once():
    state = advance(begin(Activity.TRAINING, "cells", 0), STARTED, 0)
    assert pausing(state, wanted=True).pausing
    assert not pausing(pausing(state, wanted=True), wanted=False).pausing
    paused = advance(pausing(state, wanted=True), TrainingPaused(step=3), 1.0)
    assert (paused.phase, paused.pausing) == (Phase.PAUSED, False)
    assert not pausing(paused, wanted=False).pausing


def test_a_state_names_the_layer_and_the_method():
    state = replace(begin(Activity.TRAINING, "cells", 0), method="N2V")
    assert state.title == "Training “cells” · N2V"
    assert begin(Activity.DENOISING, "cells", 0).title == "Denoising “cells”"


def test_the_last_step_belongs_to_the_last_epoch():
    state = advance(begin(Activity.TRAINING, "cells", 0), STARTED, 0)
    assert advance(state, steps(0, 40), 1).epoch == 4


def test_tiles_give_the_time_left():
    state = advance(
        begin(Activity.DENOISING, "cells", 0.0), ImageStarted("", 0, 1, 10), 100.0
    )
    state = advance(state, TilesDone(4, 10, ()), 108.0)
    assert (state.done, state.total, state.seconds_left) == (4, 10, 12.0)


def test_stopping_is_busy_until_the_end():
    state = stop(begin(Activity.TRAINING, "cells", 0.0))
    assert state.busy
    assert not state.is_running(Activity.TRAINING)
    assert advance(state, TrainingDone(stopped=True, seconds=1.0), 1.0).stopped
    assert not finish(state, "…").busy
    assert fail(state, "…").phase is Phase.FAILED


def test_a_stop_after_the_last_step_does_not_count():
    state = stop(begin(Activity.TRAINING, "cells", 0.0))
    assert not advance(state, TrainingDone(stopped=False, seconds=1.0), 1.0).stopped


def test_other_events_change_nothing():
    state = RunState()
    assert advance(state, EpochDone(0, 10, 1.0, None), 0.0) == state


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "under 1 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (7290, "2 h 1 min"),
    ],
)
def test_in_words(seconds, words):
    assert format_duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == words


def test_training_that_ends_early_is_not_a_stop():
    """Denoise now goes on to denoise after it."""
    state = advance(begin(Activity.TRAINING, "cells", 0.0), STARTED, 0.0)
    state = advance(state, EarlyStopped(epoch=9, epochs=5), 1.0)
    state = advance(state, TrainingDone(stopped=True, seconds=1.0), 1.0)
    assert not state.stopped
    assert "until the loss leveled off" in after_training(state)


def test_a_plateau_is_a_hint():
    state = begin(Activity.TRAINING, "cells", 0.0)
    assert advance(state, Plateau(epoch=9, epochs=5), 1.0).hint == (
        "The loss has not changed for 5 epochs; you can stop now."
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1, "5 s"),
        (63, "65 s"),
        (89, "90 s"),
        (95, "2 min"),
        (4440, "74 min"),
        (7000, "2 h"),
    ],
)
def test_estimates_have_one_unit(seconds: float, text: str) -> None:
    assert roughly(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("done", "loss", "early"),
    [
        (1, "falls", True),
        (19, "falls", True),
        (20, "falls", False),
        (5, "has leveled off", False),
    ],
)
def test_a_stop_in_the_first_half_is_early_while_the_loss_falls(done, loss, early):
    state = advance(begin(Activity.TRAINING, "cells", 0.0), STARTED, 0.0)
    state = advance(state, steps(0, done), 1.0)
    if loss != "falls":
        state = advance(state, Plateau(epoch=0, epochs=5), 1.0)
    state = advance(stop(state), TrainingDone(stopped=True, seconds=1.0), 1.0)
    assert state.stopped_early == early
    said = after_training(state)
    assert (said == f"Stopped early, after step {done} of 40.") == early
    assert ("the model trained so far is ready" in said) != early
    assert not replace(state, done=200, total=5000).stopped_early
