"""Gradients of a batch: random draws, forward, loss and backward, in micro-batches.

A new paired loss is one function, as those of ``torch.nn.functional``, and its line in
``_LOSSES``, and its name in `napari_hush.config`; network, data, optimizer and loop stay
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_hush import n2v
from napari_hush.dataset.batches import share as share_of
from napari_hush.dataset.patch_dataset import RandomStream
from napari_hush.errors import TrainingError
from napari_hush.events import BatchSplit
from napari_hush.io.frames import middle_frame
from napari_hush.lightning.cuda_graph import StepGraph
from napari_hush.models import is_out_of_memory

if TYPE_CHECKING:
    from napari_hush.config import AlgorithmConfig
    from napari_hush.dataset import Share
    from napari_hush.events import OnProgress
    from napari_hush.models import UNet

    Prepared = tuple[Tensor, Any, float | Tensor]


@dataclass(frozen=True)
class Algorithm:
    """The parts of training in which methods differ."""

    prepare: Callable[[tuple[Tensor, ...], torch.Generator, Share], Prepared]
    """``(batch, generator, share) -> (input, answer, part)``: from tensors
    ``(B, C, *spatial)``, which are `share` of a batch, to the input of the network, the
    second argument of `loss`, and their weight in the loss of the whole batch."""
    loss: Callable[[Tensor, Any], Tensor]
    """``(prediction, answer) -> Tensor``: a float32 scalar."""


def algorithm(config: AlgorithmConfig) -> Algorithm:
    """The algorithm of `config`."""
    if config.algorithm == "n2v":
        return Algorithm(partial(_n2v, config=config), n2v.loss)
    return Algorithm(_pairs, partial(_paired_loss, error=_LOSSES[config.loss]))


def _n2v(
    batch: tuple[Tensor, ...],
    generator: torch.Generator,
    share: Share,
    *,
    config: AlgorithmConfig,
) -> Prepared:
    context = config.model.time_context
    frame = middle_frame(batch[0], context)
    masked = n2v.mask(frame, config.n2v_config, generator, share.first, share.whole)
    if len(batch) > 1:  # Pixels that a masked array leaves out are no targets.
        # The part of a process in a batch stays that of its patches: how many of the other
        # processes' pixels are left out is not known here.
        valid = batch[1].flatten(2).flatten(0, 1).gather(1, masked.pixels)
        masked = replace(masked, weights=masked.weights * valid)
    seen = masked.patches
    if context:  # Noise of other frames is independent, so their pixels may be seen.
        seen = batch[0].clone()
        middle_frame(seen, context).copy_(masked.patches)
    return seen, masked, masked.part


@dataclass(frozen=True)
class _MaskedTarget:
    """A target, and 0 at its masked pixels, else 1; both ``(B, C, *spatial)`` float32."""

    target: Tensor
    weights: Tensor


def _pairs(batch: tuple[Tensor, ...], generator: torch.Generator, share: Share) -> Prepared:
    answer = batch[1] if len(batch) == 2 else _MaskedTarget(*batch[1:])
    return batch[0], answer, share.count / share.whole


def _paired_loss(
    prediction: Tensor, answer: Tensor | _MaskedTarget, *, error: Callable[..., Tensor]
) -> Tensor:
    if isinstance(answer, Tensor):
        return error(prediction.float(), answer)
    errors = error(prediction.float(), answer.target, reduction="none")
    return (answer.weights * errors).sum() / answer.weights.sum().clamp(min=1)


_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mae": functional.l1_loss,
    "mse": functional.mse_loss,
}


@dataclass
class MicroBatches:
    """Finds the number of patches that fit into memory at once, by trial.

    `patches` is that number, or None as long as all batches fit. Processes that do not
    train `alone` cannot split a batch, because each waits for the others within it.
    """

    on_progress: OnProgress
    alone: bool = True
    patches: int | None = None

    def run(
        self, size: int, work: Callable[[int], Tensor], undo: Callable[[], None]
    ) -> Tensor:
        """Return ``work(patches)``, with fewer until it fits; `undo` reverts a try."""
        while True:
            patches = min(size, self.patches or size)
            try:
                return work(patches)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if not self.alone:
                raise TrainingError(
                    f"{size} patches do not fit into the memory of one of the devices; use "
                    "a smaller batch_size, more devices or smaller patches."
                )
            # Outside the except clause, because the error keeps tensors alive.
            undo()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if patches == 1:
                raise TrainingError(
                    "Not even one patch at a time fits into the memory of the device; use "
                    "smaller patches, fewer filters, or another device."
                )
            self.patches = (patches + 1) // 2
            self.on_progress(BatchSplit(patches, self.patches))


def split_batch(seen: Tensor, answer: Any, size: int) -> Iterator[tuple[Tensor, Any, Any]]:
    """Split a prepared batch into pieces; each with its weight in the loss of the batch."""
    patches = len(seen)
    if size >= patches:
        yield seen, answer, 1.0
        return
    whole = _weight(answer)
    for first in range(0, patches, size):
        last = min(first + size, patches)
        piece = _rows(answer, patches, first, last)
        yield seen[first:last], piece, _weight(piece) / whole


SIMPLE = (
    "the mean of the images",
    "the noisy images themselves",
    "a blur of 3 pixels",
    "a blur of 5 pixels",
)
"""Predictions that need no training, in words."""


def simple_losses(
    loss: Callable[[Tensor, Any], Tensor], seen: Tensor, answer: Any, channels: int
) -> Tensor:
    """Losses of the predictions of `SIMPLE` for a prepared batch.

    Only that of the mean if the network returns another number of `channels`, and zeros
    without patches.
    """
    mean = seen.new_zeros(len(seen), channels, *seen.shape[2:])
    found = [mean]
    if channels == seen.shape[1]:
        found += [seen, *(_blurred(seen, size) for size in (3, 5))]
    if not len(seen):
        return seen.new_zeros(len(found))
    return torch.stack([loss(prediction, answer) for prediction in found])


def _blurred(pixels: Tensor, size: int) -> Tensor:
    """Means of `size` pixels along each axis; fewer along axes that are shorter."""
    kernel = [min(size, n - 1 + n % 2) for n in pixels.shape[2:]]
    padding = [n // 2 for n in kernel]
    blur = functional.avg_pool2d if pixels.ndim == 4 else functional.avg_pool3d
    return blur(pixels, kernel, 1, padding, count_include_pad=False)


def _weight(answer: Any) -> Any:
    if isinstance(answer, Tensor):
        return answer.numel()
    return answer.weights.sum().clamp(min=1)  # 0 where all pixels are masked


def _rows(answer: Any, patches: int, first: int, last: int) -> Any:
    """Rows of patches ``first..last``; a patch may have several."""
    if isinstance(answer, Tensor):
        rows = len(answer) // patches
        return answer[first * rows : last * rows]
    parts = {
        field.name: _rows(value, patches, first, last)
        for field in fields(answer)
        if isinstance(value := getattr(answer, field.name), Tensor) and value.ndim
    }
    return replace(answer, **parts)


@dataclass(eq=False)
class Gradients:
    """Computes gradients in the weights of `network`, with a CUDA graph where possible."""

    network: UNet
    algorithm: Algorithm
    seed: int
    micro_batches: MicroBatches

    def __post_init__(self) -> None:
        self._graph: StepGraph | None = None

    def start(self, device: torch.device) -> None:
        """Allow a CUDA graph, now that the network is on `device`."""
        self._graph = StepGraph(device, self.network.parameters())

    def end(self) -> None:
        """Free the memory of the CUDA graph and of the gradients."""
        self._graph = None
        self.network.zero_grad()

    def compute(self, batch: tuple[Tensor, ...], number: int, share: Share) -> Tensor:
        """Compute gradients of step `number`, which draws depend on; return its loss."""
        graph, seed = self._graph, _mixed(self.seed, RandomStream.TRAINING_MASKS, number)
        limit = self.micro_batches
        if graph is not None and limit.patches is None and limit.alone:

            def step(pixels: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
                seen, answer, _ = self._draw(pixels, generator, share)
                loss = self.algorithm.loss(self.network(seen), answer)
                with torch.autocast(loss.device.type, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
                return loss.detach()

            loss = graph.gradients(batch, seed, step)
            if loss is not None:
                return loss
        self.network.zero_grad()
        prepared = self.prepare(batch, RandomStream.TRAINING_MASKS, number, share)
        return self.backward(*prepared)

    def prepare(
        self,
        batch: tuple[Tensor, ...],
        stream: int,
        number: int,
        share: Share | None = None,
    ) -> Prepared:
        """Input of the network, answer, and weight in the loss of the whole batch."""
        share = share or share_of(len(batch[0]), 0, 1)
        generator = torch.Generator(device=batch[0].device)
        generator.manual_seed(_mixed(self.seed, stream, number))
        return self._draw(batch, generator, share)

    def _draw(
        self, batch: tuple[Tensor, ...], generator: torch.Generator, share: Share
    ) -> Prepared:
        mine = tuple(tensor[: share.count] for tensor in batch)
        seen, answer, part = self.algorithm.prepare(mine, generator, share)
        if seen.ndim == 4:
            seen = seen.contiguous(memory_format=torch.channels_last)
        return seen, answer, part

    def backward(self, seen: Tensor, answer: Any, part: float | Tensor = 1.0) -> Tensor:
        """Compute gradients of as many patches at once as fit; return the loss."""
        statistics = [b for b in self.network.buffers() if b.is_floating_point()]
        before = [buffer.clone() for buffer in statistics]
        patches, limit = len(seen), self.micro_batches

        def work(size: int) -> Tensor:
            losses = []
            for x, y, share in split_batch(seen, answer, size):
                prediction = self.network(x)
                if patches:
                    loss = self.algorithm.loss(prediction, y)
                else:  # takes part in the batch normalization of the other processes
                    loss = prediction.float().sum()
                if size < patches:
                    loss = loss * share
                if not limit.alone:
                    loss = loss * part
                with torch.autocast(loss.device.type, enabled=False):
                    loss.backward()  # type: ignore[no-untyped-call]
                losses.append(loss.detach())
            return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

        def undo() -> None:
            if self._graph is not None:  # which has a memory pool
                self._graph.give_up()
            self.network.zero_grad()
            with torch.no_grad():
                for buffer, value in zip(statistics, before, strict=True):
                    buffer.copy_(value)

        return limit.run(patches, work, undo)


def _mixed(*key: int) -> int:
    """One seed from several numbers; neighboring keys give unrelated draws."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
