"""The callback that tells what is happening and obeys wishes to pause or stop."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import pytorch_lightning as L
import torch

from napari_hush.errors import TrainingError
from napari_hush.events import (
    EarlyStopped,
    EpochDone,
    OnProgress,
    Plateau,
    StepsDone,
    TrainingPaused,
    TrainingResumed,
)
from napari_hush.lightning.module import HushModule
from napari_hush.lightning.plateau import PlateauWatch

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.lightning.control import RunClock, RunControl

_PERIOD = 0.1
"""Seconds between two reports of losses: fetching them makes a GPU wait."""
_SMOOTHING = 0.7
"""Weight of the past in the training loss that a plateau is judged by."""


class ProgressCallback(L.Callback):
    """Report losses a few times a second; pause and stop when asked.

    Parameters
    ----------
    on_progress : callable
        Gets `StepsDone`, `EpochDone`, `Plateau`, `EarlyStopped`, `TrainingPaused` and
        `TrainingResumed`.
    control : RunControl
        Asked after every step; a stop ends the run, with the weights as they are.
    clock : RunClock
        Stands still while the run is paused.
    first_epoch, first_step : int
        What was trained before this run; events count on from there.
    config : TrainingConfig
        Says what a plateau is.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        control: RunControl,
        clock: RunClock,
        first_epoch: int,
        first_step: int,
        config: TrainingConfig,
    ) -> None:
        self._on_progress = on_progress
        self._control = control
        self._clock = clock
        self.epochs_done = first_epoch
        self.steps_done = first_step
        self._first_epoch = first_epoch
        self._last_step = first_step
        self._config = config
        self._plateau = PlateauWatch(
            config.plateau_epochs, config.plateau_tolerance, _SMOOTHING
        )
        self._early = PlateauWatch(config.early_stopping_epochs, 0.0, 0.0)
        self._epoch_losses: list[float] = []
        self._patches = 0
        self._learning_rate = 0.0
        self._started = self._reported = self._clock()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._started = self._reported = self._clock()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate; schedules change it before the step is reported."""
        self._learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Report if it is time; pause or stop if asked."""
        self._patches += len(batch[0])
        if self._clock() - self._reported >= _PERIOD:
            self._report(trainer, pl_module)
        if self._control.is_paused and not self._control.should_stop:
            self._pause(trainer, pl_module)
        if self._control.should_stop:
            # Lightning would still validate; whoever stops wants the model now.
            trainer.limit_val_batches = 0
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the rest of the epoch's steps, then the epoch."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        self._report(trainer, pl_module)
        if not self._epoch_losses:
            return
        train_loss = sum(self._epoch_losses) / len(self._epoch_losses)
        val_loss, pl_module.val_loss = pl_module.val_loss, None
        pl_module.log("train_loss", train_loss)
        pl_module.monitored_loss = train_loss if val_loss is None else val_loss
        epoch = self._first_epoch + trainer.current_epoch
        self._epoch_losses.clear()
        self.epochs_done = pl_module.epochs = epoch + 1
        self._on_progress(EpochDone(epoch, self.steps_done, train_loss, val_loss))
        if self._plateau.is_reached(train_loss):
            self._on_progress(Plateau(epoch, self._config.plateau_epochs))
        if self._early.is_reached(pl_module.monitored_loss):
            self._on_progress(EarlyStopped(epoch, self._config.early_stopping_epochs))
            trainer.should_stop = True

    def _pause(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._report(trainer, module)
        self._on_progress(TrainingPaused(self.steps_done))
        started = time.perf_counter()
        with self._clock.stopped():
            self._control.wait()
        if not self._control.should_stop:
            waited = time.perf_counter() - started
            self._on_progress(TrainingResumed(self.steps_done, waited))

    def _report(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, HushModule)  # noqa: S101 - narrows a type
        if not module.step_losses:
            return
        losses = tuple(torch.stack(module.step_losses).tolist())
        module.step_losses.clear()
        now = self._clock()
        first, self.steps_done = self.steps_done, self.steps_done + len(losses)
        for number, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} at step {number}; train with a smaller "
                    "learning rate."
                )
        self._epoch_losses.extend(losses)
        done = self.steps_done - self._last_step
        seconds_per_step = (now - self._started) / done
        self._on_progress(
            StepsDone(
                epoch=self._first_epoch + trainer.current_epoch,
                first_step=first,
                losses=losses,
                learning_rate=self._learning_rate,
                patches_per_second=self._patches / max(now - self._reported, 1e-9),
                seconds_left=max(0, module.total_steps - done) * seconds_per_step,
            )
        )
        self._patches, self._reported = 0, now
