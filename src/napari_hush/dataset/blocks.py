"""Blocks: the pieces in which samples too large for memory are read.

A block is a region of one sample that follows the pieces the file is stored in, so that
each of those is decoded once when the blocks are walked through. A few blocks at a time
stay in memory.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_BYTES = 32 * 2**20
"""How many bytes of pixels a block holds at most, if one stored piece is no larger."""


@dataclass(frozen=True)
class Block:
    """A region of one sample.

    Attributes
    ----------
    sample : int
        Which sample.
    region : tuple of slice
        ``((Z), Y, X)``.
    """

    sample: int
    region: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Size ``((Z), Y, X)``."""
        return tuple(part.stop - part.start for part in self.region)


def extent(
    shape: Sequence[int], itemsize: int, stored: Sequence[int] | None, least: Sequence[int]
) -> tuple[int, ...]:
    """Size of the blocks of a sample: whole rows of stored pieces, then as many as fit.

    Parameters
    ----------
    shape : sequence of int
        Sample ``(C, (Z), Y, X)``.
    itemsize : int
        Bytes per pixel.
    stored : sequence of int, optional
        Size ``(C, (Z), Y, X)`` of the pieces it is stored in.
    least : sequence of int
        Size ``((Z), Y, X)`` that a block must have at least.
    """
    spatial = shape[1:]
    pieces = (1,) * len(spatial) if stored is None else stored[1:]
    size = [
        min(n, math.ceil(low / piece) * piece)
        for n, low, piece in zip(spatial, least, pieces, strict=True)
    ]
    for axis in reversed(range(len(size))):
        others = math.prod(size) // size[axis] * shape[0] * itemsize
        rows = max(size[axis], BLOCK_BYTES // others // pieces[axis] * pieces[axis])
        size[axis] = min(spatial[axis], rows)
    return tuple(size)


def cut(samples: Sequence[Any], least: Sequence[int]) -> list[Block]:
    """Cut samples into blocks that cover them once; the last ones are the larger ones.

    Parameters
    ----------
    samples : sequence
        Each with ``shape`` ``(C, (Z), Y, X)``, ``dtype`` and perhaps ``chunks``.
    least : sequence of int
        Size ``((Z), Y, X)`` that a block must have at least, the patch size.
    """
    blocks = []
    for number, sample in enumerate(samples):
        stored = getattr(sample, "chunks", None)
        size = extent(sample.shape, sample.dtype.itemsize, stored, least)
        axes = [_cuts(n, s) for n, s in zip(sample.shape[1:], size, strict=True)]
        blocks += [Block(number, region) for region in itertools.product(*axes)]
    return blocks


def _cuts(size: int, step: int) -> list[slice]:
    first = range(0, max(size - step, 0) + 1, step)
    return [slice(a, b) for a, b in itertools.pairwise([*first, size])]


class LoadedBlocks(Sequence["NDArray[Any]"]):
    """The pixels of blocks, read when asked for; the last few stay in memory.

    Parameters
    ----------
    samples : sequence
        Each indexed by one slice per dimension ``(C, (Z), Y, X)``.
    blocks : sequence of Block
        The regions.
    capacity : int
        How many blocks to keep.
    """

    def __init__(
        self, samples: Sequence[Any], blocks: Sequence[Block], capacity: int
    ) -> None:
        self.samples = list(samples)
        self.blocks = list(blocks)
        self._capacity = capacity
        self._kept: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, index: Any) -> Any:
        """Pixels ``(C, (Z), Y, X)`` of block `index`."""
        with self._lock:
            if index not in self._kept:
                while len(self._kept) >= self._capacity:
                    self._kept.popitem(last=False)
                block = self.blocks[index]
                sample = self.samples[block.sample]
                # A block stays here; no need to keep its pieces in a cache as well.
                read = getattr(sample, "read_block", sample.__getitem__)
                self._kept[index] = np.ascontiguousarray(
                    read((slice(0, sample.shape[0]), *block.region))
                )
            self._kept.move_to_end(index)
            return self._kept[index]

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_kept"] = OrderedDict()
        del state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
