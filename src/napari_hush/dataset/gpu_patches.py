"""Batches cut on the GPU: the images are copied there once, then only indices are sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from napari_hush.dataset.augmentation import OPERATIONS, transformed
from napari_hush.models.normalization import exact_float

if TYPE_CHECKING:
    from napari_hush.dataset.patch_dataset import PatchDataset
    from napari_hush.dataset.patch_plan import Windows
    from napari_hush.models.normalization import Normalization

_CARRIED = {"u2": ("i2", torch.int32, 0xFFFF), "u4": ("i4", torch.int64, 0xFFFFFFFF)}
"""Unsigned types that torch cannot index on a GPU: the signed type of equal bits, a wider
type that holds the values, and the mask that removes the sign."""
_PLAIN = {"b1", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"}


class DevicePatches(Dataset[tuple[torch.Tensor, ...]]):
    """The batches of an in-memory dataset, with equal bits, made on `device`."""

    def __init__(self, dataset: PatchDataset, device: torch.device) -> None:
        self._dataset = dataset
        size = dataset.patch_size
        self._parts = [
            _Pixels(units, scaling, size, device) for units, scaling in dataset.parts
        ]

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, ...]:
        return tuple(part[0] for part in self.__getitems__([index]))

    def __getitems__(self, indices: Sequence[int]) -> tuple[torch.Tensor, ...]:
        """A whole batch: ``(batch,)`` or ``(batch, targets)``, float32 on the device."""
        windows, operations = self._dataset.planned(indices)
        return tuple(part.batch(windows, operations) for part in self._parts)


def device_bytes(dataset: PatchDataset) -> int | None:
    """Bytes that `DevicePatches` needs; None for unsupported dtypes, and movies."""
    if dataset.time_context:  # whose frames would all be there several times
        return None
    total = 0
    for units, _ in dataset.parts:
        kinds = {_kind(unit.dtype) for unit in units}
        if len(kinds) > 1 or not kinds <= _PLAIN | _CARRIED.keys():
            return None
        total += sum(unit.size * unit.dtype.itemsize for unit in units)
    return total


class _Pixels:
    """All images in one flat tensor, and how patches are read from it."""

    def __init__(
        self,
        units: Sequence[Any],
        scaling: Normalization,
        patch_size: tuple[int, ...],
        device: torch.device,
    ) -> None:
        dtype = np.dtype(units[0].dtype)
        kind = _kind(dtype)
        self._wide: torch.dtype | None
        carrier, self._wide, self._mask = _CARRIED.get(kind, (kind, None, 0))
        sizes = [unit.size for unit in units]
        self._starts = np.cumsum([0, *sizes[:-1]])
        shapes = np.array([unit.shape for unit in units])
        # Strides of each unit: (units, 1 + spatial).
        behind = np.cumprod(shapes[:, :0:-1], axis=1)[:, ::-1]
        self._strides = np.hstack([behind, np.ones((len(units), 1), np.int64)])
        stored = torch.from_numpy(np.empty(0, carrier)).dtype
        self._flat = torch.empty(sum(sizes), dtype=stored, device=device)
        for unit, start in zip(units, self._starts, strict=True):
            native = np.ascontiguousarray(unit, dtype.newbyteorder("="))
            pixels = torch.from_numpy(native.view(carrier).reshape(-1))
            self._flat[start : start + len(pixels)] = pixels
        self._places = _places(patch_size).to(device)
        self._fixed = [
            torch.arange(n, device=device).reshape(-1, *(1,) * (len(patch_size) - axis))
            for axis, n in enumerate((shapes[0, 0], *patch_size[:-2]))
        ]
        self._dtype = getattr(torch, exact_float(dtype).__name__)
        # Rounded as `Normalization.normalize_array` rounds them.
        constants = np.array([scaling.means, 1 / np.array(scaling.scales)])
        constants = constants.reshape(2, 1, -1, *(1,) * len(patch_size))
        self._means, self._factors = torch.tensor(constants, dtype=self._dtype).to(device)

    def batch(self, windows: Windows, operations: NDArray[np.int64]) -> torch.Tensor:
        """Cut, transform and normalize: ``(B, C, (Z), Y, X)`` float32."""
        units = windows[:, 0]
        strides = self._strides[units]
        starts = self._starts[units] + (strides[:, 1:] * windows[:, 1:]).sum(1)
        sent = np.column_stack([starts, operations, strides]).T.copy()
        numbers = torch.from_numpy(sent).to(self._flat.device, non_blocking=True)
        dims = len(self._fixed) + 2
        numbers = numbers.reshape(len(sent), -1, *(1,) * dims)
        start, steps = numbers[0], numbers[2:]
        # (B, 2, Y, X): row and column that each pixel of the patch comes from
        y, x = self._places[numbers[1].reshape(-1)].unbind(1)
        plane = (len(y), *(1,) * (dims - 2), *y.shape[1:])
        index = start + y.reshape(plane) * steps[-2] + x.reshape(plane)
        for axis, place in enumerate(self._fixed):
            index = index + place * steps[axis]
        values = self._flat[index]
        if self._wide is not None:
            values = values.to(self._wide) & self._mask
        values = values.to(self._dtype)
        return values.sub_(self._means).mul_(self._factors).float()


def _places(patch_size: tuple[int, ...]) -> torch.Tensor:
    """Rows and columns that the pixels come from, per operation: ``(8, 2, Y, X)``."""
    plane = np.indices(patch_size[-2:])
    found = [transformed(plane, operation) for operation in range(OPERATIONS)]
    # Patches that are not square are never rotated by 90 degrees.
    fits = [places if places.shape == plane.shape else plane for places in found]
    return torch.from_numpy(np.stack(fits))


def _kind(dtype: Any) -> str:
    return str(np.dtype(dtype).str[1:])
