"""Copies of the training pixels in a recovery folder. No Qt here."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from napari_hush import io
from napari_hush.system.atomic_write import writing
from napari_hush.system.memory import free_memory
from napari_hush.widgets.data.training_data import TrainingData

MAX_BYTES = 2**30
"""More pixels are not copied: the user would wait too long."""
MAX_SHARE = 0.25
"""Share of the free disk and of the free memory that copies may take."""
_CHUNK_BYTES = 2**26


def copy_pixels(
    data: TrainingData, folder: Path
) -> tuple[TrainingData, dict[str, int] | None]:
    """Copy the pixels unless they are too large or masked.

    Returns the data to train on, and counts.

    Counts are as in `InterruptedTraining`: None without a copy.
    """
    arrays_of = _arrays_of(data)
    needed = sum(_bytes(array) for arrays in arrays_of.values() for array in arrays)
    masked = any(
        isinstance(a, np.ma.MaskedArray) for many in arrays_of.values() for a in many
    )
    free = min(shutil.disk_usage(folder).free, free_memory())
    if masked or needed > min(MAX_BYTES, MAX_SHARE * free):
        return data, None
    copies = {
        kind: tuple(_copy(array, _path(folder, kind, n)) for n, array in enumerate(arrays))
        for kind, arrays in arrays_of.items()
    }
    return TrainingData(**copies), {kind: len(arrays) for kind, arrays in copies.items()}


def read_copies(folder: Path, counts: Mapping[str, int]) -> TrainingData:
    """The copies in `folder`, left on disk.

    OSError, ValueError or TypeError if they are missing or damaged.
    """
    copies = {}
    for kind, count in counts.items():
        copies[kind] = tuple(
            np.load(_path(folder, kind, number), mmap_mode="r") for number in range(count)
        )
    return TrainingData(**copies)


def load_copies(data: TrainingData) -> TrainingData:
    """`data` as plain arrays in memory, as the interrupted training run had them."""
    arrays_of = _arrays_of(data).items()
    return TrainingData(
        **{kind: tuple(map(np.array, arrays)) for kind, arrays in arrays_of}
    )


def _path(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}-{number}.npy"


def _arrays_of(data: TrainingData) -> dict[str, tuple[Any, ...]]:
    return {kind.name: getattr(data, kind.name) for kind in fields(data)}


def _bytes(array: Any) -> int:
    return math.prod(map(int, array.shape)) * int(np.dtype(array.dtype).itemsize)


def _copy(array: Any, path: Path) -> Any:
    """Write `array` to `path`; returns it if it is contiguous in memory, else the copy."""
    pixels = io.pixels_of(array)
    shape, dtype = tuple(map(int, pixels.shape)), np.dtype(pixels.dtype)
    rows = max(1, _CHUNK_BYTES * shape[0] // max(1, _bytes(array)))
    rest = tuple(slice(0, size) for size in shape[1:])
    # Not as a memory map, which ends the process where the disk is full.
    with writing(path), path.open("wb") as file:
        descr = np.lib.format.dtype_to_descr(dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, shape[0], rows):
            window = (slice(start, min(start + rows, shape[0])), *rest)
            file.write(np.asarray(pixels[window]).tobytes())
    # In memory as in a resumed training, so that both draw the same patches.
    contiguous = type(array) is np.ndarray and array.flags.c_contiguous
    return array if contiguous else np.load(path)
