"""The pixels that a training learns from, copied for it to go on with. No Qt here."""

from __future__ import annotations

import math
import shutil
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.io.arrays_and_readers import lazily
from napari_hush.system.atomic_write import writing
from napari_hush.system.memory import free_memory
from napari_hush.widgets.data.training_data import TrainingData

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["copied", "in_memory", "read_copies"]

MOST_BYTES = 2**30
"""Pixels beyond this are not copied: it would take longer than people wait."""
SHARE = 0.25
"""Of the free disk that copies may take, and of the free memory, where they will be."""
_AT_ONCE = 2**26
"""Bytes that are copied at once."""


def read_copies(folder: Path, counts: Mapping[str, int]) -> TrainingData:
    """What `copied` wrote into `folder`, left on disk.

    Raises
    ------
    OSError, ValueError, TypeError
        If it is not there, or not what it should be.
    """
    return TrainingData(
        **{
            kind: tuple(
                np.load(_place(folder, kind, n), mmap_mode="r") for n in range(count)
            )
            for kind, count in counts.items()
        }
    )


def copied(data: TrainingData, folder: Path) -> tuple[TrainingData, dict[str, int] | None]:
    """Copy the pixels if they are few enough; what to learn from, and what was copied."""
    kinds = _kinds(data)
    needed = sum(_bytes(array) for arrays in kinds.values() for array in arrays)
    room = min(shutil.disk_usage(folder).free, free_memory())
    if needed > min(MOST_BYTES, SHARE * room):
        return data, None
    taken = {
        kind: tuple(_copy(array, _place(folder, kind, n)) for n, array in enumerate(arrays))
        for kind, arrays in kinds.items()
    }
    return TrainingData(**taken), {kind: len(arrays) for kind, arrays in kinds.items()}


def in_memory(data: TrainingData) -> TrainingData:
    """As plain arrays, which is what the training saw when it began."""
    kinds = _kinds(data).items()
    return TrainingData(**{kind: tuple(map(np.array, arrays)) for kind, arrays in kinds})


def _place(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number}.npy"


def _kinds(data: TrainingData) -> dict[str, tuple[Any, ...]]:
    return {kind.name: getattr(data, kind.name) for kind in fields(data)}


def _bytes(array: Any) -> int:
    return math.prod(map(int, array.shape)) * int(np.dtype(array.dtype).itemsize)


def _copy(array: Any, path: Path) -> Any:
    """Write `array` to `path`; itself if it lies in memory in one piece, else the copy."""
    pixels = array if isinstance(array, np.ndarray) else lazily(array)
    shape, dtype = tuple(map(int, pixels.shape)), np.dtype(pixels.dtype)
    rows = max(1, _AT_ONCE * shape[0] // max(1, _bytes(array)))
    rest = tuple(slice(0, size) for size in shape[1:])
    # Not through a map of the file: on a full disk that ends the process.
    with writing(path), path.open("wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, shape[0], rows):
            part: NDArray[Any] = np.asarray(
                pixels[(slice(start, min(start + rows, shape[0])), *rest)]
            )
            file.write(part.tobytes())
    # In memory again, as it will be when the training goes on: then both see the same.
    plain = type(array) is np.ndarray and array.flags.c_contiguous
    return array if plain else np.load(path)
