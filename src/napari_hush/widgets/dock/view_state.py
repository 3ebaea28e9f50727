"""From the state of the dock to what its controls show, by one pure function. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_hush.widgets.dock.readiness import Readiness
from napari_hush.widgets.jobs.run_state import Activity, Phase, RunState
from napari_hush.widgets.settings.labels import NBSP, roughly

WORTH_SAYING = 10.0
"""Seconds of denoising from which they are added to those of training."""
_DOING = {
    Activity.TRAINING: "training",
    Activity.DENOISING: "denoising",
    Activity.SAVING: "saving the model",
    Activity.SAVING_IMAGE: "saving the image",
    Activity.LOADING: "loading a model",
    Activity.CHECKING: "the noise check",
}
_WRITING = (Activity.DENOISING, Activity.SAVING_IMAGE)
"""Activities that "Cancel" ends."""
_HELP = {
    "denoise_now": (
        "Check the noise, choose the method, train until the model is good, and denoise."
    ),
    "denoise_now_with_model": "Denoise with the current model, which fits the image.",
    "denoise_now_further": (
        "The current model was stopped early: train it further and denoise."
    ),
    "denoise_now_anew": (
        "The current model does not fit, lost structure or was stopped early: train a new "
        "one and denoise."
    ),
    "train": "Train a new model on the chosen layer.",
    "train_on": "Train the current model for as many more epochs as set above.",
    "pause": "Pause training; the memory stays in use.",
    "resume": "Resume training.",
    "stop": "Stop training and keep the model trained so far.",
    "denoise": (
        "Denoise into a new layer, the visible part first. For files on disk, use the dock "
        "Denoise files."
    ),
    "denoise_meanwhile": "Denoise with the current weights while training continues.",
    "denoise_files": "Denoise files and folders with this model, in a separate dock.",
    "cancel": "Stop denoising and keep the finished tiles.",
    "cancel_saving": "Stop saving; no file is written.",
    "snapshots": "Return to a snapshot of this training run, or to an earlier model.",
    "save_image": "Save the result with its axes and pixel sizes, as TIFF or OME-Zarr.",
    "save_model": "Save the model to a file.",
    "load_model": "Load a model from a file.",
}


@dataclass(frozen=True)
class DockState:
    """Everything that decides what the controls show."""

    state: RunState = field(default_factory=RunState)
    concurrent: RunState = field(default_factory=RunState)
    """State of denoising that runs concurrently with training."""
    has_snapshots: bool = False
    """Whether there are snapshots or earlier models."""
    has_latest: bool = False
    """Whether the model in training can denoise already."""
    readiness: Readiness = field(default_factory=Readiness)
    layer: str = ""
    """Name of the chosen layer, or empty."""
    model: str = ""
    """Name of the current model, or empty."""
    uses_model: bool = False
    """Whether "Denoise now" uses the model, and trains no other one."""
    continues: bool = False
    """Whether "Denoise now" trains the model further first."""
    unfinished: bool = False
    """Whether the training of the model was stopped early."""
    other_unit: bool = False
    """Whether the intensities of the layer are others than the model was trained on."""
    lost_structure: bool = False
    """Whether the verdict on the model's result of the layer is that structure was lost."""
    awaits_check: bool = False
    """Whether "Denoise now" waits for the check of the noise."""
    has_result: bool = False
    """Whether the chosen layer has a result to look at."""
    can_save: bool = False
    """Whether there is a result to save, of the chosen layer or of one that was removed."""
    verdict: str = ""
    """The verdict on the result, or what is known of it; may be empty."""
    has_curve: bool = False
    """Whether there is a loss curve."""
    ended: str = ""
    """Message of the training run that ended while `state`, denoising, went on."""
    seconds: float | None = None
    """Expected time to denoise with the model if it fits, else to train one; None if
    unknown."""
    may_end_early: bool = False
    """Whether training may end well before that time."""
    seconds_after: float = 0.0
    """Expected time to denoise with a new model."""


