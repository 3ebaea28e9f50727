"""The gradients of a batch: draws, forward, loss and backward, as much as fits at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from napari_hush import n2v
from napari_hush.dataset.batches import share as share_of
from napari_hush.errors import TrainingError
from napari_hush.events import BatchSplit
from napari_hush.lightning.cuda_graph import StepGraph
from napari_hush.models import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_hush.dataset import Share
    from napari_hush.events import OnProgress
    from napari_hush.lightning.algorithms import Algorithm
    from napari_hush.models import UNet


class MicroBatches:
    """How many patches fit through the network at once, found out by trying.

    Parameters
    ----------
    on_progress : callable
        Gets `BatchSplit`.
    alone : bool
        Whether this process trains alone. Several cannot take less at once: each waits
        for the others in the middle of a batch.

    Attributes
    ----------
    patches : int or None
        Patches that fit; None as long as every batch did.
    """

    def __init__(self, on_progress: OnProgress, *, alone: bool = True) -> None:
        self.patches: int | None = None
        self.alone = alone
        self._on_progress = on_progress

    def within(
        self, size: int, work: Callable[[int], Tensor], undo: Callable[[], None]
    ) -> Tensor:
        """Do ``work(patches at once)`` for a batch of `size`, with less until it fits.

        Parameters
        ----------
        size : int
            Patches in the batch.
        work : callable
            Told how many patches to take at once.
        undo : callable
            Takes back what a failed `work` had done.

        Raises
        ------
        TrainingError
            If not even one patch fits, or several processes train together.
        """
        while True:
            now = min(size, self.patches or size)
            try:
                return work(now)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if not self.alone:
                raise TrainingError(
                    f"{size} patches do not fit into the memory of one of the devices; use "
                    "a smaller batch_size, more devices or smaller patches."
                )
            # Beyond the except clause: the error holds on to what was computed so far.
            undo()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if now == 1:
                raise TrainingError(
                    "Not even one patch at a time fits into the memory of the device; use "
                    "smaller patches, fewer filters, or another device."
                )
            self.patches = (now + 1) // 2
            self._on_progress(BatchSplit(now, self.patches))


def parts(seen: Tensor, answer: Any, size: int) -> Iterator[tuple[Tensor, Any, Any]]:
    """Cut a prepared batch into pieces of `size` patches.

    Yields
    ------
    seen, answer : Tensor, Any
        As `napari_hush.lightning.algorithms.Algorithm` has them.
    share : float or Tensor
        What the piece's mean loss contributes to that of the batch.
    """
    patches = len(seen)
    if size >= patches:
        yield seen, answer, 1.0
        return
    whole = _weight(answer)
    for first in range(0, patches, size):
        last = min(first + size, patches)
        piece = _rows(answer, patches, first, last)
        yield seen[first:last], piece, _weight(piece) / whole


def _weight(answer: Any) -> Any:
    return answer.weights.sum() if isinstance(answer, n2v.Masked) else answer.numel()


def _rows(answer: Any, patches: int, first: int, last: int) -> Any:
    """The rows of patches ``first..last``; there may be several rows for each patch."""
    if isinstance(answer, Tensor):
        rows = len(answer) // patches
        return answer[first * rows : last * rows]
    fields = {
        field.name: _rows(value, patches, first, last)
        for field in dataclasses.fields(answer)
        if isinstance(value := getattr(answer, field.name), Tensor) and value.ndim
    }
    return dataclasses.replace(answer, **fields)


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

    def __init__(
        self, network: UNet, algorithm: Algorithm, seed: int, room: MicroBatches
    ) -> None:
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
