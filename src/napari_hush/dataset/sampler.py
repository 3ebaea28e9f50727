"""The order in which patches are visited."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import Sampler

from napari_hush.dataset.patch_dataset import _ORDER, PatchDataset

if TYPE_CHECKING:
    from collections.abc import Iterator


class PatchSampler(Sampler[int]):
    """Visit all patches in random order, again and again, a given number per epoch.

    A `PatchDataset` says its own order and gets indices that count on beyond its length
    for later passes; any other dataset is visited in uniformly random order. The order of
    a pass depends on the seed and the pass alone, so a run that is stopped and taken up
    again sees the same order.

    Parameters
    ----------
    dataset : Dataset
        What is visited; has a length.
    per_epoch : int
        Patches to visit per epoch; an epoch that ends within a pass leaves the rest of
        that pass out.
    seed : int
        Seed of the order, for datasets without one of their own.
    first_epoch : int
        Epochs that were trained before this run.
    shuffle : bool
        Whether the order is random at all.
    skip : int
        Patches at the start of the first epoch that were visited already.
    """

    def __init__(
        self,
        dataset: Any,
        per_epoch: int,
        seed: int,
        first_epoch: int = 0,
        *,
        shuffle: bool = True,
        skip: int = 0,
    ) -> None:
        self.dataset = dataset
        self.per_epoch = per_epoch
        self.seed = seed
        self.first_epoch = first_epoch
        self.shuffle = shuffle
        self.skip = skip
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch of this run is next; Lightning calls this by itself."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self.per_epoch - (self.skip if self._epoch == 0 else 0)

    def __iter__(self) -> Iterator[int]:
        return islice(self._whole(), self.skip if self._epoch == 0 else 0, None)

    def _whole(self) -> Iterator[int]:
        length = len(self.dataset)
        passes = -(-self.per_epoch // length)
        first = (self.first_epoch + self._epoch) * passes
        left = self.per_epoch
        for number in range(first, first + passes):
            order = self._order(number)[:left]
            left -= len(order)
            yield from order.tolist()

    def _order(self, number: int) -> Any:
        length = len(self.dataset)
        own = isinstance(self.dataset, PatchDataset)
        if not self.shuffle:
            order = np.arange(length)
        elif own:
            order = self.dataset.order(number)
        else:
            order = np.random.default_rng([self.seed, _ORDER, number]).permutation(length)
        return order + number * length if own else order
