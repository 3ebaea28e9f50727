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
        numbers = [tensor.is_floating_point() for tensor in mine]
        self._mine = [t for t, number in zip(mine, numbers, strict=True) if number]
        self._theirs = [t for t, number in zip(theirs, numbers, strict=True) if number]
        self._counts = [
            pair for *pair, number in zip(mine, theirs, numbers, strict=True) if not number
        ]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step`, counted from 0 at the start of the run."""
        keep = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - keep)
        for mine, theirs in self._counts:
            mine.copy_(theirs)


def _tensors(network: UNet) -> list[Tensor]:
    return [*(p.detach() for p in network.parameters()), *network.buffers()]
