"""Arrays that a result layer shows while the engine writes into them. No Qt here."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_hush.axes import AxesMap
from napari_hush.errors import OutOfMemoryError, UnwritableFileError
from napari_hush.system.memory import format_bytes, free_memory
from napari_hush.widgets.data.layers import LEFT_OUT, engine_axes, engine_shape
from napari_hush.widgets.user_settings import data_folder, new_path, safe_name

if TYPE_CHECKING:
    from napari_hush.widgets.results.contrast import Limits

MAX_SHARE = 0.5
"""Share of the free memory that an image and its result may take."""


class Canvas:
    """A result in memory, which starts as a copy of its source.

    `shown` and `out` are one array, except for color images: then `out` is float32, and
    finished tiles are rounded into `shown`.

    Parameters
    ----------
    source : NDArray
        The noisy pixels, with alpha if any.
    axes : str
        Axes of `out`, as from `infer_axes`.
    rgb : bool
        Whether the last axis holds colors.
    keep_type : bool
        Whether the result has the dtype of the source instead of float32.

    Attributes
    ----------
    shown : NDArray
        Data for the layer, of the source's shape.
    out : NDArray
        For the engine, of the source's shape without alpha.
    limits : Limits or None
        Contrast limits of the finished tiles; None for those of the source.
    """

    limits: Limits | None = None

    def __init__(
        self, source: NDArray[Any], axes: str, *, rgb: bool, keep_type: bool = False
    ) -> None:
        self._rgb = rgb
        self.out: NDArray[Any]
        if rgb:
            self.shown: NDArray[Any] = np.array(source)
            self.out = source[..., :3].astype(np.float32)
        else:
            keeps = keep_type and source.dtype.kind != "b"  # intensities are no booleans
            dtype = source.dtype.newbyteorder("=") if keeps else np.float32
            self.shown = self.out = source.astype(dtype)
        self._axes = axes

    def show(self, regions: Sequence[tuple[slice, ...]]) -> None:
        """Copy finished tiles to `shown`; `regions` are in ``(S, C, (Z), Y, X)``."""
        if not self._rgb:
            return
        colours = self.shown[..., :3]
        targets, results = (
            tiles_of(pixels, self._axes, regions) for pixels in (colours, self.out)
        )
        for target, clean in zip(targets, results, strict=True):
            target[...] = as_type(clean, colours.dtype)


def tiles_of(
    pixels: NDArray[Any], axes: str, regions: Sequence[tuple[slice, ...]]
) -> Iterator[NDArray[Any]]:
    """Views of `pixels`, which have the `axes` of `infer_axes`, one per sample and region.

    `regions` are in ``(S, C, (Z), Y, X)``.
    """
    left_out = tuple(n for n, letter in enumerate(axes) if letter == LEFT_OUT)
    fitted = AxesMap(engine_axes(axes), engine_shape(axes, pixels.shape))
    samples = fitted.samples(pixels.squeeze(left_out))
    for sample, *part in regions:
        for number in range(sample.start, sample.stop):
            yield samples[number][tuple(part)]


def as_type(
    values: NDArray[Any], dtype: np.dtype[Any], *, unit: bool = True
) -> NDArray[Any]:
    """`values` clipped to the range of `dtype`, and rounded if it is an integer type.

    With `unit`, floating point values are clipped to 0 to 1, the range of colors.
    """
    if np.issubdtype(dtype, np.floating) and not unit:
        return values.astype(dtype)
    low, high = 0.0, 1.0
    if np.issubdtype(dtype, np.integer):
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        values = np.rint(values)
    clipped: NDArray[Any] = np.clip(values, low, high).astype(dtype)
    return clipped


class DiskCanvas:
    """A result in the new NumPy file `path`, which starts as zeros.

    `shown` and `out` are one memory map; `limits` are as for `Canvas`. Raises
    `OutOfMemoryError` if the disk is too small for the whole result, `UnwritableFileError`
    if it cannot be written.
    """

    limits: Limits | None = None

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike, path: Path) -> None:
        needed = math.prod(shape) * np.dtype(dtype).itemsize
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(path.parent).free
            if needed > free:
                raise OutOfMemoryError(
                    f"The result takes {format_bytes(needed)}, but “{path.parent}” has "
                    f"only {format_bytes(free)} left; delete files there, or denoise a "
                    "part of the layer."
                )
            self.out: NDArray[Any] = np.lib.format.open_memmap(path, "w+", dtype, shape)
            _allocate(path, needed)
        except OSError as error:
            raise UnwritableFileError(
                f"The result cannot be written to “{path}” ({error}); make that folder "
                "writable, or denoise a part of the layer."
            ) from error
        self.shown = self.out
        self.path = path

    def show(self, regions: Sequence[tuple[slice, ...]]) -> None:
        """Nothing to copy: `shown` is `out`."""


def fits_into_memory(source: Any) -> bool:
    """Whether an image and its float32 result fit into `MAX_SHARE` of the free memory."""
    pixels = math.prod(source.shape)
    needed = pixels * (np.dtype(source.dtype).itemsize + 4)
    return bool(needed <= MAX_SHARE * free_memory())


def new_result_path(layer_name: str, source_file: str) -> Path:
    """New path for a result: next to `source_file` if possible, else in the data folder.

    `source_file` is empty for a layer without a file.
    """
    folder = Path(source_file).parent if source_file else None
    if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK):
        folder = data_folder() / "results"
    when = time.strftime("%Y-%m-%d %H.%M.%S")
    return new_path(folder, f"{safe_name(layer_name, 'image')} denoised {when}", ".npy")


def _allocate(path: Path, size: int) -> None:
    """Allocate disk space now: a memory map on a full disk ends the process."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