@dataclass(frozen=True)
class ViewState:
    """The state of every control.

    `resolve` derives it from a `DockState`, and `Controls.showView` applies it, comparing
    the texts with those on screen so that only changes repaint. It is frozen because a new
    state gives a new view: nothing else enables a button or sets a text.
    """

    blocked: dict[str, str]
    """Per button, why it is disabled; empty if it is enabled."""
    tooltips: dict[str, str]
    primary: str
    """Name of the highlighted button, the next step; empty if there is none."""
    labels: dict[str, str]
    """Text of the buttons whose text changes."""
    sections: frozenset[str]
    """Sections with content: ``"live"``, ``"result"`` and ``"saving"``."""
    foot: frozenset[str]
    """Buttons shown in the foot of the dock."""
    settings_enabled: bool
    offers_enabled: bool
    """Whether an interrupted training run can be resumed."""
    model: str
    not_trained: str
    """Why no model can be trained, or the current one not further, beside their buttons."""
    progress: tuple[int, int]
    """Value and maximum of the bar; an indeterminate bar would repaint the window."""
    status: str
    status_kind: str
    """``"plain"``, ``"problem"`` (to be corrected) or ``"failed"``."""


def resolve(dock: DockState) -> ViewState:
    """Decide what every control shows."""
    state = dock.state
    blocked = _blocked(dock)
    status, kind = _status(dock)
    return ViewState(
        blocked=blocked,
        tooltips={n: _tooltip(n, why, dock) for n, why in blocked.items()},
        primary=_primary(dock, blocked),
        labels=_labels(dock),
        sections=_sections(dock),
        foot=_foot(dock),
        settings_enabled=not (state.busy and state.activity is Activity.TRAINING),
        offers_enabled=not (state.busy or dock.concurrent.busy),
        model=dock.model or "none",
        not_trained=_not_trained(dock),
        progress=_progress(state),
        status=status,
        status_kind=kind,
    )


def _blocked(dock: DockState) -> dict[str, str]:
    """Per button, the first reason why it is disabled; empty if it is enabled."""
    state, readiness = dock.state, dock.readiness
    busy = _busy(dock)
    no_model = "" if dock.model else "There is no model yet; train or load one."
    no_snapshots = "" if dock.has_snapshots else "There is no snapshot yet."
    no_training = no_denoising = ""
    if not state.is_running(Activity.TRAINING):
        no_training = _not_running(state, "training")
    if not any(s.is_running(a) for s in (state, dock.concurrent) for a in _WRITING):
        no_denoising = _not_running(state, "denoising")
    of_layer = f" of “{dock.layer}”" if dock.layer else ""
    no_result = "" if dock.can_save else f"There is no result{of_layer} yet; denoise first."
    preparing = "" if state.total else "Training is being prepared."
    return {
        "denoise_now": _first(busy, "" if dock.uses_model else readiness.training),
        "train": _first(busy, readiness.training),
        "train_on": _first(busy, no_model, readiness.training, readiness.training_more),
        "pause": _first(no_training, preparing),
        "stop": no_training,
        "denoise": _first(_denoising_blocked(dock, busy, no_model), readiness.denoising),
        "denoise_files": _first(busy, no_model),
        "cancel": no_denoising,
        "save_image": _first(_writing(dock), no_result),
        "save_model": _first(busy, no_model),
        "load_model": busy,
        "snapshots": _first(busy, no_model, no_snapshots),
    }


def _not_trained(dock: DockState) -> str:
    """The reason that the status line does not show, since the model fits the layer."""
    readiness = dock.readiness
    return (readiness.training if dock.uses_model else "") or readiness.training_more


def _first(*reasons: str) -> str:
    """The first of the reasons that is not empty, or an empty string."""
    return next((reason for reason in reasons if reason), "")


def _busy(dock: DockState) -> str:
    """Work that has to end before another run can start; empty if nothing runs."""
    if dock.state.busy:
        return f"Wait until {_DOING[dock.state.activity]} has finished."
    if dock.awaits_check:
        return f"Wait until {_DOING[Activity.CHECKING]} has finished."
    return _writing(dock)


def _writing(dock: DockState) -> str:
    """Work that has to end before denoising or saving can start; empty if nothing runs."""
    for state in (dock.state, dock.concurrent):
        if state.busy and state.activity in _WRITING:
            return f"Wait until {_DOING[state.activity]} has finished."
    return ""


