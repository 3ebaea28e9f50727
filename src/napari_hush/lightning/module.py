"""The one LightningModule, for every algorithm."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal, cast

import pytorch_lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from napari_hush.config import Configuration, CosineConfig
from napari_hush.dataset.batches import share as share_of
from napari_hush.errors import TrainingError
from napari_hush.lightning.algorithms import algorithm
from napari_hush.lightning.checkpoint import (
    check_alike,
    going_on,
    optimizer_tensors,
    restore_optimizer,
)
from napari_hush.lightning.control import RunClock
from napari_hush.lightning.gradients import MASKS, Gradients, MicroBatches, parts
from napari_hush.lightning.optimizers import EMAWeights, build_optimizer, build_schedule
from napari_hush.lightning.process_group import ProcessGroup
from napari_hush.lightning.sync_batchnorm import plain
from napari_hush.models import Model, Precision, Provenance

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_hush.dataset import Share
    from napari_hush.events import Event, OnProgress
    from napari_hush.lightning.checkpoint import TrainingCheckpoint
    from napari_hush.models import UNet
    from napari_hush.models.normalization import Normalization

_VAL_MASKS = 5
"""Marks validation masks among the random streams of a seed."""


def _ignore(event: Event) -> None:
    """Take no notice."""


class HushModule(L.LightningModule):
    """Train a U-Net with the algorithm of a configuration.

    A step is written out here rather than left to Lightning: gradients, their clipping,
    the optimizer, the schedule and the moving average stand below each other in
    `training_step`.

    Parameters
    ----------
    config : Configuration
        Algorithm, optimizer, schedule and seed.
    network : UNet
        What is trained, in place.
    total_steps : int
        Optimizer steps of the whole run, for schedules that end with it.
    first_step, first_epoch : int
        What was done before this run; keeps random draws from repeating.
    normalization, target_normalization : Normalization, optional
        Statistics of the training data, which make a model out of the network.
    on_progress : callable, optional
        Gets the events of callbacks.
    clock : RunClock, optional
        Time of the run without its pauses.

    Attributes
    ----------
    epochs, steps : int
        Epochs and optimizer steps done, those before this run included.
    room : Room
        How many patches fit through the network at once.
    step_losses : list of Tensor
        Losses of the steps since somebody last emptied it; still on the device, because
        fetching each one would make a GPU wait.
    val_loss : float or None
        Validation loss of the last epoch, until somebody takes it.
    precision : {"32", "bf16"}
        Arithmetic of the run, set before it.
    resumed : RunState or None
        Set before the run, it goes on from there.
    ranks : Ranks
        The processes that train together, set before the run.
    batch_size : int
        Patches in the batch of the last step, of all processes together.
    is_asked_to_stop : Tensor
        A scalar: how many of them wish to stop; known to all of them alike.
    wants_stop : callable
        Whether this process wishes to.
    provenance : Provenance
        What its models are to say of where they come from.
    """

    def __init__(
        self,
        config: Configuration,
        network: UNet,
        total_steps: int,
        first_step: int = 0,
        *,
        first_epoch: int = 0,
        normalization: Normalization | None = None,
        target_normalization: Normalization | None = None,
        on_progress: OnProgress = _ignore,
        clock: RunClock | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.config = config
        self.network = network
        self.total_steps = total_steps
        self.first_step = self.steps = first_step
        self.epochs = first_epoch
        self.normalization = normalization
        self.target_normalization = target_normalization
        self.on_progress = on_progress
        self.clock = clock or RunClock()
        self.room = MicroBatches(on_progress)
        self.step_losses: list[Tensor] = []
        self.val_loss: float | None = None
        self.precision: Precision = "32"
        self.resumed: TrainingCheckpoint | None = None
        self.ranks = ProcessGroup()
        self.wants_stop: Callable[[], bool] = lambda: False
        self.batch_size = 0
        self.is_asked_to_stop: Tensor | None = None
        self.provenance = Provenance()
        self._average: EMAWeights | None = None
        self._schedule: LRScheduler | None = None
        self._algorithm = algorithm(config.algorithm_config)
        self.gradients = Gradients(
            network, self._algorithm, config.data_config.seed, self.room
        )
        self._val_losses: list[Tensor] = []

    # ---- what Lightning calls ----

    def on_train_start(self) -> None:
        """Start the moving average, now that the weights are where they are trained."""
        decay = self.config.training_config.ema_decay
        if decay:
            self._average = EMAWeights(self.network, decay)
        if self.resumed is not None:
            self._restore(self.resumed)
        self.gradients.start(self.device)

    def on_train_end(self) -> None:
        """Free the memory of the recorded step."""
        self.gradients.end()

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Take one optimizer step; return the loss before it."""
        optimizer: Any = self.optimizers()
        share = self._share(batch, "train", batch_idx)
        self.batch_size = share.whole
        loss = self.gradients.of(batch, self.steps, share)
        if not self.ranks.is_alone:
            loss, self.is_asked_to_stop = self.ranks.add_up(
                self.network, loss, self.wants_stop()
            )
        # Lightning has the whole step under autocast, which is meant for the loss alone.
        with torch.autocast(loss.device.type, enabled=False):
            if longest := self.config.training_config.gradient_clip_norm:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), longest)
            optimizer.step()
        if self._average is not None:
            self._average.update(self.steps - self.first_step)
        if self._schedule is not None and self._goes_by_steps:
            self._schedule.step()
        self.steps += 1
        self.step_losses.append(loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Collect the loss of one batch, with the same masks in every epoch."""
        share = self._share(batch, "val", batch_idx)
        seen, answer, part = self.gradients.prepared(batch, _VAL_MASKS, batch_idx, share)
        network = self.best_network

        def judge(size: int) -> Tensor:
            pieces = parts(seen, answer, size)
            losses = [share * self._algorithm.loss(network(x), y) for x, y, share in pieces]
            return torch.stack(losses).sum()

        loss = torch.zeros((), device=seen.device)
        if share.count:
            loss = self.room.within(len(seen), judge, lambda: None) * part
        self._val_losses.append(loss.detach() * share.whole)
        self._val_losses.append(torch.tensor(float(share.whole), device=loss.device))

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's losses."""
        self._val_losses.clear()

    def on_validation_epoch_end(self) -> None:
        """Average over the patches."""
        if self._val_losses:
            sums = torch.stack(self._val_losses).reshape(-1, 2).sum(0)
            self.val_loss = float(self.ranks.total(sums[0]) / sums[1])
            self.log("val_loss", self.val_loss, logger=False)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and the schedule of the learning rate."""
        config = self.config.algorithm_config
        optimizer = build_optimizer(config, self.network.parameters())
        self._schedule = build_schedule(config, optimizer, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": self._schedule}

    # ---- what a training run asks ----

    def end_epoch(self, epochs: int, monitored_loss: float) -> None:
        """Note that `epochs` are done in all; advance schedules that go by epochs."""
        self.epochs = epochs
        schedule = self._schedule
        if isinstance(schedule, ReduceLROnPlateau):
            schedule.step(monitored_loss)
        elif schedule is not None and not self._goes_by_steps:
            schedule.step()

    def numbers(self) -> dict[str, Any]:
        """What `resumed` needs besides tensors, fit for JSON."""
        schedule = self._schedule
        return {
            "precision": self.precision,
            "schedule": {} if schedule is None else schedule.state_dict(),
            "groups": self.trainer.optimizers[0].state_dict()["param_groups"],
        }

    def tensors(self) -> dict[str, Tensor]:
        """Weights, averaged weights and the optimizer's moments, by dotted names."""
        found = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        if self._average is not None:
            mine = self._average.network.state_dict()
            found.update({f"average.{n}": t for n, t in mine.items()})
        moments = optimizer_tensors(self.trainer.optimizers[0])
        return found | {f"optimizer.{n}": t for n, t in moments.items()}

    def _restore(self, state: TrainingCheckpoint) -> None:
        with going_on("the run that was cut off"):
            self.network.load_state_dict(state.under("network"))
            if self._average is not None:
                self._average.network.load_state_dict(state.under("average"))
            restore_optimizer(
                self.trainer.optimizers[0],
                state.numbers["groups"],
                state.under("optimizer"),
            )
            if self._schedule is not None:
                known, kept = self._schedule.state_dict(), state.numbers["schedule"]
                check_alike("the schedule", kept, known)
                self._schedule.load_state_dict(kept)
        self.steps = state.position.first_step + state.position.steps
        self.epochs = state.position.first_epoch + state.position.epochs

    @property
    def best_network(self) -> UNet:
        """The averaged network where there is one, else the one in training."""
        return self.network if self._average is None else self._average.network

    def model(self) -> Model:
        """What is learnt so far, as a copy for others to keep, in evaluation mode.

        Its network lies on the device where it is trained.

        Raises
        ------
        TrainingError
            If the module was made without statistics.
        """
        if self.normalization is None:
            raise TrainingError(
                "This module does not know the statistics of its training data; make it "
                "with a normalization."
            )
        return Model(
            self.config,
            cast("UNet", plain(copy.deepcopy(self.best_network).eval().requires_grad_())),
            self.normalization,
            self.target_normalization,
            epochs=self.epochs,
            steps=self.steps,
            provenance=self.provenance,
        )

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        """The training loss of one batch, a float32 scalar, with the draws of step 0.

        Parameters
        ----------
        batch : tuple of Tensor
            What the dataset gives: ``(B, C, (Z), Y, X)`` float32 each.
        """
        seen, answer, _ = self.gradients.prepared(batch, MASKS, 0)
        return self._algorithm.loss(self.network(seen), answer)

    def _share(
        self, batch: tuple[Tensor, ...], which: Literal["train", "val"], number: int
    ) -> Share:
        """What of batch `number` is given."""
        if self.ranks.is_alone:
            return share_of(len(batch[0]), 0, 1)
        share: Share = self.trainer.datamodule.share(which, number)  # type: ignore[attr-defined]
        return share

    @property
    def _goes_by_steps(self) -> bool:
        return isinstance(self.config.algorithm_config.lr_scheduler, CosineConfig)
