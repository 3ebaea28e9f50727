from __future__ import annotations

from dataclasses import replace

import pytest

from napari_hush.widgets.dock.readiness import Readiness
from napari_hush.widgets.dock.view_state import DockState, resolve
from napari_hush.widgets.jobs.run_state import (
    Activity,
    Phase,
    RunState,
    begin,
    fail,
    finish,
    stop,
)

READY = DockState(layer="cells")
TRAINED = replace(READY, model="cells", uses_model=True)


def can_be_pressed(dock: DockState) -> set[str]:
    return {name for name, why in resolve(dock).blocked.items() if not why}


def during(activity: Activity, dock: DockState = TRAINED) -> DockState:
    return replace(dock, state=begin(activity, "cells", 0.0))


DENOISED = replace(
    TRAINED,
    has_result=True,
    can_save=True,
    state=finish(begin(Activity.DENOISING, "cells", 0.0), "Done."),
)


def test_at_rest():
    assert can_be_pressed(READY) == {"denoise_now", "train", "load_model"}
    whole = {"train", "train_on", "denoise", "save_model", "load_model", "denoise_now"}
    whole |= {"denoise_files"}
    assert can_be_pressed(TRAINED) == whole
    kept = replace(TRAINED, has_snapshots=True)
    assert can_be_pressed(kept) == {*whole, "snapshots"}


@pytest.mark.parametrize(
    ("activity", "way_out"),
    [
        (Activity.TRAINING, {"stop"}),
        (Activity.DENOISING, {"cancel"}),
        (Activity.SAVING, set()),
        (Activity.SAVING_IMAGE, {"cancel"}),
        (Activity.LOADING, set()),
    ],
)
def test_while_busy_only_the_way_out_is_open(activity, way_out):
    dock = during(activity)
    assert can_be_pressed(dock) == way_out
    assert can_be_pressed(replace(dock, state=stop(dock.state))) == set()


@pytest.mark.parametrize(
    ("dock", "lit"),
    [
        (READY, "denoise_now"),
        (during(Activity.TRAINING), "stop"),
        (TRAINED, "denoise_now"),
        (during(Activity.DENOISING), "cancel"),
        (during(Activity.SAVING_IMAGE), "cancel"),
        (DENOISED, "save_image"),
        (replace(DENOISED, can_save=False), "denoise_now"),
        (replace(DENOISED, lost_structure=True), "denoise_now"),
        (DockState(readiness=Readiness("no image", "no image")), ""),
    ],
)
def test_the_next_sensible_step_is_lit(dock, lit):
    view = resolve(dock)
    assert view.primary == lit
    assert not lit or not view.blocked[lit]


def test_every_grey_button_says_why():
    for dock in (
        READY,
        TRAINED,
        during(Activity.TRAINING),
        during(Activity.DENOISING),
    ):
        view = resolve(dock)
        for name, why in view.blocked.items():
            assert view.tooltips[name]
            assert not why or view.tooltips[name] == why


def test_the_status_says_what_stands_in_the_way_of_training():
    problem = replace(READY, readiness=Readiness("Axes do not fit.", axes_wrong=True))
    view = resolve(problem)
    assert (view.status, view.status_kind) == ("Axes do not fit.", "problem")


def test_a_failure_is_shown_until_the_inputs_change():
    failed = replace(READY, state=fail(begin(Activity.TRAINING, "cells", 0.0), "NaN."))
    view = resolve(failed)
    assert (view.status, view.status_kind) == ("NaN.", "failed")
    assert not view.blocked["train"]


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
        subject="cells",
        method="N2V",
        steps_before=1000,
        seconds_left=72.0,
    )
    status = resolve(replace(READY, state=state)).status
    status = status.replace("\N{NO-BREAK SPACE}", " ")
    assert status == "Training “cells” · N2V · step 1,003 of 1,040 · 70 s left"


def _training(**changes) -> DockState:
    state = replace(begin(Activity.TRAINING, "cells", 0.0), total=10, **changes)
    return replace(READY, state=state)


def test_a_training_can_be_paused_and_resumed():
    running, paused = _training(), _training(phase=Phase.PAUSED)
    assert {"pause", "stop"} <= can_be_pressed(running)
    assert {"pause", "stop"} <= can_be_pressed(paused)
    assert "pause" not in resolve(running).labels
    assert resolve(paused).labels["pause"] == "Resume"
    assert resolve(paused).primary == "pause"
    assert "Resume" in resolve(paused).tooltips["pause"]
    assert resolve(paused).status == "Training “cells” · paused after step 0"
    assert resolve(_training(pausing=True)).status.endswith("pausing after this step …")


def test_the_end_of_training_is_said_beside_denoising_that_goes_on():
    denoising = replace(begin(Activity.DENOISING, "cells", 0.0), done=2, total=9)
    status = resolve(replace(READY, state=denoising, ended="Stopped.")).status
    assert status == "Stopped.\nDenoising “cells” · tile 2 of 9"


