"""The datasets: batches of patches, normalized, augmented, reproducible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from napari_hush.dataset.augmentation import transformed
from napari_hush.dataset.blocks import LoadedBlocks
from napari_hush.models.normalization import Normalization, exact_float

if TYPE_CHECKING:
    from napari_hush.dataset.augmentation import Augmentation
    from napari_hush.dataset.blocks import Block
    from napari_hush.dataset.patch_plan import Windows


class RandomStream(IntEnum):
    """Independent streams of random numbers of one seed; a number is used only once."""

    AUGMENTATION = 1
    ORDER = 2
    """Order of the patches."""
    SPLIT = 3
    """Validation split."""
    TRAINING_MASKS = 4
    VALIDATION_MASKS = 5
    JITTER = 6
    """Positions of the patches."""
    BACKGROUND = 7
    """Choice of background patches."""


class PatchDataset(Dataset[tuple[torch.Tensor, ...]]):
    """Patches of images, a batch at a time.

    ``dataset[i]`` is ``(patch,)`` or ``(patch, target)``, float32 ``(C, (Z), Y, X)``;
    ``dataset.__getitems__`` takes many indices and returns ``(batch,)`` or ``(batch,
    targets)``, ``(B, C, (Z), Y, X)``. Indices from ``len(dataset)`` on are later passes
    over the data: index ``p * len + i`` is patch ``i`` of pass ``p``. Every draw depends
    on the seed, the pass and the patch alone, not on the order of access.

    Parameters
    ----------
    units : sequence
        Samples, each indexed by slices ``(C, (Z), Y, X)``; any real dtype, sizes may
        differ.
    windows : ndarray
        ``(n, 1 + spatial)``: unit, corner (see module `patch_plan`).
    patch_size : tuple of int
        ``((Z), Y, X)`` in pixels.
    normalization : Normalization
        Applied to every patch.
    augmentation : Augmentation, optional
        Applied to every patch; None for validation.
    seed : int
        Seed of every draw.
    targets : sequence, optional
        Target of each unit.
    target_normalization : Normalization, optional
        Applied to every target.
    valid : sequence, optional
        Of the shapes of what the network predicts, False at masked pixels, which do not
        count in the loss. Batches then end with a tensor that is 0 there, else 1.
    time_context : int
        Frames before and after its own that each unit has, as further channels.
    """

    def __init__(
        self,
        units: Sequence[Any],
        windows: Windows,
        patch_size: tuple[int, ...],
        normalization: Normalization,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        targets: Sequence[Any] | None = None,
        target_normalization: Normalization | None = None,
        valid: Sequence[Any] | None = None,
        *,
        time_context: int = 0,
    ) -> None:
        self.units = units
        self.windows = windows
        self.patch_size = tuple(patch_size)
        self.normalization = normalization
        self.augmentation = augmentation
        self.seed = seed
        self.targets = targets
        self.target_normalization = target_normalization
        self.valid = valid
        self.time_context = time_context
        self._drawn: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"Patch {index} of {len(self)}")
        return tuple(part[0] for part in self.__getitems__([index % len(self)]))

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """A whole batch: ``(batch,)`` or ``(batch, targets)``, float32 each."""
        windows, operations = self.planned(indices)
        return tuple(
            self._gather(units, windows, operations, scaling)
            for units, scaling in self.parts
        )

    @property
    def parts(self) -> list[tuple[Sequence[Any], Normalization]]:
        """Units and normalization of each tensor of a batch."""
        of_input = self.normalization.for_frames(2 * self.time_context + 1)
        parts = [(self.units, of_input)]
        if self.targets is not None and self.target_normalization is not None:
            parts.append((self.targets, self.target_normalization))
        if self.valid is not None:
            channels = len((self.target_normalization or self.normalization).means)
            parts.append((self.valid, Normalization((0.0,) * channels, (1.0,) * channels)))
        return parts

    def planned(self, indices: Sequence[int]) -> tuple[Windows, NDArray[np.int64]]:
        """Windows ``(B, 1 + spatial)`` of a batch, and the operations ``(B,)``, 0 to 7."""
        passes, which = np.divmod(np.asarray(indices, np.int64), len(self))
        return self._windows(passes, which), self._operations(passes, which)

    def order(self, number: int) -> NDArray[np.int64]:
        """The order ``(len,)`` of the patches in pass `number`."""
        return self._rng(RandomStream.ORDER, number).permutation(len(self))

    def get_data_statistics(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the training pixels, one each per channel."""
        return list(self.normalization.means), list(self.normalization.stds)

    def _windows(self, passes: NDArray[np.int64], which: NDArray[np.int64]) -> Windows:
        return self.windows[which]

    def _gather(
        self,
        units: Sequence[Any],
        windows: Windows,
        operations: NDArray[np.int64],
        scaling: Normalization,
    ) -> torch.Tensor:
        """Cut, transform and normalize.

        In numpy, patch by patch: a patch fits the processor's cache, and starting the
        threads of torch for such small steps costs more than it gains.
        """
        first = units[int(windows[0, 0])]
        kinds = {exact_float(s.dtype) for s in getattr(units, "samples", units)}
        dtype = np.float64 if np.float64 in kinds else np.float32
        batch = np.empty((len(windows), first.shape[0], *self.patch_size), dtype)
        channels = slice(0, first.shape[0])
        for patch, operation, (unit, *corner) in zip(
            batch, operations.tolist(), windows.tolist(), strict=True
        ):
            region = [slice(c, c + p) for c, p in zip(corner, self.patch_size, strict=True)]
            window = units[unit][(channels, *region)]
            if operation % 2:
                # Y and X are exchanged: columns are fast to read from a small copy, slow
                # from an image with long rows.
                window = window.copy()
            patch[...] = transformed(window, operation)
        return torch.from_numpy(scaling.normalize_array(batch))

    def _operations(
        self, passes: NDArray[np.int64], which: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        operations = np.zeros(len(which), np.int64)
        if self.augmentation is None:
            return operations
        for number in np.unique(passes).tolist():
            mine = passes == number
            if self._drawn is None or self._drawn[0] != number:
                rng = self._rng(RandomStream.AUGMENTATION, number)
                self._drawn = (number, self.augmentation.draw(len(self), rng))
            operations[mine] = self._drawn[1][which[mine]]
        return operations

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, number])


