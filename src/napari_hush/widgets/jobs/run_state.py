"""The state of a run as a frozen value, and pure functions that advance it. No Qt here.

`dock.view_state` turns a state into what the controls show.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from enum import Enum

from napari_hush.errors import counted
from napari_hush.events import (
    BatchSplit,
    BestRestored,
    EarlyStopped,
    Event,
    ImageStarted,
    Plateau,
    PreviewFailed,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingPaused,
    TrainingResumed,
    TrainingStarted,
)
from napari_hush.widgets.jobs.task_events import ProcessDied
from napari_hush.widgets.settings.labels import format_duration

SURE_SECONDS = 2.0
"""Seconds of steps or tiles after which the time left can be estimated."""
SMOOTH_SECONDS = 5.0
"""Seconds in which the time left that is shown adapts to a new estimate."""


FEW = 200
"""Steps that most of the improvement takes (docs/dev/performance.md, "Quality")."""


class Phase(Enum):
    """Phase of a run."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"


class Activity(Enum):
    """The activity of a run."""

    TRAINING = "training"
    DENOISING = "denoising"
    SAVING = "saving"
    SAVING_IMAGE = "saving the image"
    LOADING = "loading"
    CHECKING = "checking"


@dataclass(frozen=True)
class RunState:
    """State of a run."""

    phase: Phase = Phase.IDLE
    activity: Activity = Activity.TRAINING
    """The activity that runs, or ran last; meaningless while idle."""
    subject: str = ""
    """Name of the layer or file, as it was at the start."""
    method: str = ""
    """Label of the method that is trained."""
    started: float = 0.0
    """Clock (s) at the start of the run, later of its tiles."""
    done: int = 0
    """Optimizer steps or tiles done in this run."""
    total: int = 0
    """Optimizer steps or tiles of the whole run; 0 until they are planned."""
    epoch: int = 0
    """Current epoch, from 1 in this run."""
    num_epochs: int = 0
    steps_before: int = 0
    """Optimizer steps of the model before this run."""
    seconds_left: float | None = None
    """Estimate for the rest of the run, smoothed; None if unknown."""
    updated: float = 0.0
    """Clock (s) at the last change of `seconds_left`."""
    base: tuple[float, int] | None = None
    """Clock (s) and steps done at the first report since the start or a pause."""
    pausing: bool = False
    """Whether it pauses after the current step."""
    seconds_per_step: float = 0.0
    """Mean time of a step, validation included, or of a tile; 0 if unknown."""
    device: str = ""
    """Torch device."""
    stopped: bool = False
    """Whether the run was stopped, by the user or because its process died."""
    levelled: bool = False
    """Whether training ended early because the loss had levelled off."""
    plateau: bool = False
    """Whether the loss had levelled off once."""
    hint: str = ""
    """A sentence to show while it runs."""
    message: str = ""
    """A sentence on how it ended."""

    @property
    def busy(self) -> bool:
        """Whether a task runs, so that no other can start."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED, Phase.STOPPING)

    @property
    def stopped_early(self) -> bool:
        """Whether training was stopped in its first half, with a loss that still fell.

        And after few steps.
        """
        early = is_early(self.steps_before + self.done, self.total)
        return self.stopped and early and not self.plateau

    @property
    def title(self) -> str:
        """Activity, subject and method, e.g. ``"Training “cells” · N2V"``."""
        words = f"{self.activity.value.capitalize()} “{self.subject}”"
        return f"{words} · {self.method}" if self.method else words

    def is_running(self, activity: Activity) -> bool:
        """Whether `activity` runs and has not been stopped."""
        return self.activity is activity and self.phase in (Phase.RUNNING, Phase.PAUSED)


def is_early(steps: int, total: float) -> bool:
    """Whether `steps` are few, and less than half of `total`."""
    return steps < FEW and 2 * steps < total


def begin(activity: Activity, subject: str, now: float) -> RunState:
    """State at the start, at `now` (s)."""
    return RunState(Phase.RUNNING, activity, subject, started=now)


def advance(state: RunState, event: Event, now: float) -> RunState:
    """State after `event`, which arrived at `now` (s)."""
    match event:
        case TrainingStarted():
            before = event.first_step
            done = 0 if event.resumed_step is None else event.resumed_step - before
            return replace(
                state,
                done=done,
                total=event.num_epochs * event.steps_per_epoch,
                epoch=1 + done // event.steps_per_epoch,
                num_epochs=event.num_epochs,
                steps_before=before,
                device=event.device,
            )
        case StepsDone():
            done = event.first_step + len(event.losses) - state.steps_before
            per_epoch = max(1, state.total // max(1, state.num_epochs))
            base = state.base or (now, done)
            return replace(
                _with_time_left(state, base, done, now),
                base=base,
                done=done,
                epoch=max(1, -(-done // per_epoch)),
            )
        case TrainingPaused() if state.phase is Phase.RUNNING:
            return replace(
                state, phase=Phase.PAUSED, seconds_left=None, pausing=False, base=None
            )
        case TrainingResumed() if state.phase is Phase.PAUSED:
            return replace(state, phase=Phase.RUNNING)
        case Plateau():
            still = counted(event.epochs, "epoch")
            hint = f"The loss has not changed for {still}; you can stop now."
            return replace(state, hint=hint, plateau=True)
        case BatchSplit():
            hint = (
                f"Out of memory with {counted(event.old, 'patch')} at once; training "
                f"continues with {event.new} at once and the same result."
            )
            return replace(state, hint=hint)
        case EarlyStopped():
            return replace(state, levelled=True)
        case BestRestored():
            number = f"epoch {event.epoch + 1}"
            return replace(state, hint=f"The model of {number}, the best one, is kept.")
        case PreviewFailed():
            return replace(state, hint=f"No preview: {event.reason}")
        case ProcessDied():
            return replace(state, stopped=True, hint=event.reason)
        case TrainingDone():
            return replace(state, stopped=event.stopped and not state.levelled)
        case ImageStarted():
            return replace(state, done=0, total=event.num_tiles, started=now)
        case TilesDone():
            state = replace(state, total=event.num_tiles)
            state = _with_time_left(state, (state.started, 0), event.done, now)
            return replace(state, done=event.done)
        case _:
            return state


def _with_time_left(
    state: RunState, base: tuple[float, int], done: int, now: float
) -> RunState:
    """`state` with the time left, if enough is `done` since `base` to know it.

    The speed is the mean since `base`, and new estimates are approached in some seconds.
    """
    seconds, count = now - base[0], done - base[1]
    if not count:
        return state
    each = seconds / count
    state = replace(state, seconds_per_step=each)
    if seconds < SURE_SECONDS:
        return state
    left = each * max(0, state.total - done)
    if state.seconds_left is not None:
        passed = now - state.updated
        expected = max(0.0, state.seconds_left - passed)
        left = expected + (1 - math.exp(-passed / SMOOTH_SECONDS)) * (left - expected)
    return replace(state, seconds_left=left, updated=now)


def pausing(state: RunState, *, wanted: bool) -> RunState:
    """State after Pause, until the current step is done, or after Resume."""
    return replace(state, pausing=wanted and state.phase is Phase.RUNNING)


def stop(state: RunState) -> RunState:
    """State after Stop or Cancel."""
    return replace(state, phase=Phase.STOPPING, stopped=True, pausing=False)


def finish(state: RunState, message: str) -> RunState:
    """State at the end of a run, stopped or not."""
    return replace(state, phase=Phase.DONE, message=message, seconds_left=None)


def fail(state: RunState, message: str) -> RunState:
    """State after an error."""
    return replace(state, phase=Phase.FAILED, message=message, seconds_left=None)


def after_training(state: RunState) -> str:
    """Message at the end of a training run that has produced a model."""
    if state.stopped:
        steps = state.steps_before + state.done
        if state.stopped_early:
            total = state.steps_before + state.total
            return f"Stopped early, after step {steps:,} of {total:,}."
        return f"Stopped after step {steps:,}; the model trained so far is ready."
    spent = format_duration(time.monotonic() - state.started)
    why = ", until the loss leveled off" if state.levelled else ""
    return f"Trained on “{state.subject}” in {spent}{why}."
