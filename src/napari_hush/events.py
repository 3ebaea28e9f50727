"""Progress events of a running job: frozen values passed to ``on_progress``.

The engine calls ``on_progress(event)`` in its own thread, a few times a second at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from napari_hush.deprecation import former_names

__getattr__ = former_names(
    __name__, {"BatchHalved": "BatchSplit", "Caution": "WarningIssued"}
)


@dataclass(frozen=True)
class Event:
    """Base of all progress events."""


@dataclass(frozen=True)
class TrainingStarted(Event):
    """The data are checked and planned; the first step follows."""

    num_epochs: int
    steps_per_epoch: int
    num_patches: int
    """Training patches in one pass over the data."""
    num_val_patches: int
    device: str
    """Torch device, e.g. ``"cpu"`` or ``"cuda:0"``."""
    precision: str
    """``"32"`` or ``"bf16"``, never ``"auto"``."""
    batch_size: int = 0
    """Patches per optimizer step, of all processes together."""
    processes: int = 1
    """Number of processes, each of which trains on a part of every batch."""
    first_epoch: int = 0
    """Epochs that the model was trained for before this run."""
    first_step: int = 0
    """Optimizer steps of the model before this run."""
    resumed_step: int | None = None
    """First step of a resumed run, counted over all runs; None for a new run."""
    pairs: tuple[tuple[Path, Path], ...] = ()
    """Files of images and of their targets."""


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
    """Some optimizer steps are done, in order."""

    epoch: int
    """Epoch of the last of them, counted over all runs of this model, from 0."""
    first_step: int
    """Number of the first of them, counted over all runs of this model, from 0."""
    losses: tuple[float, ...]
    """Training loss of each of them."""
    learning_rate: float
    """Learning rate of the last of them."""
    patches_per_second: float
    """Speed since the previous event of this kind, without pauses."""
    seconds_left: float
    """Estimate for the rest of the run, from the time so far without pauses."""


@dataclass(frozen=True)
class EpochDone(Event):
    """One epoch is done, including validation."""

    epoch: int
    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    train_loss: float
    """Mean over the epoch's steps."""
    val_loss: float | None
    """None without validation, or if the epoch was stopped."""
    val_metrics: Mapping[str, float] = field(default_factory=dict)
    """Means over the validation patches of methods that learn from pairs, by name:
    ``val_si_psnr`` in dB and ``val_ssim``."""


@dataclass(frozen=True)
class TrainingDone(Event):
    """Training ended, or was stopped."""

    stopped: bool
    """True if it ended before its last epoch, by request or by early stopping."""
    seconds: float
    """Duration without pauses."""


@dataclass(frozen=True)
class TrainingPaused(Event):
    """The run is paused after a step, until it is resumed or stopped."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""


@dataclass(frozen=True)
class TrainingResumed(Event):
    """A paused run continues; if it was stopped instead, `TrainingDone` follows."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    seconds: float
    """Duration of the pause."""


@dataclass(frozen=True)
class BatchSplit(Event):
    """Memory ran out; from this step on, batches are processed in smaller parts.

    Batch size, order of patches and number of steps do not change.
    """

    old: int
    """Patches per part that did not fit."""
    new: int
    """Patches per part from now on."""


@dataclass(frozen=True)
class WarningIssued(Event):
    """A reason to distrust a result, from the training data or the denoised image."""

    about: Literal[
        "noise",
        "structure",
        "intensities",
        "pixel size",
        "saturation",
        "channels",
        "loss",
        "source",
        "state",
        "mask",
        "planes",
        "motion",
    ]
    """Correlated noise; structure in the residual; intensities or a pixel size that the
    model was not trained on; saturated pixels; channels that may be planes; a loss that
    has grown; a file that changed during training; a run that could not be resumed after a
    crash; a mask that a result file does not hold; planes denoised one by one; frames that
    differ too much for a time_context."""
    message: str
    """One sentence: the finding, its meaning, the advice."""


@dataclass(frozen=True)
class Plateau(Event):
    """The smoothed training loss has not changed for some epochs."""

    epoch: int
    """The current epoch, counted over all runs of this model, from 0."""
    epochs: int
    """Number of epochs without a change."""


@dataclass(frozen=True)
class EarlyStopped(Event):
    """The run ends early because the loss has not fallen for some epochs."""

    epoch: int
    """The last epoch, counted over all runs of this model, from 0."""
    epochs: int
    """Number of epochs without a lower loss."""


@dataclass(frozen=True)
class BestRestored(Event):
    """The run ends with the weights of an earlier epoch."""

    epoch: int
    """The epoch with the lowest validation loss, counted over all runs, from 0."""
    val_loss: float


@dataclass(frozen=True)
class SnapshotTaken(Event):
    """A snapshot of the model is in memory and can be restored."""

    epoch: int
    """Epochs done so far, counted over all runs of this model."""
    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    loss: float
    """Mean training loss since the previous snapshot."""


@dataclass(frozen=True)
class PreviewFailed(Event):
    """A preview failed; there are no more previews in this run."""

    step: int
    """Optimizer steps done so far, counted over all runs of this model."""
    reason: str


@dataclass(frozen=True)
class ImageStarted(Event):
    """The tiles of one image are planned; the first one follows."""

    name: str
    """File name, with its place in a Zarr store, or "the array"."""
    index: int
    """Number of the image in the job, from 0."""
    num_images: int
    num_tiles: int
    path: Path | None = None
    """The image, such as ``run.czi#2``; None for an array."""
    done: int = 0
    """Tiles that exist already, of an interrupted job that is resumed."""


@dataclass(frozen=True)
class PixelsClipped(Event):
    """The result was clipped to the dtype of its source, and rounded to integers."""

    name: str
    """File name, with its place in a Zarr store, or "the array"."""
    clipped: int
    """Pixels below or above the range of the dtype."""
    num_pixels: int
    dtype: str
    """Dtype of the result, e.g. ``"uint16"``."""
    path: Path | None = None
    """The image; None for an array."""


@dataclass(frozen=True)
class TilesDone(Event):
    """Tiles of the current image are written."""

    done: int
    num_tiles: int
    regions: tuple[tuple[slice, ...], ...]
    """Place of each tile in the result ``(S, C, (Z), Y, X)``."""


@dataclass(frozen=True)
class FileWritten(Event):
    """The result of one file is complete on disk."""

    path: Path
    source: Path | None = None
    """The image."""


@dataclass(frozen=True)
class FileKept(Event):
    """The result of one file already exists and is kept."""

    path: Path
    source: Path | None = None
    """The image."""


@dataclass(frozen=True)
class FileFailed(Event):
    """One of several files could not be denoised; the job continues with the next."""

    path: Path
    """The source file."""
    reason: str


OnProgress = Callable[[Event], None]
"""Type of the callback."""
