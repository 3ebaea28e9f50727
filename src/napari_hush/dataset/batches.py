"""Which patches make up a batch, in one process or several."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch.utils.data import IterableDataset, Sampler

from napari_hush.dataset.patch_dataset import PatchDataset, RandomStream
from napari_hush.errors import DataError, counted
from napari_hush.system.memory import format_bytes

_log = logging.getLogger(__name__)


class PatchSampler(Sampler[int]):
    """All patches in random order, pass after pass, `per_epoch` of them per epoch.

    A `PatchDataset` has its own order and gets indices beyond its length for later passes;
    any other dataset with a length is shuffled uniformly, by `seed`. The order of a pass
    depends on the seed and the pass alone, so it is the same in a resumed run. An epoch
    that ends within a pass drops the rest of that pass. `first_epoch` counts the epochs
    trained before this run, `skip` the patches of its first epoch that were trained on
    before it was interrupted.
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
        """Set the number of the next epoch of this run; called by Lightning."""
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
            rng = np.random.default_rng([self.seed, RandomStream.ORDER, number])
            order = rng.permutation(length)
        return order + number * length if own else order


class PatchStream(IterableDataset[Any]):
    """`count` patches of an iterable `dataset`, again and again if it has fewer.

    Each epoch iterates anew; the first `skip` patches are left out.
    """

    def __init__(self, dataset: Any, count: int, skip: int = 0) -> None:
        self.dataset = dataset
        self.count = count
        self.skip = skip

    def __len__(self) -> int:
        return self.count - self.skip

    def __iter__(self) -> Iterator[Any]:
        return islice(self._endless(), self.skip, self.count)

    def _endless(self) -> Iterator[Any]:
        while True:
            number = -1
            for number, patch in enumerate(self.dataset):  # noqa: B007 - counts them
                yield patch
            if number < 0:
                raise DataError(
                    f"{type(self.dataset).__name__} has no patches when it is iterated "
                    "over again; let __iter__ begin anew each time."
                )


_Rows = TypeVar("_Rows")


@dataclass(frozen=True)
class Share:
    """The patches of a batch that belong to one process."""

    first: int
    count: int
    """May be 0 in a last batch with fewer patches than processes."""
    whole: int
    """Patches in the batch, of all processes together."""

    def of(self, rows: Sequence[_Rows], repeats: int = 1) -> Sequence[_Rows]:
        """Its part of `rows`, with `repeats` rows for each patch of the batch."""
        return rows[self.first * repeats : (self.first + self.count) * repeats]


def share(whole: int, rank: int, ranks: int) -> Share:
    """Part number `rank` of `whole` patches, divided as evenly as possible."""
    first, last = (whole * number // ranks for number in (rank, rank + 1))
    return Share(first, last - first, whole)


class SharedBatches(Sampler[list[int]]):
    """Batches of `batch_size` patches, of which each process loads its part.

    The patches in a batch do not depend on the number of processes (`ranks`), each of which
    has the same `sampler`, with a length. All processes have the same number of batches; in
    place of an empty part the first patch of the batch is loaded, and `share` leaves it
    out.
    """

    def __init__(
        self, sampler: Sampler[int], batch_size: int, rank: int = 0, ranks: int = 1
    ) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.rank = rank
        self.ranks = ranks

    def __len__(self) -> int:
        return -(-self._patches // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield self._mine(batch)
                batch = []
        if batch:
            yield self._mine(batch)

    def share(self, number: int) -> Share:
        """The part of this process in batch `number` of the current epoch."""
        left = self._patches - number * self.batch_size
        return share(min(self.batch_size, left), self.rank, self.ranks)

    @property
    def _patches(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def _mine(self, batch: list[int]) -> list[int]:
        return list(share(len(batch), self.rank, self.ranks).of(batch)) or batch[:1]


_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it, 64 MB in Docker
_WAITING = 4
"""Batches per worker process that wait: two of training, and two of validation."""


def workers_that_fit(workers: int, dataset: Any, batch_size: int) -> int:
    """`workers`, or 0 if the shared memory is too small for their batches.

    A worker that finds it full sends nothing, and training would wait for ever.
    """
    if not workers or not _SHARED_MEMORY.is_dir():
        return workers
    whole = getattr(dataset, "__getitems__", None)
    patch = dataset[0] if whole is None else whole([0])
    needed = workers * _WAITING * batch_size * sum(part.nbytes for part in patch)
    if needed <= (free := shutil.disk_usage(_SHARED_MEMORY).free):
        return workers
    _log.warning(
        "The batches of %s need %s of shared memory but only %s are free, so patches "
        "are loaded in the training process; in Docker, set --shm-size.",
        counted(workers, "worker process"),
        format_bytes(needed),
        format_bytes(free),
    )
    return 0
