"""The dataset whose pixels stay on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.dataset.blocks import LoadedBlocks
from napari_hush.dataset.patch_dataset import _JITTER, _ORDER, PatchDataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_hush.dataset.augmentation import Augmentation
    from napari_hush.dataset.blocks import Block
    from napari_hush.dataset.normalization import Normalization
    from napari_hush.dataset.patches import Windows

MIXED = 8
"""How many blocks are in memory at a time, for their patches to be mixed."""


class IterableDataset(PatchDataset):
    """Patches at random positions of files that are read a few blocks at a time.

    A pass visits the blocks in random order, eight at a time: the patches of these are
    mixed, so that a batch holds patches of several files, and each stored piece is read
    once. Positions are new in every pass, one near each window of a grid, so that all
    parts of an image are seen about equally often. Iterating over the dataset yields the
    patches of pass 0 in that order.

    Parameters
    ----------
    samples : sequence
        Each ``(C, (Z), Y, X)`` and indexed by one slice per dimension.
    blocks : sequence of Block
        The regions of the samples to read.
    windows : ndarray
        ``(n, 1 + spatial)``: block, corner within it.
    patch_size, normalization, augmentation, seed, target_normalization
        See `PatchDataset`.
    target_samples : sequence, optional
        Targets, cut into the same blocks.
    moving : bool
        Whether positions change between passes; validation keeps them.
    """

    def __init__(
        self,
        samples: Sequence[Any],
        blocks: Sequence[Block],
        windows: Windows,
        patch_size: tuple[int, ...],
        normalization: Normalization,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        target_samples: Sequence[Any] | None = None,
        target_normalization: Normalization | None = None,
        *,
        moving: bool = True,
    ) -> None:
        targets = None
        if target_samples is not None:
            targets = LoadedBlocks(target_samples, blocks, MIXED)
        super().__init__(
            LoadedBlocks(samples, blocks, MIXED),
            windows,
            patch_size,
            normalization,
            augmentation,
            seed,
            targets,
            target_normalization,
        )
        self.moving = moving
        self._moved: tuple[int, Windows] | None = None
        sizes = np.array([block.shape for block in blocks])
        self._room = sizes[windows[:, 0]] - np.array(patch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        for index in self.order(0):
            yield self[int(index)]

    def order(self, number: int) -> NDArray[np.int64]:
        """The order ``(len,)`` in which pass `number` visits the patches."""
        rng = self._rng(_ORDER, number)
        ranks = rng.permutation(len(self.units))  # of each block
        return np.lexsort((rng.random(len(self)), ranks[self.windows[:, 0]] // MIXED))

    def _windows(self, passes: NDArray[np.int64], which: NDArray[np.int64]) -> Windows:
        if not self.moving:
            return self.windows[which]
        windows = np.empty((len(which), self.windows.shape[1]), np.int64)
        for number in np.unique(passes).tolist():
            mine = passes == number
            windows[mine] = self._positions(number)[which[mine]]
        return windows

    def _positions(self, number: int) -> Windows:
        if self._moved is None or self._moved[0] != number:
            half = np.array(self.patch_size) // 2
            corners = self.windows[:, 1:]
            shift = self._rng(_JITTER, number).integers(-half, half + 1, corners.shape)
            moved = np.clip(corners + shift, 0, self._room)
            self._moved = (number, np.hstack([self.windows[:, :1], moved]))
        return self._moved[1]
