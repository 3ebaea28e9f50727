"""Custom readers: functions that a user writes.

A custom reader is called as ``func(path, axes)`` and returns

- an array in memory, such as a numpy array: the whole file, read when it is opened and
  again when it has left the cache; a masked array stays in memory;
- an object with ``shape``, ``dtype`` and ``__getitem__`` for a tuple of slices, such as an
  ``h5py.Dataset``, a memory map or a dask array, read region by region;
- an object with ``shape``, ``dtype`` and ``read(region)``, where ``region`` is a tuple of
  one slice with start and stop per dimension; returns an array of that shape.

One thread at a time reads from it, and another process calls the function again, so it
needs to be neither thread-safe nor picklable.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError, SourceTypeError, UnreadableFileError
from napari_hush.io.arrays import ForeignPixels, check_array, has_numpy_dtype, pixels_of
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.lazy import Bounds, LazyPixels, SerialPixels, chunk_sizes, extent
from napari_hush.io.zarr.read import ZarrPixels


def read_custom(file: Path, axes: str, func: Callable[..., Any]) -> Any:
    """Call a custom reader: returns an ndarray or `LazyPixels`.

    Raises an UnreadableFileError that names function and file if it fails or returns
    another object.
    """
    found = _called(file, axes, func)
    if isinstance(found, np.ndarray | ZarrPixels):
        return found
    return RegionPixels(file, axes, func, found)


class RegionPixels(SerialPixels):
    """Pixels behind an object of a custom reader, read region by region.

    `file`, `axes` and `func` make the object `found` again in another process.
    """

    def __init__(self, file: Path, axes: str, func: Callable[..., Any], found: Any) -> None:
        super().__init__(found.shape, found.dtype, chunk_sizes(found))
        self._call = (file, axes, func)
        self._found = found

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_found": None}

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        file, _, func = self._call
        region = tuple(slice(*pair) for pair in bounds)
        with self._lock:
            if self._found is None:
                self._found = _called(*self._call)
            read = getattr(self._found, "read", None) or self._found.__getitem__
            try:
                pixels = np.array(read(region), self.dtype)
            except (HushError, MemoryError):
                raise
            except Exception as error:  # the object may raise anything
                raise UnreadableFileError(
                    f"The object that {_name(func)} returned could not read a region of "
                    f"{str(file)!r} ({type(error).__name__}: {error}); correct the "
                    "function or leave the file out."
                ) from error
        if pixels.shape != extent(bounds):
            raise UnreadableFileError(
                f"The object that {_name(func)} returned for {str(file)!r} has a region "
                f"of shape {pixels.shape} not {extent(bounds)}; correct the function."
            )
        return pixels


class WholeFilePixels(LazyPixels):
    """Pixels of a custom reader that reads whole files; read again when needed.

    `array` is its result for the call ``func(file, axes)``; it is kept in the chunk cache.
    """

    def __init__(
        self, file: Path, axes: str, func: Callable[..., Any], array: NDArray[Any]
    ) -> None:
        super().__init__(array.shape, array.dtype, array.shape)
        self._call = (file, axes, func)
        self._stamp = _stamp(file)
        self._token = uuid.uuid4().hex
        chunk_cache.get(self._token, array.view)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        whole = chunk_cache.get(self._token, self._again)
        return whole[tuple(slice(*pair) for pair in bounds)].copy()

    def _again(self) -> NDArray[Any]:
        file, _, func = self._call
        array = _called(*self._call) if _stamp(file) == self._stamp else None
        if (
            not isinstance(array, np.ndarray)
            or array.shape != self.shape
            or array.dtype != self.dtype
        ):
            raise UnreadableFileError(
                f"{str(file)!r} was changed or deleted since {_name(func)} read it; start "
                "again once the file is complete."
            )
        return array.view()


def _called(file: Path, axes: str, func: Callable[..., Any]) -> Any:
    try:
        found = func(file, axes)
    except (HushError, MemoryError):
        raise
    except Exception as error:  # the function may raise anything
        empty = file.is_file() and file.stat().st_size == 0
        raise UnreadableFileError(
            f"{_name(func)} could not read {str(file)!r} ({type(error).__name__}: {error}"
            f"{'; the file is empty' if empty else ''}); correct the function or leave the "
            "file out."
        ) from error
    if has_numpy_dtype(found) and hasattr(found, "read"):
        return found
    try:
        check_array(found)
        pixels = pixels_of(found, f"the result of {_name(func)}")
    except SourceTypeError as error:
        raise UnreadableFileError(
            f"{_name(func)} returned {type(found).__name__} for {str(file)!r}; it must "
            "return an array, or an object with shape, dtype and read(region)."
        ) from error
    # RegionPixels names function and file where reading fails.
    return pixels.array if isinstance(pixels, ForeignPixels) else pixels


def _name(func: Callable[..., Any]) -> str:
    inner = getattr(func, "func", func)  # of a functools.partial
    return getattr(inner, "__name__", "read_source_func")


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
