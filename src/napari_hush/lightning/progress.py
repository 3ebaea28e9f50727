"""The callback that reports progress, writes checkpoints, and pauses or stops a run."""

from __future__ import annotations

import math
import signal
import time
from dataclasses import InitVar, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytorch_lightning as L
import torch

from napari_hush.errors import TrainingError, UnwritableFileError
from napari_hush.events import (
    EarlyStopped,
    EpochDone,
    OnProgress,
    Plateau,
    StepsDone,
    TrainingPaused,
    TrainingResumed,
    WarningIssued,
)
from napari_hush.lightning.checkpoint import (
    TrainingCheckpoint,
    check_alike,
    explain_damage,
    remove_checkpoint,
    save_checkpoint,
)
from napari_hush.lightning.model_callbacks import hand_out

if TYPE_CHECKING:
    from napari_hush.config import TrainingConfig
    from napari_hush.lightning.checkpoint import Fingerprint, Position
    from napari_hush.lightning.control import RunClock, RunControl
    from napari_hush.lightning.losses import Losses, LossLog
    from napari_hush.lightning.module import HushModule

_PERIOD = 0.1
"""Seconds between two reports of losses: fetching them makes a GPU wait."""
_STOP_PERIOD = 10
"""Steps on GPUs between two looks at stop requests: fetching them makes a GPU wait."""
_MIN_INTERVAL = 20
"""Least time between the checkpoints of two epochs, in multiples of the writing time."""
_SMOOTHING = 0.7
"""Weight of the past in the smoothed training loss, in which plateaus are detected."""