class InMemoryDataset(PatchDataset):
    """Patches side by side over images in memory; every pixel is in one.

    Parameters are those of `PatchDataset`.
    """


MIXED = 8
"""Blocks in memory at a time, whose patches are mixed."""


class IterableDataset(PatchDataset):
    """Patches at random positions of files that are read a few blocks at a time.

    A pass reads the blocks in random order, eight at a time, and mixes their patches, so
    a batch has patches of several files and each chunk is read once. Positions change with
    every pass, one near each window of a grid, so all parts of an image are seen about
    equally often. Iterating over the dataset yields the patches of pass 0 in that order.

    Parameters
    ----------
    samples : sequence
        Each indexed by one slice per dimension ``(C, (Z), Y, X)``.
    blocks : sequence of Block
        The regions of the samples to read.
    windows : ndarray
        ``(n, 1 + spatial)``: block, corner within it.
    patch_size, normalization, augmentation, seed, target_normalization, time_context
        See `PatchDataset`.
    target_samples, valid_samples : sequence, optional
        Targets, and masks as `PatchDataset.valid`, cut into the same blocks.
    moving : bool
        Whether positions change between passes; not for validation.
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
        valid_samples: Sequence[Any] | None = None,
        *,
        moving: bool = True,
        time_context: int = 0,
    ) -> None:
        targets, valid = (
            None if given is None else LoadedBlocks(given, blocks, MIXED)
            for given in (target_samples, valid_samples)
        )
        super().__init__(
            LoadedBlocks(samples, blocks, MIXED),
            windows,
            patch_size,
            normalization,
            augmentation,
            seed,
            targets,
            target_normalization,
            valid,
            time_context=time_context,
        )
        self.moving = moving
        self._moved: tuple[int, Windows] | None = None
        sizes = np.array([block.shape for block in blocks])
        self._largest = sizes[windows[:, 0]] - np.array(patch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, ...]]:
        for index in self.order(0):
            yield self[int(index)]

    def order(self, number: int) -> NDArray[np.int64]:
        """The order ``(len,)`` of the patches in pass `number`."""
        rng = self._rng(RandomStream.ORDER, number)
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
            rng = self._rng(RandomStream.JITTER, number)
            shift = rng.integers(-half, half + 1, corners.shape)
            moved = np.clip(corners + shift, 0, self._largest)
            self._moved = (number, np.hstack([self.windows[:, :1], moved]))
        return self._moved[1]
