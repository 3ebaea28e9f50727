"""What the controls show, resolved from the situation by one pure function. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_hush.widgets.dock.readiness import Readiness
from napari_hush.widgets.jobs.run_state import Activity, Phase, RunState
from napari_hush.widgets.settings.labels import format_duration

__all__ = ["DockState", "ViewState", "resolve"]

NBSP = "\N{NO-BREAK SPACE}"
_DOING = {
    Activity.TRAINING: "training",
    Activity.DENOISING: "denoising",
    Activity.SAVING: "saving the model",
    Activity.LOADING: "loading a model",
}
_HELP = {
    "train": "Teach a new model to denoise the chosen layer.",
    "train_on": "Go on training the model at hand, for as many epochs as are set above.",
    "pause": "Let the training wait; the memory it uses stays in use.",
    "resume": "Let the training go on where it waits.",
    "stop": "End the training and keep the model learned so far.",
    "denoise": "Denoise into a new layer, tile by tile, beginning with what is in view.",
    "denoise_now": "Denoise with the model as it is now, while it is trained further.",
    "cancel": "End the denoising and keep the tiles that are finished.",
    "snapshots": "Take the model of an earlier moment of its training.",
    "save_model": "Write the model to a file that can be loaded here or elsewhere.",
    "load_model": "Read a model from a file, to denoise with it.",
}


_NO_EARLIER = "There is no earlier model to go back to."


@dataclass(frozen=True)
class DockState:
    """Everything that decides what the controls show."""

    state: RunState = field(default_factory=RunState)
    aside: RunState = field(default_factory=RunState)
    """A denoising that goes on beside a training."""
    has_snapshots: bool = False
    """Whether there are models from earlier in training to go back to."""
    has_latest: bool = False
    """Whether the model that is being trained can be denoised with already."""
    readiness: Readiness = field(default_factory=Readiness)
    layer: str = ""
    """Name of the chosen layer; empty if there is none."""
    model: str = ""
    """What the model is called; empty if there is none."""
    model_is_kept: bool = False
    """Whether the model is in a file already."""


@dataclass(frozen=True)
class ViewState:
    """What every control shows."""

    blocked: dict[str, str]
    """Per button, why it cannot be pressed; empty if it can."""
    tooltips: dict[str, str]
    primary: str
    """Name of the one lit button, the next sensible step; empty if there is none."""
    paused: bool
    """Whether the button "Pause" lets the training go on."""
    settings_enabled: bool
    offers_enabled: bool
    """Whether a training that was cut off can be taken up."""
    model: str
    progress: tuple[int, int]
    """Value and maximum of the bar.

    Never "busy", a bar that moves by itself: it would have the window drawn all the time.
    """
    status: str
    status_kind: str
    """``"plain"``, ``"problem"`` (something to put right) or ``"failed"``."""


def resolve(situation: DockState) -> ViewState:
    """Decide what every control shows in `situation`."""
    state = situation.state
    blocked = _blocked(situation)
    status, kind = _status(situation)
    return ViewState(
        blocked=blocked,
        tooltips={n: _tooltip(n, why, situation) for n, why in blocked.items()},
        primary=_primary(situation, blocked),
        paused=state.phase is Phase.PAUSED,
        settings_enabled=not (state.busy and state.activity is Activity.TRAINING),
        offers_enabled=not (state.busy or situation.aside.busy),
        model=situation.model or "No model",
        progress=_progress(state),
        status=status,
        status_kind=kind,
    )


def _blocked(situation: DockState) -> dict[str, str]:
    state, aside = situation.state, situation.aside
    busy = f"Wait for the end of {_DOING[state.activity]}." if state.busy else ""
    busy = busy or ("Wait for the end of denoising." if aside.busy else "")
    no_model = "" if situation.model else "There is no model yet: train or load one."
    stopping = state.phase is Phase.STOPPING and "It is stopping already."
    no_snapshots = "" if situation.has_snapshots else _NO_EARLIER
    training = state.is_running(Activity.TRAINING)
    no_training = "" if training else stopping or "No training is running."
    denoising = state.is_running(Activity.DENOISING) or (
        aside.is_running(Activity.DENOISING)
    )
    return {
        "train": busy or situation.readiness.training,
        "train_on": busy or no_model or situation.readiness.training,
        "pause": no_training or ("" if state.total else "The training is being prepared."),
        "stop": no_training,
        "denoise": _denoising_blocked(situation, training)
        or busy * (not training)
        or ("" if training else no_model)
        or situation.readiness.denoising,
        "cancel": "" if denoising else stopping or "No denoising is running.",
        "save_model": busy or no_model,
        "load_model": busy,
        "snapshots": busy or no_model or no_snapshots,
    }


def _denoising_blocked(situation: DockState, training: bool) -> str:
    """Why nothing can be denoised beside a training; empty if there is none."""
    if not training:
        return ""
    if situation.aside.busy:
        return "Wait for the end of denoising."
    if not situation.has_latest:
        return "The model has just begun to learn; wait a few seconds."
    return ""


def _tooltip(name: str, why: str, situation: DockState) -> str:
    if why:
        return why
    if name == "pause" and situation.state.phase is Phase.PAUSED:
        return _HELP["resume"]
    if name == "denoise" and situation.state.is_running(Activity.TRAINING):
        return _HELP["denoise_now"]
    return _HELP[name]


def _primary(situation: DockState, blocked: dict[str, str]) -> str:
    state = situation.state
    just_denoised = state.phase is Phase.DONE and state.activity is Activity.DENOISING
    if state.phase is Phase.PAUSED:
        order = ["pause"]
    elif state.busy:
        order = ["stop", "cancel"]
    elif situation.aside.busy:
        order = ["cancel"]
    elif not situation.model:
        order = ["train"]
    elif just_denoised and not situation.model_is_kept:
        order = ["save_model"]
    else:
        order = ["denoise", "train"]
    return next((name for name in order if not blocked[name]), "")


def _progress(state: RunState) -> tuple[int, int]:
    match state.phase:
        case Phase.IDLE:
            return 0, 1
        case Phase.DONE if not state.stopped:
            return 1, 1
        case _:
            return state.done, max(1, state.total)


def _status(situation: DockState) -> tuple[str, str]:
    words, kind = _status_of_run(situation)
    aside = situation.aside
    if aside.phase is Phase.FAILED:
        return f"{words}\n{aside.message}", "failed"
    if aside.phase is not Phase.IDLE:
        said = _running(aside) if aside.busy else aside.message
        return f"{words}\n{said}", kind
    return words, kind


def _status_of_run(situation: DockState) -> tuple[str, str]:
    state = situation.state
    if state.phase is Phase.RUNNING:
        return f"{_running(state)}\n{state.hint}".strip(), "plain"
    if state.phase is Phase.PAUSED:
        return f"Paused in epoch {state.epoch} of {state.num_epochs}.", "plain"
    if state.phase is Phase.STOPPING:
        return "Stopping, what is done so far is kept …", "plain"
    if state.phase is Phase.FAILED:
        return state.message, "failed"
    if situation.readiness.training and not situation.layer:
        return situation.readiness.training, "plain"
    if situation.readiness.training:
        return situation.readiness.training, "problem"
    if state.phase is Phase.DONE:
        return state.message, "plain"
    if situation.model:
        return f"Ready to denoise “{situation.layer}”, or to train again.", "plain"
    return f"Ready to train on “{situation.layer}”.", "plain"


def _running(state: RunState) -> str:
    if state.activity is Activity.SAVING:
        return f"Saving “{state.subject}” …"
    if state.activity is Activity.LOADING:
        return f"Loading “{state.subject}” …"
    if not state.total:
        return f"Preparing “{state.subject}” …"
    if state.activity is Activity.TRAINING:
        parts = [f"Epoch {state.epoch} of {state.num_epochs}"]
        if state.patches_per_second:
            parts.append(f"{state.patches_per_second:.0f}{NBSP}patches/s")
    else:
        parts = [f"Tile {state.done} of {state.total}"]
    if state.seconds_left is not None:
        parts.append(f"{format_duration(state.seconds_left)}{NBSP}left")
    return " · ".join(parts)
