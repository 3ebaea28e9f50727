"""Blocks: regions in which samples too large for memory are read.

A block is made of whole chunks of the file, so each chunk is decoded once per pass. A few
blocks at a time are in memory.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import Box, box_size, spans

BLOCK_BYTES = 32 * 2**20
"""Bytes of pixels in a block at most, unless one chunk has more."""


@dataclass(frozen=True)
class Block:
    """A region of one sample."""

    sample: int
    """Index of the sample."""
    region: Box
    """``((Z), Y, X)``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size ``((Z), Y, X)``."""
        return tuple(part.stop - part.start for part in self.region)


def cut(samples: Sequence[Any], least: Sequence[int]) -> list[Block]:
    """Cut samples into blocks that cover them once; the last along an axis are larger.

    Samples have a ``shape`` ``(C, (Z), Y, X)``, a ``dtype`` and perhaps ``chunks``; `least`
    is the smallest size of a block, ``((Z), Y, X)``: the patch size.
    """
    blocks = []
    for number, sample in enumerate(samples):
        size = _block_size(sample, least)
        axes = [
            spans(n, s, merge_rest=True)
            for n, s in zip(sample.shape[1:], size, strict=True)
        ]
        blocks += [Block(number, region) for region in itertools.product(*axes)]
    return blocks


def _block_size(sample: Any, least: Sequence[int]) -> tuple[int, ...]:
    channels, *spatial = sample.shape
    chunks = getattr(sample, "chunks", None)
    pieces = (1,) * len(spatial) if chunks is None else chunks[1:]
    least = [
        min(n, math.ceil(low / piece) * piece)
        for n, low, piece in zip(spatial, least, pieces, strict=True)
    ]
    pixels = BLOCK_BYTES // (channels * sample.dtype.itemsize)
    return box_size(spatial, pixels, pieces, least)


class LoadedBlocks(Sequence["NDArray[Any]"]):
    """Pixels of blocks, read on access; the last `capacity` blocks stay in memory.

    `samples` are indexed by one slice per dimension ``(C, (Z), Y, X)``.
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
                # The block is kept here, so its chunks need not be cached as well.
                read = getattr(sample, "read_block", sample.__getitem__)
                self._kept[index] = np.ascontiguousarray(
                    read((slice(0, sample.shape[0]), *block.region))
                )
            self._kept.move_to_end(index)
            return self._kept[index]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
