"""The gradients of a batch: draws, forward, loss and backward, as much as fits at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_hush.dataset.share import share as share_of
from napari_hush.lightning.memory import parts
from napari_hush.lightning.step_graph import StepGraph

if TYPE_CHECKING:
    from torch import Tensor

    from napari_hush.dataset import Share
    from napari_hush.lightning.algorithms import Algorithm
    from napari_hush.lightning.memory import Room
    from napari_hush.models import UNet

MASKS = 4
"""Marks training masks among the random streams of a seed."""


class Gradients:
    """Computes gradients in the weights of a network, by a recorded step where it can.

    Parameters
    ----------
    network : UNet
        What is trained.
    algorithm : Algorithm
        How batches become inputs and losses.
    seed : int
        Of every draw.
    room : Room
        How many patches fit through the network at once.
    """

    def __init__(self, network: UNet, algorithm: Algorithm, seed: int, room: Room) -> None:
        self._network = network
        self._algorithm = algorithm
        self._seed = seed
        self._room = room
        self._graph: StepGraph | None = None

    def start(self, device: torch.device) -> None:
        """Record steps from now on, now that the network is on `device`."""
        self._graph = StepGraph(device, self._network.parameters())

    def end(self) -> None:
        """Free the memory of the recorded step, and the gradients."""
        self._graph = None
        self._network.zero_grad()

    def of(self, batch: tuple[Tensor, ...], number: int, share: Share) -> Tensor:
        """Compute the gradients of one batch; return its loss.

        Parameters
        ----------
        batch : tuple of Tensor
            What the dataset gives: ``(B, C, (Z), Y, X)`` float32 each.
        number : int
            Of the step; draws depend on it.
        share : Share
            What of the batch is given.
        """
        graph, seed = self._graph, _mixed(self._seed, MASKS, number)
        if self._room.patches is None and self._room.alone and graph is not None:

            def learn(pixels: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
                seen, answer, _ = self._drawn(pixels, generator, share)
                loss = self._algorithm.loss(self._network(seen), answer)
                with torch.autocast(loss.device.type, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
                return loss.detach()

            loss = graph.gradients(batch, seed, learn)
            if loss is not None:
                return loss
        self._network.zero_grad()
        return self.computed(*self.prepared(batch, MASKS, number, share))

    def prepared(
        self,
        batch: tuple[Tensor, ...],
        stream: int,
        number: int,
        share: Share | None = None,
    ) -> tuple[Tensor, Any, float | Tensor]:
        """What the network sees, the answer, and what counts in the loss of all.

        Draws are number `number` of `stream`; `share` is what of the batch is given.
        """
        share = share or share_of(len(batch[0]), 0, 1)
        generator = torch.Generator(device=batch[0].device)
        generator.manual_seed(_mixed(self._seed, stream, number))
        return self._drawn(batch, generator, share)

    def _drawn(
        self, batch: tuple[Tensor, ...], generator: torch.Generator, share: Share
    ) -> tuple[Tensor, Any, float | Tensor]:
        mine = tuple(tensor[: share.count] for tensor in batch)
        seen, answer, part = self._algorithm.prepare(mine, generator, share)
        if seen.ndim == 4:
            seen = seen.contiguous(memory_format=torch.channels_last)
        return seen, answer, part

    def computed(self, seen: Tensor, answer: Any, part: float | Tensor = 1.0) -> Tensor:
        """Compute gradients, of as many patches at once as there is room for."""
        measured = [b for b in self._network.buffers() if b.is_floating_point()]
        before = [buffer.clone() for buffer in measured]
        patches = len(seen)

        def learn(size: int) -> Tensor:
            losses = []
            for x, y, share in parts(seen, answer, size):
                prediction = self._network(x)
                if patches:
                    loss = self._algorithm.loss(prediction, y)
                else:  # only to take part in what the others measure together
                    loss = prediction.float().sum()
                if size < patches:
                    loss = loss * share
                if not self._room.alone:
                    loss = loss * part
                with torch.autocast(loss.device.type, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
            return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

        def forget() -> None:
            if self._graph is not None:  # it has memory of its own
                self._graph.give_up()
            self._network.zero_grad()
            with torch.no_grad():
                for buffer, value in zip(measured, before, strict=True):
                    buffer.copy_(value)

        return self._room.within(patches, learn, forget)


def _mixed(*key: int) -> int:
    """One number out of several, so that neighbouring keys give unrelated draws."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
