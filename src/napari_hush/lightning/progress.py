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
from napari_hush.lightning.checkpoint import Position, check_alike, going_on
from napari_hush.lightning.module import HushModule

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.lightning.checkpoint import TrainingCheckpoint
    from napari_hush.lightning.checkpointer import Checkpointer
    from napari_hush.lightning.control import RunClock, RunControl

_PERIOD = 0.1
"""Seconds between two reports of losses: fetching them makes a GPU wait."""
_ASK_EVERY = 10
"""Steps on GPUs between two looks at what others wish: fetching it makes a GPU wait."""
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
    keeper : StateKeeper, optional
        Keeps the state of the run on disk.
    resumed : RunState, optional
        Where an earlier run was cut off; this one goes on from there.
    """

    def __init__(
        self,
        on_progress: OnProgress,
        control: RunControl,
        clock: RunClock,
        first_epoch: int,
        first_step: int,
        config: TrainingConfig,
        keeper: Checkpointer | None = None,
        resumed: TrainingCheckpoint | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._control = control
        self._clock = clock
        self._keeper = keeper
        self._before = Position() if resumed is None else resumed.position
        self.epochs_done = first_epoch + self._before.epochs
        self.steps_done = self._last_step = first_step + self._before.steps
        self._first_epoch = self.epochs_done
        self._config = config
        self._plateau = PlateauDetector(
            config.plateau_epochs, config.plateau_tolerance, _SMOOTHING
        )
        self._early = PlateauDetector(config.early_stopping_epochs, 0.0, 0.0)
        self._epoch_losses: list[float] = []
        if resumed is not None:
            steps = self._before.steps_in_epoch
            losses = resumed.losses.train_step_loss
            self._epoch_losses = losses[len(losses) - steps :]
            with going_on("the run that was cut off"):
                for name, watch in (("plateau", self._plateau), ("early", self._early)):
                    check_alike(name, resumed.numbers[name], watch.seen())
                    watch.restore(resumed.numbers[name])
        self._patches = 0
        self._learning_rate = 0.0
        self._started = self._reported = self._clock()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._started = self._reported = self._clock()

    def on_train_epoch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> None:
        """Keep the very start; a run may be cut off before its first epoch is done."""
        if trainer.current_epoch == 0:
            self._save(trainer, pl_module)

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
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        self._patches += pl_module.batch_size
        if self._clock() - self._reported >= _PERIOD:
            self._report(trainer, pl_module)
        waits = self._control.is_paused and not self._control.should_stop
        due = self._keeper is not None and self._keeper.is_due()
        if (waits or due) and not trainer.is_last_batch:
            self._save(trainer, pl_module)
        if waits:
            self._pause(trainer, pl_module)
        if self._must_stop(pl_module, batch_idx):
            if not trainer.is_last_batch:
                self._save(trainer, pl_module, ended=True)
            # Lightning would still validate; whoever stops wants the model now.
            trainer.limit_val_batches = 0
            trainer.should_stop = True

    def _must_stop(self, module: L.LightningModule, step: int) -> bool:
        """Whether the run is to end; several processes have to end after the same step."""
        assert isinstance(module, HushModule)  # noqa: S101 - narrows a type
        if module.ranks.is_alone:
            return self._control.should_stop
        asked = module.is_asked_to_stop
        if asked is None or (asked.device.type != "cpu" and step % _ASK_EVERY):
            return False
        return bool(asked > 0)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the rest of the epoch's steps, then the epoch."""
        assert isinstance(pl_module, HushModule)  # noqa: S101 - narrows a type
        self._report(trainer, pl_module)
        if not self._epoch_losses:
            return
        train_loss = sum(self._epoch_losses) / len(self._epoch_losses)
        val_loss, pl_module.val_loss = pl_module.val_loss, None
        pl_module.log("train_loss", train_loss, logger=False)
        monitored = train_loss if val_loss is None else val_loss
        epoch = self._first_epoch + trainer.current_epoch
        self._epoch_losses.clear()
        self.epochs_done = epoch + 1
        pl_module.end_epoch(self.epochs_done, monitored)
        self._on_progress(EpochDone(epoch, self.steps_done, train_loss, val_loss))
        if self._plateau.is_reached(train_loss):
            self._on_progress(Plateau(epoch, self._config.plateau_epochs))
        if self._early.is_reached(monitored):
            self._on_progress(EarlyStopped(epoch, self._config.early_stopping_epochs))
            trainer.should_stop = True
        if trainer.is_last_batch:  # else it was stopped within, and is saved
            last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
            if last or (self._keeper is not None and self._keeper.is_due(epoch=True)):
                self._save(trainer, pl_module, whole=True, ended=last)

    def _save(
        self,
        trainer: L.Trainer,
        module: L.LightningModule,
        *,
        whole: bool = False,
        ended: bool = False,
    ) -> None:
        """Keep the state after this step, or, if `whole`, after this epoch."""
        assert isinstance(module, HushModule)  # noqa: S101 - narrows a type
        if self._keeper is None:
            return
        self._report(trainer, module)
        numbers = {"plateau": self._plateau.seen(), "early": self._early.seen()}
        self._keeper.save(
            module,
            epochs=self._before.epochs + trainer.current_epoch + whole,
            in_epoch=0 if whole else len(self._epoch_losses),
            ended=ended,
            numbers=numbers,
        )

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
                if self._keeper is not None:
                    self._keeper.discard()
                raise TrainingError(
                    f"The loss became {loss} at step {number}; train with a smaller "
                    "learning rate."
                )
        self._epoch_losses.extend(losses)
        done = self.steps_done - self._last_step
        left = module.first_step + module.total_steps - self.steps_done
        seconds_per_step = (now - self._started) / done
        self._on_progress(
            StepsDone(
                epoch=self._first_epoch + trainer.current_epoch,
                first_step=first,
                losses=losses,
                learning_rate=self._learning_rate,
                patches_per_second=self._patches / max(now - self._reported, 1e-9),
                seconds_left=max(0, left) * seconds_per_step,
            )
        )
        self._patches, self._reported = 0, now


class PlateauDetector:
    """Count epochs in which a smoothed loss did not fall.

    Parameters
    ----------
    epochs : int
        How many of them make a plateau; 0 for never.
    tolerance : float
        What does not count as falling, as a share of the lowest loss so far.
    smoothing : float
        Weight of the past in the running mean of the losses, 0 (none) up to below 1.
    """

    def __init__(self, epochs: int, tolerance: float, smoothing: float) -> None:
        self._epochs = epochs
        self._tolerance = tolerance
        self._smoothing = smoothing
        self._mean: float | None = None
        self._lowest: float | None = None
        self._still = 0

    def is_reached(self, loss: float) -> bool:
        """Take in the loss of an epoch; True once for each plateau."""
        before = loss if self._mean is None else self._mean
        self._mean = self._smoothing * before + (1 - self._smoothing) * loss
        lowest = self._lowest
        if lowest is None or self._mean < lowest - self._tolerance * abs(lowest):
            self._lowest, self._still = self._mean, 0
        else:
            self._still += 1
        return self._epochs > 0 and self._still == self._epochs

    def seen(self) -> dict[str, float | None]:
        """What it remembers, fit for JSON."""
        return {"mean": self._mean, "lowest": self._lowest, "still": self._still}

    def restore(self, seen: dict[str, float | None]) -> None:
        """Remember what `seen` returned."""
        self._mean, self._lowest = seen["mean"], seen["lowest"]
        self._still = int(seen["still"] or 0)
