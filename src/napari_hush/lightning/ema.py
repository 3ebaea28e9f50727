"""The exponential moving average of the weights of a network in training."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from napari_hush.models import UNet


class EMAWeights:
    """A network whose weights are the exponential moving average of those of another.

    After step ``t`` (from 0) the average moves towards the trained weights by
    ``1 - min(decay, (1 + t) / (10 + t))``; the ramp, that of TensorFlow's
    ``ExponentialMovingAverage``, removes the random initial weights within a few steps.
    Means and variances of batch normalization are averaged, too (after Polyak and
    Juditsky, SIAM J. Control Optim. 30, 1992).

    Without `ramp` it moves by ``1 - decay`` from the start, for initial weights that are
    worth keeping.

    The average spans about ``1 / (1 - decay)`` steps. `network` is the averaged network, in
    evaluation mode and on the device of the trained one.
    """

    def __init__(self, network: UNet, decay: float, *, ramp: bool = True) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self._ramp = decay, ramp
        pairs = list(zip(_tensors(self.network), _tensors(network), strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        counts = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._averages, self._trained = _columns(floats)
        self._counts, self._trained_counts = _columns(counts)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Add the weights after `step`, counted from 0 at the start of the run."""
        keep = min(self.decay, (1 + step) / (10 + step)) if self._ramp else self.decay
        torch._foreach_lerp_(self._averages, self._trained, 1 - keep)
        if self._counts:
            torch._foreach_copy_(self._counts, self._trained_counts)


def _tensors(network: UNet) -> list[Tensor]:
    return [*(p.detach() for p in network.parameters()), *network.buffers()]


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [first for first, _ in pairs], [second for _, second in pairs]
