"""What a running job reports: small frozen values handed to ``on_progress``.

The engine calls ``on_progress(event)`` in the thread it runs in, a few times a second at
most, and never needs an answer. A bar on a terminal, a plot in a dock and a test read the
same events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from napari_hush.deprecation import former_names

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "BatchSplit",
    "EarlierLosses",
    "EarlyStopped",
    "EpochDone",
    "Event",
    "FileWritten",
    "ImageStarted",
    "OnProgress",
    "PixelsClipped",
    "Plateau",
    "PreviewFailed",
    "SnapshotTaken",
    "StepsDone",
    "TilesDone",
    "TrainingDone",
    "TrainingPaused",
    "TrainingResumed",
    "TrainingStarted",
    "WarningIssued",
]

__getattr__ = former_names(
    __name__, {"BatchHalved": "BatchSplit", "Caution": "WarningIssued"}
)


@dataclass(frozen=True)
class Event:
    """Base of all progress events."""


@dataclass(frozen=True)
class TrainingStarted(Event):
    """Data are checked and planned; the first step is next."""

    num_epochs: int
    steps_per_epoch: int
    num_patches: int
    """Training patches that one pass over the data holds."""
    num_val_patches: int
    device: str
    """Where the arithmetic happens, as torch names it, e.g. ``"cpu"`` or ``"cuda:0"``."""
    precision: str
    """``"32"`` or ``"bf16"``, after ``"auto"`` has been decided."""
    batch_size: int = 0
    """Patches per optimizer step, of all processes together."""
    processes: int = 1
    """How many train together, each on a part of every batch."""
    first_epoch: int = 0
    """Epochs that the model had been trained for before this run."""
    first_step: int = 0
    """Optimizer steps that the model had done before this run."""
    resumed_step: int | None = None
    """Where a run that was cut off goes on, counted over all runs; None for a new run."""


@dataclass(frozen=True)
class EarlierLosses(Event):
    """An interrupted run is resumed; these are its losses so far."""

    first_step: int
    """Number of the first step, counted over all runs of the model, from 0."""
    losses: tuple[float, ...]
    """Training loss of each step."""
    validation: tuple[tuple[int, float], ...]
    """Per epoch with validation: steps at its end, over all runs, and validation loss."""


@dataclass(frozen=True)
class StepsDone(Event):
    """Some optimizer steps are done, in order; several are told at once."""

    epoch: int
    """Epoch of the last of them, counted over all runs of this model, from 0."""
    first_step: int
    """Number of the first of them, counted over all runs of this model, from 0."""
    losses: tuple[float, ...]
    """Training loss of each of them."""
    learning_rate: float
    """Learning rate of the last of them."""
    patches_per_second: float
    """Speed since the previous event of this kind, pauses left out."""
    seconds_left: float
    """Estimate for the rest of the run, from the time so far without pauses."""


@dataclass(frozen=True)
class EpochDone(Event):
    """One epoch is done, its validation included."""

    epoch: int
    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    train_loss: float
    """Mean over the epoch's steps."""
    val_loss: float | None
    """None where there is no validation data or the epoch was stopped."""


@dataclass(frozen=True)
class TrainingDone(Event):
    """Training ended, by itself or because it was asked to stop."""

    stopped: bool
    """True if it ended before its last epoch, asked to or by early stopping."""
    seconds: float
    """How long it took, pauses left out."""


@dataclass(frozen=True)
class TrainingPaused(Event):
    """The run waits, the step in hand done, until it is resumed or stopped."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""


@dataclass(frozen=True)
class TrainingResumed(Event):
    """A paused run goes on; where it was stopped instead, `TrainingDone` follows."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    seconds: float
    """How long it waited."""


@dataclass(frozen=True)
class BatchSplit(Event):
    """Memory ran out; from this step on fewer patches go through the network at once.

    The batch, and with it the order of patches and the number of steps, stays as it is.
    """

    old: int
    """Patches that did not fit."""
    new: int
    """Patches that go through at once from now on."""


@dataclass(frozen=True)
class WarningIssued(Event):
    """A reason to look twice at a result, or not to trust it.

    Of data it is told when training starts; of a result, when an image is denoised.
    """

    about: Literal[
        "noise", "structure", "intensities", "pixel size", "saturation", "source", "state"
    ]
    """What it is about: noise that is correlated; structure that was taken away;
    intensities that the model has not seen; pixels of another size than in training;
    pixels at the top of the range; a file that was changed while it was learned from; a run
    that would not go on after a crash."""
    message: str
    """One sentence: what was found, what it means, what to do."""


@dataclass(frozen=True)
class Plateau(Event):
    """The smoothed training loss has not moved for some epochs."""

    epoch: int
    """The epoch in which this was noticed, counted over all runs of this model, from 0."""
    epochs: int
    """For how many epochs it has not moved."""


@dataclass(frozen=True)
class EarlyStopped(Event):
    """The run ends early, since the loss has not fallen for some epochs."""

    epoch: int
    """The last epoch, counted over all runs of this model, from 0."""
    epochs: int
    """For how many epochs it has not fallen."""


@dataclass(frozen=True)
class SnapshotTaken(Event):
    """The model as it is now was put aside; it can be gone back to."""

    epoch: int
    """Epochs done so far, counted over all runs of this model."""
    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    loss: float
    """Mean training loss since the snapshot before."""


@dataclass(frozen=True)
class PreviewFailed(Event):
    """A preview could not be made; there will be none for the rest of the run."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    reason: str


@dataclass(frozen=True)
class ImageStarted(Event):
    """The tiles of one image are planned; the first one is next."""

    name: str
    """The file's name, or what arrays are called in messages."""
    index: int
    """Which image of the job, from 0."""
    num_images: int
    num_tiles: int


@dataclass(frozen=True)
class PixelsClipped(Event):
    """An image is denoised into the integers of its source, rounded and clipped."""

    name: str
    """The file's name, or what arrays are called in messages."""
    clipped: int
    """Pixels of the result that were below or above all that the type can hold."""
    num_pixels: int
    dtype: str
    """The type of the result, as numpy names it, e.g. ``"uint16"``."""


@dataclass(frozen=True)
class TilesDone(Event):
    """Tiles of the current image are written into its result."""

    done: int
    num_tiles: int
    regions: tuple[tuple[slice, ...], ...]
    """Per tile, its place in the result ``(S, C, (Z), Y, X)``."""


@dataclass(frozen=True)
class FileWritten(Event):
    """The result of one file is whole and on disk."""

    path: Path


@dataclass(frozen=True)
class FileKept(Event):
    """The result of one file was there already; it is left as it is."""

    path: Path


@dataclass(frozen=True)
class FileFailed(Event):
    """One of several files could not be denoised; the job goes on with the next."""

    path: Path
    """The file, not its result."""
    reason: str


OnProgress = Callable[[Event], None]
"""Type of the callback: takes an event, returns nothing."""
