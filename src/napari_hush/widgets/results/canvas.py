"""The array behind a result layer, which clears tile by tile while the engine works."""

from __future__ import annotations

import math
import os
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import AxesMap
from napari_hush.errors import OutOfMemoryError, UnwritableFileError
from napari_hush.system.memory import format_bytes, free_memory
from napari_hush.widgets.user_settings import data_folder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

__all__ = ["Canvas", "as_type"]


class Canvas:
    """What the result layer shows, and where the engine writes.

    Both are one float32 array, which starts as the source, so that the clean picture
    spreads over the noisy one. They are two where the result is to have the type of the
    source, as colour images must: then finished tiles are rounded into it.

    Parameters
    ----------
    source : NDArray
        The noisy pixels, with alpha if there is one.
    axes : str
        Axes of `out`.
    rgb : bool
        Whether the last axis holds colours.
    keep_type : bool
        Whether the result is of the source's type instead of float32.

    Attributes
    ----------
    shown : NDArray
        Data for the layer, of the source's shape: float32, or the source's type if RGB.
    out : NDArray[np.float32]
        Where the engine writes, of the source's shape without alpha.
    """

    def __init__(
        self, source: NDArray[Any], axes: str, *, rgb: bool, keep_type: bool = False
    ) -> None:
        self._rgb = rgb
        self._two = rgb or (keep_type and source.dtype != np.float32)
        if rgb:
            self.shown: NDArray[Any] = np.array(source)
            self.out = source[..., :3].astype(np.float32)
        elif self._two:
            self.shown, self.out = source.copy(), source.astype(np.float32)
        else:
            self.shown = self.out = source.astype(np.float32)
        self._map = AxesMap(axes, self.out.shape)

    def show(self, regions: Iterable[tuple[slice, ...]]) -> None:
        """Let finished tiles be seen; `regions` are places in ``(S, C, (Z), Y, X)``."""
        if not self._two:
            return
        colours = self.shown[..., :3] if self._rgb else self.shown
        targets, results = self._map.samples(colours), self._map.samples(self.out)
        for sample, *part in regions:
            for number in range(sample.start, sample.stop):
                clean = results[number][tuple(part)]
                shown = targets[number]
                shown[tuple(part)] = as_type(clean, colours.dtype, unit=self._rgb)


def as_type(
    values: NDArray[Any], dtype: np.dtype[Any], *, unit: bool = True
) -> NDArray[Any]:
    """`values` in the range of `dtype`, rounded if it is one of integers.

    Colours of a floating point type lie between 0 and 1; that is what `unit` is for.
    """
    if np.issubdtype(dtype, np.floating) and not unit:
        return values.astype(dtype)
    low, high = 0.0, 1.0
    if np.issubdtype(dtype, np.integer):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = np.rint(values)
    fitted: NDArray[Any] = np.clip(values, low, high).astype(dtype)
    return fitted


SHARE = 0.5
"""Of the free memory that an image and its result may take."""


class DiskCanvas:
    """What the result layer shows and the engine writes, as a NumPy file.

    The layer reads from it what it shows and no more. It starts black.

    Parameters
    ----------
    shape : tuple of int
        Of the result.
    dtype : dtype
        Of the result.
    path : Path
        A new file that ends in ``.npy``.

    Raises
    ------
    OutOfMemoryError
        If there is no room on the disk for all of it.
    UnwritableFileError
        If it cannot be written.

    Attributes
    ----------
    shown, out : memmap
        The pixels.
    path : Path
        Where they are.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, path: Path) -> None:
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(path.parent).free
            if needed > free:
                raise OutOfMemoryError(
                    f"The result takes {format_bytes(needed)}; “{path.parent}” has room "
                    f"for {format_bytes(free)}; make room, or denoise a part of the layer."
                )
            self.out: NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
            _reserve(path, needed)
        except OSError as error:
            raise UnwritableFileError(
                f"The result cannot be written to “{path}” ({error}); make that folder "
                "writable, or denoise a part of the layer."
            ) from error
        self.shown = self.out
        self.path = path

    def show(self, regions: Iterable[tuple[slice, ...]]) -> None:
        """Finished tiles can be seen at once."""


def fits_into_memory(source: Any) -> bool:
    """Whether an image and its result can be in memory, with room to spare."""
    pixels = math.prod(source.shape)
    return bool(pixels * (np.dtype(source.dtype).itemsize + 4) <= SHARE * free_memory())


def place_for(layer_name: str, source_file: str) -> Path:
    """A new path for a result: beside the source's file, if that can be written to.

    Parameters
    ----------
    layer_name : str
        What the source is called.
    source_file : str
        Where it was opened from; empty if it was made here.
    """
    folder = Path(source_file).parent if source_file else None
    if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK):
        folder = data_folder() / "results"
    plain = re.sub(r"[^\w\- ]+", "_", layer_name).strip() or "image"
    stem = f"{plain} denoised {time.strftime('%Y-%m-%d %H.%M.%S')}"
    path, number = folder / f"{stem}.npy", 2
    while path.exists():
        path, number = folder / f"{stem} {number}.npy", number + 1
    return path


def _reserve(path: Path, size: int) -> None:
    """Take the room now: running out of it later would end the whole process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
