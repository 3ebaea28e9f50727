"""Optimizer and schedule of the learning rate, built as the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_hush.config import CosineConfig
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    from napari_hush.config import AlgorithmConfig


def build_optimizer(
    config: AlgorithmConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of `config` for `parameters`.

    Raises
    ------
    ConfigurationError
        If the optimizer does not take the parameters it is given.
    """
    wish = config.optimizer
    optimizer_class: type[torch.optim.Optimizer] = getattr(torch.optim, wish.name)
    try:
        return optimizer_class(parameters, lr=wish.learning_rate, **wish.parameters)  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"The optimizer {wish.name} does not take these parameters: {error}."
        ) from error


def build_schedule(
    config: AlgorithmConfig, optimizer: torch.optim.Optimizer, total_steps: int
) -> LRScheduler:
    """The schedule of `config`, over `total_steps` optimizer steps."""
    wish = config.lr_scheduler
    if isinstance(wish, CosineConfig):
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total_steps)
    schedule_class = getattr(torch.optim.lr_scheduler, wish.name)
    schedule: LRScheduler = schedule_class(optimizer, **wish.model_dump(exclude={"name"}))
    return schedule
