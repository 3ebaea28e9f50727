"""Optimizer and schedule of the learning rate, built as the configuration says."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch

from napari_hush.config import CosineConfig
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn
    from torch.optim.lr_scheduler import LRScheduler

    from napari_hush.config import AlgorithmConfig


_FUSED = ("cpu", "cuda")
"""Devices for which torch has optimizers that update all weights in one call."""


def build_optimizer(
    config: AlgorithmConfig, parameters: Iterable[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer of `config` for `parameters`, all weights in one step where it can.

    Parameters
    ----------
    config : AlgorithmConfig
        Which optimizer, and how fast.
    parameters : iterable of Parameter
        On the device where they are trained.

    Raises
    ------
    ConfigurationError
        If the optimizer does not take the parameters it is given.
    """
    wish = config.optimizer
    optimizer_class: type[torch.optim.Optimizer] = getattr(torch.optim, wish.name)
    weights = list(parameters)
    settings = dict(wish.parameters)
    if (
        weights[0].device.type in _FUSED
        and "fused" in inspect.signature(optimizer_class).parameters
        and not {"foreach", "differentiable"} & settings.keys()
    ):
        settings.setdefault("fused", True)
    try:
        return optimizer_class(weights, lr=wish.learning_rate, **settings)  # type: ignore[call-arg]
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
