"""The part of a batch that one of several processes takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from torch.utils.data import Sampler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_Rows = TypeVar("_Rows")


@dataclass(frozen=True)
class Share:
    """Which patches of a batch belong to one process.

    Attributes
    ----------
    first, count : int
        The first of them, and how many there are; 0 where a short last batch has fewer
        patches than there are processes.
    whole : int
        Patches in the batch of all processes together.
    """

    first: int
    count: int
    whole: int

    def of(self, rows: Sequence[_Rows], repeats: int = 1) -> Sequence[_Rows]:
        """Its part of `rows`, of which there are `repeats` for each patch of the batch."""
        return rows[self.first * repeats : (self.first + self.count) * repeats]


def share(whole: int, rank: int, ranks: int) -> Share:
    """Cut `whole` patches into `ranks` parts, as even as can be; part number `rank`."""
    first, last = (whole * number // ranks for number in (rank, rank + 1))
    return Share(first, last - first, whole)


class SharedBatches(Sampler[list[int]]):
    """Batches of which this process loads its part alone.

    Which patches are in a batch does not depend on the number of processes. All have the
    same number of batches; where a part would be empty, the first patch of the batch is
    loaded in its place, for `share` to leave out.

    Parameters
    ----------
    sampler : Sampler
        The order of the patches, the same in every process; has a length.
    batch_size : int
        Patches per batch, of all processes together.
    rank, ranks : int
        Number of this process, and of how many.
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
        """What this process has of batch `number` of the current epoch."""
        left = self._patches - number * self.batch_size
        return share(min(self.batch_size, left), self.rank, self.ranks)

    @property
    def _patches(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]

    def _mine(self, batch: list[int]) -> list[int]:
        return list(share(len(batch), self.rank, self.ranks).of(batch)) or batch[:1]