@dataclass(eq=False)
class ProgressCallback(L.Callback):
    """Report losses a few times a second; write checkpoints; pause and stop on request.

    Losses are appended to `losses` and `log` before they are reported. `position` counts
    the steps and epochs that have been reported, from `start` on. To resume a run,
    `resumed` are the `numbers` of its checkpoint.
    """

    on_progress: OnProgress
    control: RunControl
    clock: RunClock
    config: TrainingConfig
    start: Position
    losses: Losses
    loss_log: LossLog | None = None
    checkpointer: Checkpointer | None = None
    resumed: InitVar[dict[str, Any] | None] = None

    def __post_init__(self, resumed: dict[str, Any] | None) -> None:
        self.position, config = self.start, self.config
        patience, tolerance = config.early_stopping_epochs, config.early_stopping_tolerance
        self.detectors: dict[str, PlateauDetector | LevelDetector] = {
            "plateau": PlateauDetector(
                config.plateau_epochs, config.plateau_tolerance, _SMOOTHING
            ),
            "early": PlateauDetector(patience, 0.0, 0.0)
            if tolerance is None
            else LevelDetector(patience, tolerance),
        }
        if resumed is not None:
            with explain_damage("the interrupted run"):
                for name, detector in self.detectors.items():
                    check_alike(name, resumed[name], detector.state())
                    detector.restore(resumed[name])
        self._patches = 0
        self._learning_rate = 0.0
        self._started = self._reported = self.clock()
        self._validates = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock."""
        self._started = self._reported = self.clock()
        self._validates = bool(trainer.limit_val_batches)

    def on_train_epoch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule
    ) -> None:
        """Say if this epoch is validated; write a first checkpoint, as it may take long."""
        number, every = self.position.epochs + 1, self.config.check_val_every_n_epoch
        due = number % every == 0 or trainer.current_epoch + 1 == trainer.max_epochs
        trainer.limit_val_batches = 1.0 if self._validates and due else 0
        if trainer.current_epoch == 0:
            self._save(pl_module)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the learning rate; schedules change it before the step is reported."""
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self._learning_rate = rate * cast("HushModule", pl_module).warmup_factor

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Report if it is time; pause or stop on request."""
        module = cast("HushModule", pl_module)
        self._patches += module.batch_size
        now, longest = self.clock(), self.config.max_time
        if now - self._reported >= _PERIOD:
            self._report(module)
        if longest is not None and now - self._started >= longest:
            self.control.stop()
        pauses = self.control.is_paused and not self.control.should_stop
        due = self.checkpointer is not None and self.checkpointer.is_due()
        if (pauses or due) and not trainer.is_last_batch:
            self._save(module)
        self._hand_out(module)
        if pauses:
            self._pause(module)
        if self._must_stop(module, batch_idx):
            if not trainer.is_last_batch:
                self._save(module, ended=True)
            if not trainer.is_last_batch or self.control.signal is None:
                # Lightning would still validate; a stop is to return the model at once.
                # A complete epoch of a run that is to be resumed needs its validation.
                trainer.limit_val_batches = 0
            trainer.should_stop = True

    def _must_stop(self, module: HushModule, step: int) -> bool:
        """Whether to stop; several processes have to do so after the same step."""
        if module.ranks.is_alone:
            return self.control.should_stop
        requests = module.stop_requests
        if requests is None or (requests.device.type != "cpu" and step % _STOP_PERIOD):
            return False
        stops = bool(requests > 0)
        if stops:  # all of them have to know why
            by_signal = torch.full_like(requests, float(self.control.signal is not None))
            if module.ranks.total(by_signal) > 0:
                self.control.stop(signal.SIGTERM)
        return stops

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the remaining steps, then the epoch."""
        module = cast("HushModule", pl_module)
        self._report(module)
        steps = self.position.steps_in_epoch
        if not steps:
            return
        train_loss = sum(self.losses.train_step_loss[-steps:]) / steps
        val_loss, module.val_loss = module.val_loss, None
        module.log("train_loss", train_loss, logger=False)
        monitored = val_loss if self._validates else train_loss
        epoch = self.position.model_epochs
        self.position = replace(
            self.position, epochs=self.position.epochs + 1, steps_in_epoch=0
        )
        module.end_epoch(self.position.model_epochs, monitored)
        metrics = {} if val_loss is None else module.val_metrics
        steps_done = self.position.model_steps
        self._record(EpochDone(epoch, steps_done, train_loss, val_loss, metrics))
        if self.detectors["plateau"].is_reached(train_loss):
            self.on_progress(Plateau(epoch, self.config.plateau_epochs))
        if monitored is not None and self.detectors["early"].is_reached(monitored):
            self.on_progress(EarlyStopped(epoch, self.config.early_stopping_epochs))
            trainer.should_stop = True
        if trainer.is_last_batch:  # otherwise it was stopped, and saved, within the epoch
            last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
            due = self.checkpointer is not None and self.checkpointer.is_due(epoch=True)
            if last or due:
                self._save(module, ended=last)

    def _save(self, module: L.LightningModule, *, ended: bool = False) -> None:
        if self.checkpointer is None:
            return
        module = cast("HushModule", module)
        self._report(module)
        numbers = {name: found.state() for name, found in self.detectors.items()}
        ended = ended and self.control.signal is None
        self.checkpointer.save(module, replace(self.position, ended=ended), numbers)

    def _pause(self, module: HushModule) -> None:
        self._report(module)
        self.on_progress(TrainingPaused(self.position.model_steps))
        started = time.perf_counter()
        with self.clock.stopped():
            while self.control.is_paused and not self.control.should_stop:
                self.control.wait()
                self._hand_out(module)
            self._hand_out(module)  # for requests just before the end
        if not self.control.should_stop:
            seconds = time.perf_counter() - started
            self.on_progress(TrainingResumed(self.position.model_steps, seconds))

    def _hand_out(self, module: HushModule) -> None:
        """Pass the model to those who have requested it."""
        for take in self.control.taken_requests():
            hand_out(module, take)

    def _report(self, module: HushModule) -> None:
        """Report the steps since the last report."""
        if not module.step_losses:
            return
        losses = tuple(torch.stack(module.step_losses).tolist())
        module.step_losses.clear()
        now = self.clock()
        first = self.position.model_steps
        self._require_finite(losses, first)
        self.position = replace(
            self.position,
            steps=self.position.steps + len(losses),
            steps_in_epoch=self.position.steps_in_epoch + len(losses),
        )
        seconds_per_step = (now - self._started) / (self.position.steps - self.start.steps)
        left = (module.total_steps or 0) - self.position.steps
        self._record(
            StepsDone(
                epoch=self.position.model_epochs,
                first_step=first,
                losses=losses,
                learning_rate=self._learning_rate,
                patches_per_second=self._patches / max(now - self._reported, 1e-9),
                seconds_left=max(0, left) * seconds_per_step,
            )
        )
        self._patches, self._reported = 0, now

    def _require_finite(self, losses: tuple[float, ...], first: int) -> None:
        for number, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                if self.checkpointer is not None:
                    remove_checkpoint(self.checkpointer.folder)  # it cannot be continued
                raise TrainingError(
                    f"The loss became {loss} at step {number}; train with a smaller "
                    "learning rate."
                )

    def _record(self, event: StepsDone | EpochDone) -> None:
        self.losses.record(event)
        if self.loss_log is not None:
            self.loss_log.record(event)
        self.on_progress(event)