def _not_running(state: RunState, activity: str) -> str:
    if state.phase is Phase.STOPPING:
        return f"{_DOING[state.activity].capitalize()} is stopping."
    return f"No {activity} is running."


def _denoising_blocked(dock: DockState, busy: str, no_model: str) -> str:
    """Why nothing can be denoised, whatever the layer."""
    if not dock.state.is_running(Activity.TRAINING):
        return _first(busy, no_model)
    if writing := _writing(dock):
        return writing
    if not dock.has_latest:
        return "Training has just started; wait a few seconds."
    return ""


def _tooltip(name: str, why: str, dock: DockState) -> str:
    if why:
        return why
    if name == "cancel" and dock.state.activity is Activity.SAVING_IMAGE:
        return _HELP["cancel_saving"]
    if name == "pause" and dock.state.phase is Phase.PAUSED:
        return _HELP["resume"]
    if name == "denoise" and dock.state.is_running(Activity.TRAINING):
        return _HELP["denoise_meanwhile"]
    if name == "denoise_now" and dock.uses_model:
        return _HELP["denoise_now_with_model"]
    if name == "denoise_now" and dock.continues:
        return _HELP["denoise_now_further"]
    if name == "denoise_now" and dock.model:
        return _HELP["denoise_now_anew"]
    return _HELP[name]


def _labels(dock: DockState) -> dict[str, str]:
    labels = {"denoise_now": "Denoise now"}
    possible = dock.layer and (dock.uses_model or not dock.readiness.training)
    if possible and dock.seconds is not None:
        about = "up to" if dock.may_end_early else "≈"
        labels["denoise_now"] += f" · {about}{NBSP}{roughly(dock.seconds)}"
        if not dock.uses_model and dock.seconds_after > max(WORTH_SAYING, dock.seconds / 5):
            labels["denoise_now"] += f" + {roughly(dock.seconds_after)}"
    if dock.state.phase is Phase.PAUSED:
        labels["pause"] = "Resume"
    return labels


def _sections(dock: DockState) -> frozenset[str]:
    has = {
        "live": dock.has_curve or _is_in_progress(dock.state, Activity.TRAINING),
        "result": dock.has_result,
        "saving": dock.can_save or bool(dock.model),
    }
    return frozenset(name for name, there in has.items() if there)


def _foot(dock: DockState) -> frozenset[str]:
    """The buttons that end what is in progress, or the one that starts everything."""
    names = {"cancel"} if _writing(dock) else set()
    if _is_in_progress(dock.state, Activity.TRAINING):
        names |= {"pause", "stop"}
    return frozenset(names or {"denoise_now"})


def _is_in_progress(state: RunState, activity: Activity) -> bool:
    return state.busy and state.activity is activity


def _primary(dock: DockState, blocked: dict[str, str]) -> str:
    state = dock.state
    if state.phase is Phase.PAUSED:
        order = ["pause"]
    elif state.busy or dock.concurrent.busy:
        order = ["stop", "cancel"]
    elif dock.lost_structure:
        order = ["denoise_now"]
    elif state.phase is Phase.DONE and state.activity is Activity.DENOISING:
        order = ["save_image", "denoise_now"]
    else:
        order = ["denoise_now"]
    return next((name for name in order if not blocked[name]), "")


def _progress(state: RunState) -> tuple[int, int]:
    match state.phase:
        case Phase.IDLE:
            return 0, 1
        case Phase.DONE if not state.stopped:
            return 1, 1
        case _:
            return state.done, max(1, state.total)


def _status(dock: DockState) -> tuple[str, str]:
    words, kind = _status_of_run(dock)
    words = f"{dock.ended}\n{words}".lstrip()
    concurrent = dock.concurrent
    if concurrent.phase is Phase.FAILED and concurrent.message == words:
        return words, "failed"
    if concurrent.phase is Phase.FAILED:
        return f"{words}\n{concurrent.message}", "failed"
    if kind == "failed":  # its color is not that of a success beside it
        return words, kind
    if concurrent.phase is not Phase.IDLE:
        said = _running(concurrent) if concurrent.busy else concurrent.message
        return words if said in words else f"{words}\n{said}", kind
    return words, kind


