"""Optimizer, learning-rate schedule and EMA weights."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from napari_hush.config import CosineConfig
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim.lr_scheduler import LRScheduler

    from napari_hush.config import AlgorithmConfig
    from napari_hush.models import UNet

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
    schedule: LRScheduler = schedule_class(optimizer, **wanted.model_dump(exclude={"name"}))
    return schedule


class EMAWeights:
    """A network whose weights are the exponential moving average of those of another.

    After step ``t`` (from 0) the average moves towards the trained weights by
    ``1 - min(decay, (1 + t) / (10 + t))``; the ramp, that of TensorFlow's
    ``ExponentialMovingAverage``, removes the random initial weights within a few steps.
    Means and variances of batch normalization are averaged, too (after Polyak and
    Juditsky, SIAM J. Control Optim. 30, 1992).

    The average spans about ``1 / (1 - decay)`` steps. `network` is the averaged network, in
    evaluation mode and on the device of the trained one.
    """

    def __init__(self, network: UNet, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._averages, self._trained = _columns(floats)
        self._counts, self._trained_counts = _columns(counts)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after `step`, counted from 0 at the start of the run."""
        keep = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averages, self._trained, 1 - keep)
        if self._counts:
            torch._foreach_copy_(self._counts, self._trained_counts)


def _tensors(network: UNet) -> list[Tensor]:
    return [*(p.detach() for p in network.parameters()), *network.buffers()]


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [first for first, _ in pairs], [second for _, second in pairs]
