"""The one LightningModule, for every algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as L
import torch
from torch import Tensor

from napari_hush.config import Configuration, CosineConfig
from napari_hush.errors import ConfigurationError
from napari_hush.lightning.algorithms import algorithm

if TYPE_CHECKING:
    from napari_hush.models import UNet

_MASKS = 4
"""Marks training masks among the random streams of a seed."""
_VAL_MASKS = 5
"""Marks validation masks among the random streams of a seed."""


class HushModule(L.LightningModule):
    """Train a U-Net with the algorithm of a configuration.

    Parameters
    ----------
    config : Configuration
        Algorithm, optimizer, schedule and seed.
    network : UNet
        What is trained, in place.
    total_steps : int
        Optimizer steps of the whole run, for schedules that end with it.
    first_step : int
        Optimizer steps taken before this run; keeps random draws from repeating.

    Attributes
    ----------
    step_losses : list of Tensor
        Losses of the steps since somebody last emptied it; still on the device, because
        fetching each one would make a GPU wait.
    """

    def __init__(
        self, config: Configuration, network: UNet, total_steps: int, first_step: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.network = network
        self.total_steps = total_steps
        self.first_step = first_step
        self.step_losses: list[Tensor] = []
        self.val_loss: float | None = None
        self._algorithm = algorithm(config.algorithm_config)
        self._val_losses: list[Tensor] = []

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        loss = self._loss(batch, _MASKS, self.first_step + self.global_step)
        self.step_losses.append(loss.detach())
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> None:
        """Collect the loss of one batch, with the same masks in every epoch."""
        loss = self._loss(batch, _VAL_MASKS, batch_idx)
        self._val_losses.append(loss.detach() * len(batch[0]))
        self._val_losses.append(torch.tensor(float(len(batch[0])), device=loss.device))

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's losses."""
        self._val_losses.clear()

    def on_validation_epoch_end(self) -> None:
        """Average over the patches."""
        if self._val_losses:
            sums = torch.stack(self._val_losses).reshape(-1, 2).sum(0)
            self.val_loss = float(sums[0] / sums[1])
            self.log("val_loss", self.val_loss)

    def configure_optimizers(self) -> Any:
        """Build the optimizer and the schedule of the learning rate."""
        config = self.config.algorithm_config.optimizer
        optimizer_class = getattr(torch.optim, config.name)
        try:
            optimizer = optimizer_class(
                self.network.parameters(), lr=config.learning_rate, **config.parameters
            )
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The optimizer {config.name} does not take these parameters: {error}."
            ) from error
        schedule = self.config.algorithm_config.lr_scheduler
        if isinstance(schedule, CosineConfig):
            falling = torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, self.total_steps
            )
            scheduler = {"scheduler": falling, "interval": "step"}
        else:
            scheduler_class = getattr(torch.optim.lr_scheduler, schedule.name)
            values = schedule.model_dump(exclude={"name"})
            scheduler = {
                "scheduler": scheduler_class(optimizer, **values),
                "interval": "epoch",
                "monitor": "monitored_loss",
            }
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def _loss(self, batch: tuple[Tensor, ...], stream: int, number: int) -> Tensor:
        generator = torch.Generator(device=batch[0].device)
        generator.manual_seed(_seed(self.config.data_config.seed, stream, number))
        seen, answer = self._algorithm.prepare(batch, generator)
        if seen.ndim == 4:
            seen = seen.contiguous(memory_format=torch.channels_last)
        return self._algorithm.loss(self.network(seen), answer)


def _seed(*key: int) -> int:
    """One number out of several, so that neighbouring keys give unrelated draws."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
