"""Optimizer and schedule of the learning rate, built as the configuration says."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING

import torch

from napari_hush.config import CosineConfig
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn
    from torch.optim.lr_scheduler import LRScheduler

    from napari_hush.config import AlgorithmConfig
    from napari_hush.models import UNet

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


class EMAWeights:
    """A second network whose weights follow those of a first one, and shake less.

    After step ``t`` (from 0) each weight moves towards the trained one by ``1 - min(decay,
    (1 + t) / (10 + t))``. The ramp forgets the random weights of the start within a few
    steps, so that short runs gain as well. Means and variances of batch normalisation are
    averaged alike, since they belong to the weights they were measured with.

    The idea is Polyak's and Juditsky's (SIAM J. Control Optim. 30, 1992); the ramp is
    the one of TensorFlow's ``ExponentialMovingAverage``.

    Parameters
    ----------
    network : UNet
        What is trained; it is only read.
    decay : float
        Share of the average that is kept per step, 0 to 1; about ``1 / (1 - decay)``
        steps are averaged over.

    Attributes
    ----------
    network : UNet
        The averaged one, in evaluation mode, on the device of the trained one.
    """

    def __init__(self, network: UNet, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        mine, theirs = _tensors(self.network), _tensors(network)
        pairs = list(zip(mine, theirs, strict=True))
        numbers = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._mine, self._theirs = _columns(numbers)
        self._my_counts, self._their_counts = _columns(counts)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 0 at the start of the run."""
        keep = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - keep)
        if self._my_counts:
            torch._foreach_copy_(self._my_counts, self._their_counts)


def _tensors(network: UNet) -> list[Tensor]:
    return [*(p.detach() for p in network.parameters()), *network.buffers()]


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [mine for mine, _ in pairs], [theirs for _, theirs in pairs]