def test_the_model_in_training_can_be_denoised_with_once_it_is_there():
    assert "wait" in resolve(_training()).blocked["denoise"]
    dock = replace(_training(), has_latest=True)
    assert "denoise" in can_be_pressed(dock)
    beside = replace(dock, concurrent=begin(Activity.DENOISING, "cells", 0.0))
    assert can_be_pressed(beside) == {"pause", "stop", "cancel"}
    assert len(resolve(beside).status.splitlines()) == 2
    over = replace(dock, concurrent=finish(begin(Activity.DENOISING, "a", 0.0), "Done."))
    assert resolve(over).status.endswith("Done.")
    failed = replace(dock, concurrent=fail(begin(Activity.DENOISING, "a", 0.0), "Bad."))
    assert resolve(failed).status_kind == "failed"


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("activity", list(Activity))
@pytest.mark.parametrize("concurrent", [False, True])
def test_what_is_lit_can_be_pressed_in_every_state(phase, activity, concurrent):
    state = replace(begin(activity, "cells", 0.0), phase=phase, total=3, message="Said.")
    beside = begin(Activity.DENOISING, "cells", 0.0) if concurrent else RunState()
    for model in ("", "model"):
        view = resolve(replace(READY, state=state, concurrent=beside, model=model))
        assert not view.primary or not view.blocked[view.primary]
        assert all(view.tooltips.values())


@pytest.mark.parametrize(
    ("after", "early", "label"),
    [
        (0.0, False, "Denoise now · ≈ 2 min"),
        (15.0, False, "Denoise now · ≈ 2 min"),
        (15.0, True, "Denoise now · up to 2 min"),
        (190.0, False, "Denoise now · ≈ 2 min + 3 min"),
    ],
)
def test_the_button_names_the_time_of_training_and_a_long_one_of_denoising(
    after, early, label
):
    times = {"seconds": 120.0, "seconds_after": after, "may_end_early": early}
    view = resolve(DockState(layer="cells", **times))
    assert view.labels["denoise_now"].replace("\N{NO-BREAK SPACE}", " ") == label


def test_a_refusal_of_training_and_of_the_first_look_is_said_once():
    failed = fail(begin(Activity.TRAINING, "cells", 0.0), "“cells” has NaN pixels.")
    dock = replace(READY, state=failed, concurrent=replace(failed))
    assert resolve(dock).status == "“cells” has NaN pixels."
    other = replace(dock, concurrent=fail(failed, "Too large."))
    assert resolve(other).status == "“cells” has NaN pixels.\nToo large."


def test_a_failure_is_not_said_beside_a_success_in_its_color():
    failed = fail(begin(Activity.TRAINING, "cells", 0.0), "Out of memory.")
    denoised = finish(begin(Activity.DENOISING, "cells", 0.0), "Denoised into “a”.")
    view = resolve(replace(READY, state=failed, concurrent=denoised))
    assert (view.status, view.status_kind) == ("Out of memory.", "failed")


@pytest.mark.parametrize(
    ("dock", "then"),
    [
        ({"continues": True}, "Denoise now trains the model further, Denoise uses it"),
        ({"uses_model": True}, "Denoise now uses it."),
        ({}, "Denoise now trains a new model on “cells”."),
    ],
)
def test_after_a_stop_the_status_says_what_denoise_now_does(dock, then):
    run = replace(begin(Activity.TRAINING, "cells", 0.0), done=5, stopped=True)
    stopped = finish(run, "Stopped after step 5.")
    status = resolve(replace(READY, state=stopped, model="m", **dock)).status
    assert status.startswith(f"Stopped after step 5. {then}")
    before = replace(stopped, done=0)  # the model is an earlier one
    assert resolve(replace(READY, state=before, **dock)).status == "Stopped after step 5."


def test_the_end_of_a_run_is_said_beside_what_stands_in_the_way_of_the_next():
    stopped = finish(begin(Activity.TRAINING, "other", 0.0), "Stopped after step 5.")
    flat = replace(READY, state=stopped, readiness=Readiness("“flat” is constant."))
    assert resolve(flat).status == "Stopped after step 5.\n“flat” is constant."
    assert resolve(flat).status_kind == "problem"


def test_what_two_runs_say_alike_is_said_once():
    both = begin(Activity.TRAINING, "cells", 0.0), begin(Activity.DENOISING, "cells", 0.0)
    dock = replace(READY, state=both[0], concurrent=both[1])
    assert resolve(dock).status == "Preparing “cells” …"


def test_no_time_is_left_once_all_tiles_are_done():
    run = replace(begin(Activity.DENOISING, "cells", 0.0), total=4, seconds_left=5.0)
    for done, left in ((3, True), (4, False)):
        status = resolve(replace(READY, state=replace(run, done=done))).status
        assert ("left" in status) == left


def test_a_loaded_model_of_other_intensities_is_said():
    loaded = finish(begin(Activity.LOADING, "m", 0.0), "Loaded the model “m”.")
    dock = replace(READY, state=loaded, model="m", other_unit=True)
    said = resolve(dock).status
    assert said.startswith("Loaded the model “m”. The model “m” was trained on other")
    assert said.endswith("Denoise now trains a new one.")


@pytest.mark.parametrize(("continues", "then"), [(True, "further"), (False, "a new one")])
def test_a_model_stopped_early_is_not_used_unasked(continues, then):
    view = resolve(replace(READY, model="m", unfinished=True, continues=continues))
    assert view.status.startswith("The model “m” was stopped early; Denoise now trains")
    assert view.status.endswith(f"{then}.")
    assert "further" in view.tooltips["denoise_now"] or not continues
