"""Callbacks that hand out models during a run: snapshots, files and previews."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as L
import torch

from napari_hush.errors import ConfigurationError, HushError, UnwritableFileError
from napari_hush.events import PreviewFailed, SnapshotTaken, WarningIssued
from napari_hush.lightning.module import HushModule
from napari_hush.models.file import SUFFIX, save_model
from napari_hush.system.atomic_write import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.events import OnProgress
    from napari_hush.models import Model

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A model from during its training, in memory."""

    epoch: int
    steps: int
    """Epochs and optimizer steps done, counted over all runs of the model."""
    loss: float
    """Mean training loss since the previous snapshot, or since the start of the run."""
    model: Model
    """The model, on the CPU."""


@dataclass(eq=False)
class SnapshotCallback(L.Callback):
    """Pass `count` snapshots, evenly spread over a run, to `take`; the last at its end.

    `first_step` is the number of steps before the run, `total_steps` those of the run.
    """

    count: int
    take: Callable[[Snapshot], None]
    first_step: int
    total_steps: int

    def __post_init__(self) -> None:
        self._losses: list[torch.Tensor] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *others: Any
    ) -> None:
        """Take a snapshot if it is due."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        if not self.count:
            return
        self._losses.append(outputs["loss"])
        done = pl_module.steps - self.first_step
        before = (done - 1) * self.count // self.total_steps
        if done * self.count // self.total_steps == before:
            return
        model = pl_module.model()
        model.network.to("cpu")
        if trainer.is_last_batch:  # its validation follows
            model = replace(model, epochs=model.epochs + 1)
        loss = float(torch.stack(self._losses).mean())
        self._losses.clear()
        self.take(Snapshot(model.epochs, model.steps, loss, model))
        pl_module.on_progress(SnapshotTaken(model.epochs, model.steps, loss))


def thinned(snapshots: Sequence[Snapshot], count: int) -> list[Snapshot]:
    """At most `count` of `snapshots`, evenly spread, with the last one."""
    kept = list(snapshots)
    while len(kept) > max(count, 1):
        # Remove the one whose neighbors are closest to each other.
        steps = [0, *(snapshot.steps for snapshot in kept)]
        gaps = [steps[i + 1] - steps[i - 1] for i in range(1, len(kept))]
        del kept[gaps.index(min(gaps))]
    return kept


@dataclass(eq=False)
class ModelFiles(L.Callback):
    """Write a model file into `folder` every `every` epochs; none if it is None.

    Files of earlier runs are replaced. One that cannot be written is a `WarningIssued`.
    """

    folder: Path | None
    every: int
    on_progress: OnProgress

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the model if it is time; a callback before has counted the epoch."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        if self.folder is not None and pl_module.epochs % self.every == 0:
            self.write(f"epoch-{pl_module.epochs:04}", pl_module.model())

    def write(self, name: str, model: Model | None) -> None:
        """Write `model`, if there is one, as the file `name`."""
        if self.folder is None or model is None:
            return
        try:
            make_folder(self.folder)
            save_model(model, self.folder / f"{name}{SUFFIX}", overwrite=True)
        except UnwritableFileError as error:
            self.on_progress(WarningIssued("state", str(error)))


class PreviewCallback(L.Callback):
    """Pass the current model to a function every few seconds, between two steps.

    Previews do not change the result of training: the model is a copy in evaluation mode,
    with EMA weights if there are any, and global random states are restored.

    ``take(model)`` is called in the training thread, which waits for it; it may denoise an
    image, and may keep the model. If it raises, a `PreviewFailed` event is reported,
    training continues, and `take` is not called again in that run. It gets at most the
    fraction `share` of the run's time, above 0 and up to 1, and is called at most every
    `every_s` seconds; ConfigurationError if one of them is out of range.
    """

    def __init__(
        self, take: Callable[[Model], None], *, share: float = 0.03, every_s: float = 3.0
    ) -> None:
        if not (0 < share <= 1 and every_s >= 0):
            raise ConfigurationError(
                f"Previews cannot use a share of {share} of the time every {every_s} s; "
                "give a share above 0 and up to 1, and 0 or more seconds."
            )
        self._take = take
        self._share = share
        self._every = every_s
        self._failed = False
        self._last = self._cost = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        self._failed = False
        self._last, self._cost = pl_module.clock(), 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, *others: Any
    ) -> None:
        """Pass the model if it is time."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        now = pl_module.clock()
        wait = max(self._every, self._cost * (1 / self._share - 1))
        if self._failed or now - self._last < wait:
            return
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)  # queued steps do not count
            now = pl_module.clock()
        self._failed = not hand_out(pl_module, self._take)
        self._last = pl_module.clock()
        self._cost = self._last - now


def hand_out(module: HushModule, take: Callable[[Model], None]) -> bool:
    """Pass a copy of the current model to `take`, without effect on training.

    Returns whether it succeeded; otherwise a `PreviewFailed` event is reported.
    """
    try:
        with _kept_random_states(module.device), torch.no_grad():
            take(module.model())
    except Exception as error:
        _log.warning("The model in training cannot be passed on.", exc_info=True)
        reason = str(error) if isinstance(error, HushError) else repr(error)
        module.on_progress(PreviewFailed(module.steps, reason))
        return False
    return True


@contextmanager
def _kept_random_states(device: torch.device) -> Iterator[None]:
    """Restore the global random states of Python, numpy and torch at the end."""
    python, numpy = random.getstate(), np.random.get_state()
    devices = [device.index or 0] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
