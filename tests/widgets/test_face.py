from __future__ import annotations

from dataclasses import replace

import pytest

from napari_hush.widgets.face import Situation, resolve
from napari_hush.widgets.readiness import Readiness
from napari_hush.widgets.run_state import (
    Activity,
    Phase,
    RunState,
    begin,
    fail,
    finish,
    stop,
)

READY = Situation(layer="cells")
TRAINED = replace(READY, model="cells")


def can_be_pressed(situation: Situation) -> set[str]:
    return {name for name, why in resolve(situation).blocked.items() if not why}


def during(activity: Activity, situation: Situation = TRAINED) -> Situation:
    return replace(situation, state=begin(activity, "cells", 0.0))


def test_at_rest():
    assert can_be_pressed(READY) == {"train", "load_model"}
    assert can_be_pressed(TRAINED) == {"train", "denoise", "save_model", "load_model"}


@pytest.mark.parametrize(
    ("activity", "way_out"),
    [
        (Activity.TRAINING, {"stop"}),
        (Activity.DENOISING, {"cancel"}),
        (Activity.SAVING, set()),
        (Activity.LOADING, set()),
    ],
)
def test_while_busy_only_the_way_out_is_open(activity, way_out):
    situation = during(activity)
    assert can_be_pressed(situation) == way_out
    assert can_be_pressed(replace(situation, state=stop(situation.state))) == set()


@pytest.mark.parametrize(
    ("situation", "lit"),
    [
        (READY, "train"),
        (during(Activity.TRAINING), "stop"),
        (TRAINED, "denoise"),
        (during(Activity.DENOISING), "cancel"),
        (
            replace(TRAINED, state=finish(begin(Activity.DENOISING, "", 0), "")),
            "save_model",
        ),
        (Situation(readiness=Readiness("no image", "no image")), ""),
    ],
)
def test_the_next_sensible_step_is_lit(situation, lit):
    face = resolve(situation)
    assert face.primary == lit
    assert not lit or not face.blocked[lit]


def test_every_grey_button_says_why():
    for situation in (
        READY,
        TRAINED,
        during(Activity.TRAINING),
        during(Activity.DENOISING),
    ):
        face = resolve(situation)
        for name, why in face.blocked.items():
            assert face.tooltips[name]
            assert not why or face.tooltips[name] == why


def test_the_status_says_what_stands_in_the_way_of_training():
    problem = replace(READY, readiness=Readiness("Axes do not fit.", axes_wrong=True))
    face = resolve(problem)
    assert (face.status, face.status_kind) == ("Axes do not fit.", "problem")


def test_a_failure_is_told_until_the_inputs_change():
    failed = replace(READY, state=fail(begin(Activity.TRAINING, "cells", 0.0), "NaN."))
    face = resolve(failed)
    assert (face.status, face.status_kind) == ("NaN.", "failed")
    assert not face.blocked["train"]


def test_settings_rest_while_training():
    assert not resolve(during(Activity.TRAINING)).settings_enabled
    assert resolve(during(Activity.DENOISING)).settings_enabled


def test_progress_is_empty_while_the_length_is_unknown():
    assert resolve(READY).progress == (0, 1)
    assert resolve(during(Activity.TRAINING)).progress == (0, 1)
    running = RunState(Phase.RUNNING, Activity.TRAINING, done=3, total=40)
    assert resolve(replace(READY, state=running)).progress == (3, 40)
    assert resolve(replace(READY, state=finish(running, ""))).progress == (1, 1)


def test_running_text_has_units():
    state = RunState(
        Phase.RUNNING,
        Activity.TRAINING,
        done=3,
        total=40,
        epoch=7,
        num_epochs=20,
        patches_per_second=240.4,
        seconds_left=72.0,
    )
    status = resolve(replace(READY, state=state)).status
    status = status.replace("\N{NO-BREAK SPACE}", " ")
    assert status == "Epoch 7 of 20 · 240 patches/s · 1 min 12 s left"
