"""Moving-average weights: what a network was on average over its last steps."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from napari_hush.models import UNet


class MovingAverage:
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