def _status_of_run(dock: DockState) -> tuple[str, str]:
    state = dock.state
    if state.phase is Phase.RUNNING:
        return f"{_running(state)}\n{state.hint}".strip(), "plain"
    if state.phase is Phase.PAUSED:
        return f"{state.title} · paused after {_step(state)}", "plain"
    if state.phase is Phase.STOPPING and state.activity is Activity.SAVING_IMAGE:
        return "Stopping …", "plain"
    if state.phase is Phase.STOPPING and state.activity is Activity.TRAINING:
        words = "Stopping; the model trained so far is kept …"
        return words, "plain"
    if state.phase is Phase.STOPPING:
        return "Stopping; the result so far is kept …", "plain"
    if state.phase is Phase.FAILED:
        return state.message, "failed"
    if dock.readiness.waiting:
        return dock.readiness.waiting, "plain"
    if dock.awaits_check:
        return f"Checking the noise of “{dock.layer}” …", "plain"
    readiness = dock.readiness
    said = state.message if state.phase is Phase.DONE else ""
    if not dock.layer:
        return f"{said} {readiness.training}".lstrip(), "plain"
    if readiness.training and not dock.uses_model:
        return f"{said}\n{readiness.training}".lstrip(), "problem"
    if state.phase is Phase.DONE and state.activity is Activity.LOADING:
        misfit = readiness.denoising or _other_unit(dock)
        kind = "problem" if readiness.denoising else "plain"
        return f"{state.message} {misfit or readiness.note}".rstrip(), kind
    if state.phase is Phase.DONE and state.activity is Activity.DENOISING:
        return f"{state.message}\n{dock.verdict}".rstrip(), "plain"
    if state.phase is Phase.DONE:
        return f"{state.message} {_after_stop(dock)}".rstrip(), "plain"
    return _status_at_rest(dock)


def _after_stop(dock: DockState) -> str:
    """Action of "Denoise now" after a training run was stopped; empty after others."""
    is_training = dock.state.activity is Activity.TRAINING
    if not (is_training and dock.state.stopped and dock.state.done):
        return ""
    if dock.continues:
        return "Denoise now trains the model further, Denoise uses it as it is."
    if dock.uses_model:
        return "Denoise now uses it."
    return f"Denoise now trains a new model on “{dock.layer}”."


def _status_at_rest(dock: DockState) -> tuple[str, str]:
    readiness = dock.readiness
    if dock.uses_model:
        ready = f"Ready to denoise “{dock.layer}” with the model “{dock.model}”."
        return f"{ready} {readiness.note}".rstrip(), "plain"
    if dock.model and readiness.denoising:
        return readiness.denoising, "problem"
    if other_unit := _other_unit(dock):
        return other_unit, "plain"
    if dock.lost_structure:
        lost = f"The model “{dock.model}” lost structure of “{dock.layer}”"
        return f"{lost}; Denoise now trains a new one.", "plain"
    if dock.unfinished:
        then = "trains it further" if dock.continues else "trains a new one"
        return f"The model “{dock.model}” was stopped early; Denoise now {then}.", "plain"
    return f"Ready to denoise “{dock.layer}”.", "plain"


def _other_unit(dock: DockState) -> str:
    if not (dock.model and dock.other_unit):
        return ""
    return (
        f"The model “{dock.model}” was trained on other intensities than those of "
        f"“{dock.layer}”; Denoise now trains a new one."
    )


def _running(state: RunState) -> str:
    if state.activity in (Activity.SAVING, Activity.SAVING_IMAGE):
        return f"Saving “{state.subject}” …"
    if state.activity is Activity.LOADING:
        return f"Loading “{state.subject}” …"
    if not state.total:
        return f"Preparing “{state.subject}” …"
    if state.pausing:
        return f"{state.title} · pausing after this step …"
    training = state.activity is Activity.TRAINING
    parts = [state.title, _step(state) if training else f"tile {state.done}"]
    parts[-1] += f" of {state.steps_before + state.total:,}"
    if state.seconds_left is not None and state.done < state.total:
        parts.append(f"{roughly(state.seconds_left)}{NBSP}left")
    return " · ".join(parts)


def _step(state: RunState) -> str:
    """The last step, counted over all runs of the model."""
    return f"step {state.steps_before + state.done:,}"
