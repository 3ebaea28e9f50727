"""What the dock is doing, as one frozen value, and how events move it on. No Qt here.

A `RunState` is only ever replaced. `begin`, `advance`, `stop`, `finish` and `fail` are
the whole life of one; `dock.view_state` turns it into what the controls show.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum

from napari_hush.events import (
    BatchSplit,
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


class Phase(Enum):
    """Where in its life a run is."""

    IDLE = "idle"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"


class Activity(Enum):
    """What kind of work a run is."""

    TRAINING = "training"
    DENOISING = "denoising"
    SAVING = "saving"
    LOADING = "loading"
    CHECKING = "checking"


@dataclass(frozen=True)
class RunState:
    """One moment of the dock's work."""

    phase: Phase = Phase.IDLE
    activity: Activity = Activity.TRAINING
    """What runs, or ran last; means nothing while idle."""
    subject: str = ""
    """The layer or file it is about, as people call it."""
    started: float = 0.0
    """Clock (s) at the start of the run, later at the start of its tiles."""
    done: int = 0
    """Optimizer steps or tiles done in this run."""
    total: int = 0
    """Optimizer steps or tiles of the whole run; 0 while they are still being planned."""
    epoch: int = 0
    """Epoch being trained, counted from 1 within this run."""
    num_epochs: int = 0
    steps_before: int = 0
    """Optimizer steps that the model had done before this run."""
    patches_per_second: float = 0.0
    seconds_left: float | None = None
    """Estimate for the rest of the run; None before the first one."""
    device: str = ""
    """Where the arithmetic happens, as torch names it."""
    stopped: bool = False
    """True if the run was asked to end early."""
    hint: str = ""
    """Something worth knowing while it runs, in one sentence."""
    message: str = ""
    """How it ended, in one sentence."""

    @property
    def busy(self) -> bool:
        """Whether the worker is at work, so that nothing else can start."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED, Phase.STOPPING)

    def is_running(self, activity: Activity) -> bool:
        """Whether `activity` is under way and has not been asked to stop."""
        under_way = self.phase in (Phase.RUNNING, Phase.PAUSED)
        return under_way and self.activity is activity


def begin(activity: Activity, subject: str, now: float) -> RunState:
    """The state right after the click; `now` is a clock in seconds."""
    return RunState(Phase.RUNNING, activity, subject, started=now)


def advance(state: RunState, event: Event, now: float) -> RunState:
    """The state after `event`, which arrived at `now` (s, the clock of `begin`)."""
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
            return replace(
                state,
                done=done,
                epoch=max(1, -(-done // per_epoch)),
                patches_per_second=event.patches_per_second,
                seconds_left=event.seconds_left,
            )
        case TrainingPaused() if state.phase is Phase.RUNNING:
            return replace(state, phase=Phase.PAUSED, seconds_left=None)
        case TrainingResumed() if state.phase is Phase.PAUSED:
            return replace(state, phase=Phase.RUNNING)
        case Plateau():
            words = f"The loss has not moved for {event.epochs} epochs: Stop when you like."
            return replace(state, hint=words)
        case BatchSplit():
            words = (
                f"Memory ran out with {event.old} patches at once; it goes on with "
                f"{event.new}, and the result is the same."
            )
            return replace(state, hint=words)
        case EarlyStopped():
            words = f"Ended early: the loss has not fallen for {event.epochs} epochs."
            return replace(state, hint=words)
        case PreviewFailed():
            return replace(state, hint=f"No preview: {event.reason}")
        case ProcessDied():
            return replace(state, stopped=True, hint=event.reason)
        case TrainingDone():
            return replace(state, stopped=event.stopped)
        case ImageStarted():
            return replace(state, done=0, total=event.num_tiles, started=now)
        case TilesDone():
            left = (now - state.started) / max(1, event.done)
            return replace(
                state,
                done=event.done,
                total=event.num_tiles,
                seconds_left=left * (event.num_tiles - event.done),
            )
        case _:
            return state


def stop(state: RunState) -> RunState:
    """The state right after Stop or Cancel was pressed."""
    return replace(state, phase=Phase.STOPPING, stopped=True)


def finish(state: RunState, message: str) -> RunState:
    """The state after a run that ended as it should, by itself or because asked to."""
    return replace(state, phase=Phase.DONE, message=message, seconds_left=None)


def fail(state: RunState, message: str) -> RunState:
    """The state after a run that ended in an error."""
    return replace(state, phase=Phase.FAILED, message=message, seconds_left=None)


def after_training(state: RunState) -> str:
    """Message at the end of a training that has produced a model."""
    if state.stopped and not state.hint.startswith("Ended early"):
        return f"Stopped in epoch {state.epoch}; the model learned so far is ready."
    spent = format_duration(time.monotonic() - state.started)
    return f"Trained on “{state.subject}” in {spent}. Denoise is next."