@dataclass(eq=False)
class Checkpointer:
    """Write the checkpoint of a run into `folder`, `every_s` seconds within an epoch.

    After shorter epochs one is written, too, as long as writing takes less than a twentieth
    of the time. If one cannot be written, `on_unwritable` gets a `WarningIssued`, once, and
    training continues; without it the error ends the run.
    """

    folder: Path
    every_s: float
    data: Fingerprint
    losses: Losses
    on_unwritable: OnProgress | None = None

    def __post_init__(self) -> None:
        self._warned = False
        self._saved_at = self._cost = 0.0

    def is_due(self, *, epoch: bool = False) -> bool:
        """Whether it is time for a checkpoint, within an epoch or at its end."""
        waited = time.perf_counter() - self._saved_at
        shortest = min(self.every_s, _MIN_INTERVAL * self._cost) if epoch else self.every_s
        return waited >= shortest

    def save(self, module: HushModule, position: Position, numbers: dict[str, Any]) -> None:
        """Write `module` and `numbers` at `position` of the run."""
        started = time.perf_counter()
        checkpoint = TrainingCheckpoint(
            module.config,
            position,
            self.data,
            numbers=module.numbers() | numbers,
            tensors=module.tensors(),
            losses=self.losses,
            provenance=module.provenance,
        )
        try:
            save_checkpoint(checkpoint, self.folder)
        except UnwritableFileError as error:
            if self.on_unwritable is None:
                raise
            if not self._warned:
                self._warned = True
                message = f"After a crash this training run cannot be resumed: {error}"
                self.on_unwritable(WarningIssued("state", message))
        self._saved_at = time.perf_counter()
        self._cost = self._saved_at - started


@dataclass
class PlateauDetector:
    """Detect plateaus: `epochs` in which a smoothed loss did not fall; 0 for never.

    A decrease of at most `tolerance` times the lowest loss does not count. `smoothing` is
    the weight of the past in the running mean of the losses, 0 (none) up to below 1.
    """

    epochs: int
    tolerance: float
    smoothing: float
    mean: float | None = None
    lowest: float | None = None
    still: int = 0

    def is_reached(self, loss: float) -> bool:
        """Add the loss of an epoch; True once for each plateau."""
        before = loss if self.mean is None else self.mean
        self.mean = self.smoothing * before + (1 - self.smoothing) * loss
        lowest = self.lowest
        if lowest is None or self.mean < lowest - self.tolerance * abs(lowest):
            self.lowest, self.still = self.mean, 0
        else:
            self.still += 1
        return 0 < self.epochs == self.still

    def state(self) -> dict[str, float | None]:
        """The counters, as JSON can hold them."""
        return {"mean": self.mean, "lowest": self.lowest, "still": self.still}

    def restore(self, state: dict[str, float | None]) -> None:
        """Take the counters that `state` returned."""
        self.mean, self.lowest = state["mean"], state["lowest"]
        self.still = int(state["still"] or 0)


@dataclass
class LevelDetector:
    """Detect that the mean loss of `epochs` is not below that of as many before; 0: never.

    A decrease by less than the fraction `tolerance` does not count.
    """

    epochs: int
    tolerance: float
    losses: list[float] = field(default_factory=list)

    def is_reached(self, loss: float) -> bool:
        """Add the loss of an epoch; whether the losses have levelled off."""
        self.losses = [*self.losses, loss][-2 * self.epochs :]
        if not 0 < 2 * self.epochs == len(self.losses):
            return False
        before = sum(self.losses[: self.epochs])
        return sum(self.losses[self.epochs :]) > before - self.tolerance * abs(before)

    def state(self) -> dict[str, list[float]]:
        """The losses, as JSON can hold them."""
        return {"losses": self.losses}

    def restore(self, state: dict[str, list[float]]) -> None:
        """Take the losses that `state` returned."""
        self.losses = [float(loss) for loss in state["losses"]]
