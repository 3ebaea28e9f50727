"""The one LightningModule, for every algorithm, its optimizer and EMA weights."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import pytorch_lightning as L
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from napari_hush.config import Configuration, CosineConfig
from napari_hush.dataset.batches import share as share_of
from napari_hush.dataset.patch_dataset import RandomStream
from napari_hush.errors import ConfigurationError, TrainingError
from napari_hush.io.frames import middle_frame
from napari_hush.lightning import by_hand
from napari_hush.lightning.checkpoint import (
    Best,
    check_alike,
    explain_damage,
    optimizer_tensors,
    restore_optimizer,
)
from napari_hush.lightning.control import RunClock
from napari_hush.lightning.ema import EMAWeights
from napari_hush.lightning.gradients import (
    Gradients,
    MicroBatches,
    algorithm,
    simple_losses,
    split_batch,
)
from napari_hush.lightning.metrics import METRICS, pair_metrics
from napari_hush.lightning.process_group import ProcessGroup, plain
from napari_hush.models import Model, Precision, Provenance
from napari_hush.models.built_in import first_network, keep_statistics
from napari_hush.models.file import RECORD, model_header, model_of, tensor_bytes

if TYPE_CHECKING:
    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    from napari_hush.config import AlgorithmConfig
    from napari_hush.dataset import Share
    from napari_hush.events import Event, OnProgress
    from napari_hush.lightning.checkpoint import TrainingCheckpoint
    from napari_hush.lightning.predict_data_module import TileBatch, TilePrediction
    from napari_hush.models import UNet
    from napari_hush.models.normalization import Normalization


_WARMUP = 20
"""Default steps of the warm-up from built-in weights, see docs/dev/pretraining.md."""
_TRAINED = "napari_hush_trained"
"""Key in checkpoints: the trained weights, if those of the model are averaged."""
_FUSED = ("cpu", "cuda")
"""Devices with fused optimizers."""


def build_optimizer(
    config: AlgorithmConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of `config` for `parameters`, fused if their device has it.

    Raises ConfigurationError if it does not accept its configured parameters.
    """
    wanted = config.optimizer
    optimizer_class: type[torch.optim.Optimizer] = getattr(torch.optim, wanted.name)
    weights = list(parameters)
    settings = dict(wanted.parameters)
    if (
        weights[0].device.type in _FUSED
        and "fused" in inspect.signature(optimizer_class).parameters
        and not {"foreach", "differentiable"} & settings.keys()
    ):
        settings.setdefault("fused", True)
    try:
        return optimizer_class(weights, lr=wanted.learning_rate, **settings)  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The optimizer {wanted.name} does not accept these parameters: {error}."
        ) from error


def build_schedule(
    config: AlgorithmConfig, optimizer: torch.optim.Optimizer, total_steps: int
) -> LRScheduler:
    """The learning-rate schedule of `config` over `total_steps` optimizer steps."""
    wanted = config.lr_scheduler
    if isinstance(wanted, CosineConfig):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps)
    schedule_class = getattr(torch.optim.lr_scheduler, wanted.name)
    settings = wanted.model_dump(exclude={"name", "warmup_steps"})
    schedule: LRScheduler = schedule_class(optimizer, **settings)
    return schedule


def ignore_event(event: Event) -> None:
    """Report to nobody."""


