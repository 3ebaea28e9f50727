"""The order in which patches are visited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator

_ORDER = 2
"""Marks the visiting order among the random streams of a seed."""


class PatchSampler(Sampler[int]):
    """Visit all patches in random order, again and again, a given number per epoch.

    Yields indices of `InMemoryDataset`, which counts on beyond its length for later
    passes. The order of pass `p` depends on the seed and `p` alone, so a run that is
    stopped and taken up again sees the same order.

    Parameters
    ----------
    length : int
        Patches in the dataset.
    per_epoch : int
        Patches to visit per epoch; an epoch that ends within a pass leaves the rest of
        that pass out.
    seed : int
        Seed of the order.
    first_epoch : int
        Epochs that were trained before this run.
    counts_on : bool
        Whether later passes get indices beyond `length`, as `InMemoryDataset` wants them;
        other datasets are asked for 0 to `length` again.
    """

    def __init__(
        self,
        length: int,
        per_epoch: int,
        seed: int,
        first_epoch: int = 0,
        *,
        counts_on: bool = True,
    ) -> None:
        self.length = length
        self.per_epoch = per_epoch
        self.seed = seed
        self.first_epoch = first_epoch
        self.counts_on = counts_on
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch of this run is next; Lightning calls this by itself."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self.per_epoch

    def __iter__(self) -> Iterator[int]:
        passes = -(-self.per_epoch // self.length)
        first = (self.first_epoch + self._epoch) * passes
        left = self.per_epoch
        for number in range(first, first + passes):
            rng = np.random.default_rng([self.seed, _ORDER, number])
            order = rng.permutation(self.length)[:left]
            left -= len(order)
            if self.counts_on:
                order += number * self.length
            yield from order.tolist()
