"""Training steps as a CUDA graph.

A step of a small network has hundreds of short kernels, each of which takes longer to
launch than to run. A CUDA graph launches all of them in one call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch import nn

_log = logging.getLogger(__name__)

_WARM_UP = 3
"""Steps before the capture, in which libraries choose kernels and tables are made."""


class StepGraph:
    """Gradients of batches of one shape, computed by replaying a captured step."""

    def __init__(self, device: torch.device, weights: Iterable[nn.Parameter]) -> None:
        self._possible = device.type == "cuda"
        self._weights = list(weights)
        self._gradients: list[Tensor | None] = []
        self._generator = torch.Generator(device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._shapes: list[torch.Size] = []
        self._repeats = 0
        self._batch: tuple[Tensor, ...] = ()
        self._loss: Tensor

    @property
    def is_captured(self) -> bool:
        """Whether a step has been captured."""
        return self._graph is not None

    def give_up(self) -> None:
        """Capture nothing from now on, and free the graph."""
        self._possible, self._graph = False, None
        self._batch, self._gradients = (), []

    def gradients(
        self,
        batch: tuple[Tensor, ...],
        seed: int,
        step: Callable[[tuple[Tensor, ...], torch.Generator], Tensor],
    ) -> Tensor | None:
        """Loss of `batch` with gradients of ``step(batch, generator)``; None: no replay."""
        shapes = [part.shape for part in batch]
        if not self._possible:
            return None
        if self._graph is None:
            self._repeats = self._repeats + 1 if shapes == self._shapes else 0
            self._shapes = shapes
            if self._repeats < _WARM_UP or not self._capture(batch, step):
                return None
        elif shapes != self._shapes:
            return None
        assert self._graph is not None  # noqa: S101 - narrows a type
        for mine, new in zip(self._batch, batch, strict=True):
            mine.copy_(new)
        self._generator.manual_seed(seed)
        self._graph.replay()
        # Replays write into the captured tensors; Lightning sets gradients to None before
        # it validates.
        for weight, gradient in zip(self._weights, self._gradients, strict=True):
            weight.grad = gradient
        return self._loss.clone()

    def _capture(
        self,
        batch: tuple[Tensor, ...],
        step: Callable[[tuple[Tensor, ...], torch.Generator], Tensor],
    ) -> bool:
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        self._batch = tuple(part.clone() for part in batch)
        self._remove_gradients()
        try:
            # Other threads may use the GPU at the same time, for previews.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._loss = step(self._batch, self._generator)
        except RuntimeError:
            _log.info("Steps are not captured as a CUDA graph.", exc_info=True)
            self.give_up()
            self._remove_gradients()
            return False
        self._graph = graph
        self._gradients = [weight.grad for weight in self._weights]
        return True

    def _remove_gradients(self) -> None:
        """Set gradients to None, so that the next backward pass makes new tensors."""
        for weight in self._weights:
            weight.grad = None