class HushModule(L.LightningModule):
    """Train a U-Net with the algorithm of a configuration.

    `training_step` takes the whole optimizer step: gradients, gradient clipping,
    optimizer, schedule and EMA weights. `network` is trained in place, for `total_steps` in
    the whole run. `first_step` and `first_epoch` are done before it, so that random draws
    do not repeat. The normalizations, statistics of the training data, belong to the model.
    `on_progress` gets the events of callbacks; `clock` leaves out pauses.

    In a Trainer of your own, ``HushModule(config)`` is enough: the network is new, the
    normalizations are those of the data module, and the number of steps that of the
    Trainer. ``train_loss`` and ``val_loss`` are logged for each epoch. A file that a
    ``ModelCheckpoint`` writes holds the EMA weights; ``CAREamist(path)`` and
    ``HushModule.load_from_checkpoint(path)`` open it.
    """

    def __init__(
        self,
        config: Configuration | dict[str, Any],
        network: UNet | None = None,
        total_steps: int | None = None,
        first_step: int = 0,
        *,
        first_epoch: int = 0,
        normalization: Normalization | None = None,
        target_normalization: Normalization | None = None,
        on_progress: OnProgress = ignore_event,
        clock: RunClock | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        if isinstance(config, dict):  # from a checkpoint
            config = Configuration.build(config, written_by_hush=True)
        self.provenance = Provenance()
        if network is None:
            network, self.provenance = first_network(config)
        self.config = config
        self.network = network
        self.total_steps = total_steps
        self.first_step = first_step
        # Done so far, before this run included.
        self.epochs, self.steps = first_epoch, first_step
        self.normalization = normalization
        self.target_normalization = target_normalization
        self.on_progress = on_progress
        self.clock = clock or RunClock()
        self.micro_batches = MicroBatches(on_progress)
        # Losses to report, on the device: fetching each one would make a GPU wait.
        self.step_losses: list[Tensor] = []
        self.val_loss: float | None = None  # of the last epoch, until it is reported
        self.batch_size = 0  # patches of the last step, over all processes
        # Number of processes that are to stop, a scalar; the same in all of them.
        self.stop_requests: Tensor | None = None
        # Set before a run.
        self.by_hand = True
        """Whether the Trainer is the user's own, without the callbacks of `train`."""
        self.precision: Precision = "32"
        self.resumed: TrainingCheckpoint | None = None
        self.ranks = ProcessGroup()
        self.wants_stop: Callable[[], bool] = lambda: False
        self.best: Best | None = None
        self._ema: EMAWeights | None = None
        self._before = first_epoch  # epochs before the current one
        self._trained: dict[str, Tensor] | None = None  # weights of a file, not averaged
        self._schedule: LRScheduler | None = None
        wanted = config.algorithm_config.lr_scheduler
        self._steps_schedule = isinstance(wanted, CosineConfig)  # others step by epoch
        self._algorithm = algorithm(config.algorithm_config)
        self.gradients = Gradients(
            network, self._algorithm, config.data_config.seed, self.micro_batches
        )
        self._val_losses: list[Tensor] = []
        self._val_metrics: list[Tensor] = []
        self.val_metrics: dict[str, float] = {}  # of the last validation
        # Validation losses of predictions without training, once they are known.
        self.simple_losses: list[float] | None = None
        self._simple: list[Tensor] = []

    @property
    def is_pretrained(self) -> bool:
        """Whether the network began with the weights of a built-in one."""
        return bool(self.provenance.built_in)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, in which batch normalization may keep its statistics."""
        super().train(mode)
        self._keep_statistics()
        return self

    def _keep_statistics(self) -> None:
        """Keep the statistics of pretraining where that helps (docs/dev/pretraining.md).

        Noise2Noise and CARE learn better with them, Noise2Void with those of the patches.
        """
        if self.is_pretrained and self.config.algorithm_config.needs_targets:
            keep_statistics(self.network)

    # ---- called by Lightning ----

    def setup(self, stage: str) -> None:
        """In a Trainer of the user, take what `train` would give."""
        if self.by_hand:
            by_hand.set_up(self, stage)

    def on_train_start(self) -> None:
        """Start the EMA weights, on the device of the network."""
        self._keep_statistics()
        decay = self.config.training_config.ema_decay
        if decay:
            self._ema = EMAWeights(self.network, decay, ramp=not self._begins_well)
        if self.trainer.ckpt_path is None:
            self.first_step = self.steps
        elif self._trained is not None:
            self.network.load_state_dict(self._trained)
        self._trained = None
        if self.resumed is not None:
            self._restore(self.resumed)
        self.gradients.start(self.device)

    def on_train_end(self) -> None:
        """Free the memory of the CUDA graph."""
        self.gradients.end()

    def on_train_epoch_start(self) -> None:
        """Note the number of the epoch."""
        self._before = self.epochs

    def on_train_epoch_end(self) -> None:
        """Log the loss and end the epoch, unless a callback of `train` did."""
        if not self.by_hand or not self.step_losses:
            return
        loss = float(torch.stack(self.step_losses).mean())
        self.step_losses.clear()
        self.log("train_loss", loss, prog_bar=True)
        monitored, self.val_loss = self.val_loss, None
        self.end_epoch(self.epochs + 1, loss if monitored is None else monitored)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add all that the model needs, and make its weights those that are averaged."""
        checkpoint["hyper_parameters"] = {"config": self.config.model_dump(mode="json")}
        checkpoint[RECORD] = model_header(replace(self.model(), epochs=self._epochs_now))
        if self._ema is not None:
            checkpoint[_TRAINED] = self.network.state_dict()
            averaged = self._ema.network.state_dict()
            checkpoint["state_dict"] = {f"network.{n}": t for n, t in averaged.items()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take what `on_save_checkpoint` added; Lightning loads the weights."""
        content = tensor_bytes(self.network.state_dict(), checkpoint[RECORD])
        model = model_of(content, "the checkpoint")
        self.normalization = model.normalization
        self.target_normalization = model.target_normalization
        self.epochs, self.steps = model.epochs, model.steps
        self.provenance = model.provenance
        self._trained = checkpoint.get(_TRAINED)

    @property
    def _epochs_now(self) -> int:
        """Complete epochs, the current one included if its last step is done."""
        return self._before + bool(self.trainer.is_last_batch)

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Take one optimizer step; return the loss before it."""
        optimizer: Any = self.optimizers()
        share = self._share(batch, "train", batch_idx)
        self.batch_size = share.whole
        loss = self.gradients.compute(batch, self.steps, share)
        if not self.ranks.is_alone:
            loss, self.stop_requests = self.ranks.sum_gradients(
                self.network, loss, self.wants_stop()
            )
        # Lightning runs the whole step under autocast, which only the loss should use.
        with torch.autocast(loss.device.type, enabled=False):
            if max_norm := self.config.training_config.gradient_clip_norm:
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), max_norm)
            with self._warming_up(optimizer):
                optimizer.step()
        if self._ema is not None:
            self._ema.update(self.steps - self.first_step)
        if self._schedule is not None and self._steps_schedule:
            self._schedule.step()
        self.steps += 1
        self.step_losses.append(loss)
        return loss

    @contextmanager
    def _warming_up(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Reduce the learning rate in this context in the first steps of a run."""
        groups, factor = optimizer.param_groups, self.warmup_factor
        rates = [group["lr"] for group in groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = factor * rate
        try:
            yield
        finally:
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate

    @property
    def _begins_well(self) -> bool:
        """Whether the first weights are worth keeping.

        For structN2V built-in ones are not: to them correlated noise looks like structure.
        """
        method = self.config.algorithm_config
        hides = not method.needs_targets and method.n2v_config.hides_neighbours
        return self.is_pretrained and not hides

    @property
    def warmup_factor(self) -> float:
        """Factor of the learning rate of the schedule, above 0 up to 1."""
        warmup = self.config.algorithm_config.lr_scheduler.warmup_steps
        if warmup is None:
            warmup = _WARMUP if self.is_pretrained else 0
        return min(1.0, (1 + self.steps - self.first_step) / warmup) if warmup else 1.0

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Collect the loss of one batch, with the same masks in every epoch."""
        share = self._share(batch, "val", batch_idx)
        seen, answer, part = self.gradients.prepare(
            batch, RandomStream.VALIDATION_MASKS, batch_idx, share
        )
        network = self.best_network

        metrics: list[Tensor] = []

        def evaluate(size: int) -> Tensor:
            metrics.clear()  # of a try that did not fit into memory
            losses = []
            for x, y, weight in split_batch(seen, answer, size):
                prediction = network(x)
                losses.append(weight * self._algorithm.loss(prediction, y))
                if isinstance(y, Tensor):
                    metrics.append(pair_metrics(prediction, y))
            return torch.stack(losses).sum()

        loss = torch.zeros((), device=seen.device)
        if share.count:
            loss = self.micro_batches.run(len(seen), evaluate, lambda: None) * part
        if self.simple_losses is None:
            config = network.config
            frame = middle_frame(seen, config.time_context)
            loss_of = self._algorithm.loss
            simple = simple_losses(loss_of, frame, answer, config.num_classes)
            self._simple.append(simple * part * share.whole)
        self._val_metrics += metrics
        self._val_losses.append(loss.detach() * share.whole)
        self._val_losses.append(torch.tensor(float(share.whole), device=loss.device))

    def on_validation_epoch_start(self) -> None:
        """Clear the losses of the last epoch."""
        self._val_losses.clear()
        self._val_metrics = []

    def on_validation_epoch_end(self) -> None:
        """Average the losses over the patches."""
        if self._val_losses:
            sums = torch.stack(self._val_losses).reshape(-1, 2).sum(0)
            self.val_loss = float(self.ranks.total(sums[0]) / sums[1])
            if self.simple_losses is None:  # the same in every epoch
                simple = self.ranks.total(torch.stack(self._simple).sum(0)) / sums[1]
                self.simple_losses = [float(loss) for loss in simple]
            self.log(
                "val_loss",
                self.val_loss,
                logger=None if self.by_hand else False,
                prog_bar=self.by_hand,
            )
            if self.config.algorithm_config.needs_targets:
                sums = torch.stack([sums.new_zeros(2, 2), *self._val_metrics]).sum(0)
                found = zip(METRICS, self.ranks.total(sums).tolist(), strict=True)
                self.val_metrics = {name: sum_ / n for name, (sum_, n) in found if n}
                self.log_dict(self.val_metrics, logger=None if self.by_hand else False)
            if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
                self._keep_if_best(self.val_loss)

    def _keep_if_best(self, val_loss: float) -> None:
        if self.normalization is None or not math.isfinite(val_loss):
            return
        if self.best is None or val_loss < self.best.val_loss:
            model = self.model()
            model.network.to("cpu")
            self.best = Best(val_loss, replace(model, epochs=self._epochs_now))

    def predict_step(self, batch: TileBatch) -> list[TilePrediction]:
        """Denoise a batch of `PredictDataModule`, which makes images of all results."""
        pixels, images, tiles = batch
        model = self.model()
        clean = self.best_network(pixels).float()
        clean = model.output_normalization.denormalize(clean).cpu()
        return [
            (number, tile, result[(slice(None), *tile.crop)].numpy())
            for number, tile, result in zip(images, tiles, clean, strict=True)
        ]

    def configure_optimizers(self) -> Any:
        """Build the optimizer and the schedule of the learning rate."""
        config = self.config.algorithm_config
        optimizer = build_optimizer(config, self.network.parameters())
        if self.total_steps is None:
            needed = self._steps_schedule
            self.total_steps = by_hand.total_steps(self.trainer, needed=needed)
        self._schedule = build_schedule(config, optimizer, self.total_steps)
        return {"optimizer": optimizer, "lr_scheduler": self._schedule}

    # ---- called by the run ----

    def end_epoch(self, epochs: int, monitored_loss: float | None) -> None:
        """Set the number of complete epochs; advance schedules that step by epoch.

        `monitored_loss` is None after epochs without validation.
        """
        self.epochs = epochs
        schedule = self._schedule
        if isinstance(schedule, ReduceLROnPlateau):
            if monitored_loss is not None:
                schedule.step(monitored_loss)
        elif schedule is not None and not self._steps_schedule:
            schedule.step()

    def numbers(self) -> dict[str, Any]:
        """Numbers of a checkpoint, as JSON can hold them."""
        schedule = self._schedule
        return {
            "precision": self.precision,
            "schedule": {} if schedule is None else schedule.state_dict(),
            "groups": self.trainer.optimizers[0].state_dict()["param_groups"],
            "best": None if self.best is None else self.best.numbers,
        }

    def tensors(self) -> dict[str, Tensor]:
        """Weights, EMA weights and moments of the optimizer, by dotted names."""
        found = {f"network.{n}": t for n, t in self.network.state_dict().items()}
        if self._ema is not None:
            averaged = self._ema.network.state_dict()
            found |= {f"average.{n}": t for n, t in averaged.items()}
        if self.best is not None:
            best = self.best.model.network.state_dict()
            found |= {f"best.{n}": t for n, t in best.items()}
        moments = optimizer_tensors(self.trainer.optimizers[0])
        return found | {f"optimizer.{n}": t for n, t in moments.items()}

    def _restore(self, checkpoint: TrainingCheckpoint) -> None:
        with explain_damage("the interrupted run"):
            self.network.load_state_dict(checkpoint.under("network"))
            if self._ema is not None:
                self._ema.network.load_state_dict(checkpoint.under("average"))
            restore_optimizer(
                self.trainer.optimizers[0],
                checkpoint.numbers["groups"],
                checkpoint.under("optimizer"),
            )
            if self._schedule is not None:
                schedule = checkpoint.numbers["schedule"]
                check_alike("the schedule", schedule, self._schedule.state_dict())
                self._schedule.load_state_dict(schedule)
        self.best = checkpoint.best
        self.steps = checkpoint.position.model_steps
        self.epochs = checkpoint.position.model_epochs

    @property
    def best_network(self) -> UNet:
        """The network with EMA weights if there is one, otherwise the trained network."""
        return self.network if self._ema is None else self._ema.network

    def model(self) -> Model:
        """A copy of the current model in evaluation mode, on the training device.

        Raises TrainingError if the module was made without a normalization.
        """
        if self.normalization is None:
            raise TrainingError(
                "This module has no statistics of its training data; make it with a "
                "normalization."
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
        """Training loss of a batch ``(B, C, (Z), Y, X)`` with the draws of step 0."""
        seen, answer, _ = self.gradients.prepare(batch, RandomStream.TRAINING_MASKS, 0)
        return self._algorithm.loss(self.network(seen), answer)

    def _share(
        self, batch: tuple[Tensor, ...], which: Literal["train", "val"], number: int
    ) -> Share:
        """The part of batch `number` that this process has."""
        if self.ranks.is_alone:
            return share_of(len(batch[0]), 0, 1)
        share: Share = self.trainer.datamodule.share(which, number)  # type: ignore[attr-defined]
        return share
