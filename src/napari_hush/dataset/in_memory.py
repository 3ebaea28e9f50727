"""The dataset of patches whose pixels are all in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from napari_hush.dataset.normalization import Normalization, exact_float

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_hush.dataset.augmentation import Augmentation
    from napari_hush.dataset.patches import Windows

_DRAWS = 1
"""Marks augmentation among the random streams of a seed."""


class InMemoryDataset(Dataset[tuple[torch.Tensor, ...]]):
    """Patches of images held in memory, normalised and augmented a batch at a time.

    ``dataset[i]`` is ``(patch,)``, float32 ``(C, (Z), Y, X)``; ``dataset.__getitems__``
    takes many indices and returns ``(batch,)``, ``(B, C, (Z), Y, X)``. Indices from
    ``len(dataset)`` on mean later passes over the data: index ``p * len + i`` is patch
    ``i`` with the augmentation of pass ``p``. Every draw depends on the seed, the pass
    and the patch alone, never on who asks or in which order.

    Parameters
    ----------
    images : sequence of ndarray
        Each ``(C, (Z), Y, X)``, any real dtype; sizes may differ.
    windows : ndarray
        ``(n, 1 + spatial)``: image, corner (see `napari_hush.dataset.patches`).
    patch_size : tuple of int
        ``((Z), Y, X)`` in pixels.
    normalization : Normalization
        Applied to every patch.
    augmentation : Augmentation, optional
        Applied from pass 0 on; None, as for validation, for never.
    seed : int
        Seed of the augmentation.
    """

    def __init__(
        self,
        images: Sequence[NDArray[Any]],
        windows: Windows,
        patch_size: tuple[int, ...],
        normalization: Normalization,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.images = list(images)
        self.windows = windows
        self.patch_size = tuple(patch_size)
        self.normalization = normalization
        self.augmentation = augmentation
        self.seed = seed
        self._dtype = np.result_type(*{exact_float(image.dtype) for image in self.images})
        self._drawn: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        if not -len(self) <= index < len(self):
            raise IndexError(f"Patch {index} of {len(self)}")
        return tuple(part[0] for part in self.__getitems__([index % len(self)]))

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """A whole batch, ``(batch,)`` with float32 ``(B, C, (Z), Y, X)``."""
        which = np.asarray(indices, np.int64)
        batch = self.normalization.normalize(self._gather(which % len(self)))
        if self.augmentation is not None:
            (batch,) = self.augmentation.apply([batch], self._operations(which))
        return (batch,)

    def get_data_statistics(self) -> tuple[list[float], list[float]]:
        """Means and standard deviations of the training pixels, one each per channel."""
        return list(self.normalization.means), list(self.normalization.stds)

    def _gather(self, which: NDArray[np.int64]) -> torch.Tensor:
        channels = self.images[0].shape[0]
        batch = np.empty((len(which), channels, *self.patch_size), self._dtype)
        for patch, (image, *corner) in zip(
            batch, self.windows[which].tolist(), strict=True
        ):
            region = [slice(c, c + p) for c, p in zip(corner, self.patch_size, strict=True)]
            patch[...] = self.images[image][(slice(None), *region)]
        return torch.from_numpy(batch)

    def _operations(self, which: NDArray[np.int64]) -> NDArray[np.int64]:
        passes = which // len(self)
        operations = np.empty(len(which), np.int64)
        for number in np.unique(passes).tolist():
            mine = passes == number
            operations[mine] = self._draws(number)[which[mine] % len(self)]
        return operations

    def _draws(self, number: int) -> NDArray[np.int64]:
        if self._drawn is None or self._drawn[0] != number:
            if self.augmentation is None:
                raise RuntimeError("draws are asked of a dataset without augmentation")
            rng = np.random.default_rng([self.seed, _DRAWS, number])
            self._drawn = (number, self.augmentation.draw(len(self), rng))
        return self._drawn[1]
