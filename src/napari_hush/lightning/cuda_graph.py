"""A training step recorded once and replayed: a GPU then never waits for Python.

A step of a small network is hundreds of short kernels, and starting each of them takes
longer than running it. A CUDA graph starts all of them in one call.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import nn

_log = logging.getLogger(__name__)

_WARM_UP = 3
"""Steps done one kernel at a time before recording: libraries choose their kernels, and
tables are made."""


class StepGraph:
    """Gradients of batches of one shape, by replaying those of the first ones.

    Replays compute what the recorded calls would: only the pixels and the seed of the
    draws differ. Nothing is recorded where there is no NVIDIA GPU, or where recording
    fails.

    Parameters
    ----------
    device : torch.device
        Where the network is.
    weights : iterable of Parameter
        What gets gradients.
    """

    def __init__(self, device: torch.device, weights: Iterable[nn.Parameter]) -> None:
        self._possible = device.type == "cuda"
        self._weights = list(weights)
        self._gradients: list[Tensor | None] = []
        self._generator = torch.Generator(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._shapes: list[torch.Size] = []
        self._alike = 0
        self._batch: tuple[Tensor, ...] = ()
        self._loss: Tensor

    @property
    def is_recorded(self) -> bool:
        """Whether there is something to replay."""
        return self._graph is not None

    def give_up(self) -> None:
        """Record nothing any more, and forget what was."""
        self._possible, self._graph = False, None
        self._batch, self._gradients = (), []

    def gradients(
        self,
        batch: tuple[Tensor, ...],
        seed: int,
        learn: Callable[[tuple[Tensor, ...], torch.Generator], Tensor],
    ) -> Tensor | None:
        """Loss of `batch`, its gradients in the weights; None if nothing was done.

        Parameters
        ----------
        batch : tuple of Tensor
            Pixels, on the device.
        seed : int
            Of the draws.
        learn : callable
            ``(batch, generator) -> loss``: computes gradients; recorded once.
        """
        shapes = [part.shape for part in batch]
        if not self._possible:
            return None
        if self._graph is None:
            self._alike = self._alike + 1 if shapes == self._shapes else 0
            self._shapes = shapes
            if self._alike < _WARM_UP or not self._record(batch, learn):
                return None
        elif shapes != self._shapes:
            return None
        assert self._graph is not None  # noqa: S101 - narrows a type
        for mine, new in zip(self._batch, batch, strict=True):
            mine.copy_(new)
        self._generator.manual_seed(seed)
        self._graph.replay()
        # Replays write where the recording did, whoever took gradients away meanwhile:
        # Lightning does before it validates.
        for weight, gradient in zip(self._weights, self._gradients, strict=True):
            weight.grad = gradient
        return self._loss.clone()

    def _record(
        self,
        batch: tuple[Tensor, ...],
        learn: Callable[[tuple[Tensor, ...], torch.Generator], Tensor],
    ) -> bool:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        self._batch = tuple(part.clone() for part in batch)
        self._let_go()
        try:
            # Other threads may use the GPU meanwhile, to denoise for a viewer.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._loss = learn(self._batch, self._generator)
        except RuntimeError:
            _log.info("Steps are not recorded as a CUDA graph.", exc_info=True)
            self.give_up()
            self._let_go()
            return False
        self._graph = graph
        self._gradients = [weight.grad for weight in self._weights]
        return True

    def _let_go(self) -> None:
        """Take gradients from the weights, so that others are made and not added to."""
        for weight in self._weights:
            weight.grad = None
