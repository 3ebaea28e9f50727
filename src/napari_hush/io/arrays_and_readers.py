"""Files that a function of the user's reads, whole or region by region.

Such a function is called as ``func(path, axes)`` and may return

- a numpy array: the whole file (it is read once when it is opened, since its shape has to
  be known, and again whenever it has left the cache);
- anything with ``shape``, ``dtype`` and ``__getitem__`` for a tuple of slices, such as an
  ``h5py.Dataset``, a memory map or a dask array: its regions are read when needed;
- anything with ``shape``, ``dtype`` and ``read(region)``, where ``region`` is a tuple of
  one slice with start and stop per dimension, and the answer an array of that shape.

What it returns is asked by one thread at a time, and in another process the function is
called anew, so neither needs to be safe for threads or fit to be pickled.
"""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import HushError, SourceTypeError, UnreadableFileError
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.image import Pixels
from napari_hush.io.lazy import Bounds, LazyPixels
from napari_hush.io.metadata import letters_of
from napari_hush.io.zarr_read import ZarrPixels, array_axes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def read_custom(file: Path, axes: str, func: Callable[..., Any]) -> Any:
    """Call a function of the user's on one file.

    Returns
    -------
    ndarray or LazyPixels
        The whole file, or pixels that are read region by region.

    Raises
    ------
    UnreadableFileError
        If the function fails or returns something else; names function and file.
    """
    found = _called(file, axes, func)
    if type(found) is np.ndarray:
        return found
    found = lazily(found)
    if isinstance(found, LazyPixels):
        return found
    return RegionPixels(file, axes, func, found)


class RegionPixels(LazyPixels):
    """Pixels that a user's own object reads region by region.

    Parameters
    ----------
    file, axes, func
        The call that made `found`, repeated in another process.
    found : object
        With ``shape``, ``dtype`` and ``read`` or ``__getitem__``.
    """

    def __init__(self, file: Path, axes: str, func: Callable[..., Any], found: Any) -> None:
        chunks = getattr(found, "chunks", None)
        if isinstance(chunks, tuple):  # dask tells the sizes of all, h5py may have None
            chunks = [max(c) if isinstance(c, tuple) else c for c in chunks]
        super().__init__(found.shape, found.dtype, chunks)
        self._call = (file, axes, func)
        self._found = found
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_found": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

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
            except Exception as error:  # whatever the user's object raises
                raise UnreadableFileError(
                    f"What {_name(func)} returned could not read a region of "
                    f"{str(file)!r} ({type(error).__name__}: {error}); mend the function "
                    "or take the file out of the data."
                ) from error
        wanted = tuple(stop - start for start, stop in bounds)
        if pixels.shape != wanted:
            raise UnreadableFileError(
                f"What {_name(func)} returned for {str(file)!r} was asked for a region of "
                f"shape {wanted} and gave {pixels.shape}; mend the function."
            )
        return pixels


class WholeFilePixels(LazyPixels):
    """Pixels of a file that its reader can only read whole, read again when needed.

    The arrays of the files used last are kept in the cache of this process.

    Parameters
    ----------
    file, axes, func
        The call that reads the file.
    array : ndarray
        What it returned, for the shape and for the cache.
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
                f"{str(file)!r} was changed or deleted since {_name(func)} read it first; "
                "start again once it stays as it is."
            )
        return array.view()


def _called(file: Path, axes: str, func: Callable[..., Any]) -> Any:
    try:
        found = func(file, axes)
    except (HushError, MemoryError):
        raise
    except Exception as error:  # whatever the user's function raises
        empty = file.is_file() and file.stat().st_size == 0
        raise UnreadableFileError(
            f"{_name(func)} could not read {str(file)!r} ({type(error).__name__}: {error}"
            f"{'; the file is empty' if empty else ''}); mend the function or take the "
            "file out of the data."
        ) from error
    if not _usable(found):
        raise UnreadableFileError(
            f"{_name(func)} returned {type(found).__name__} for {str(file)!r}; it must "
            "return a numpy array, or an object with shape, dtype and read(region)."
        )
    return found


def _usable(found: Any) -> bool:
    if not isinstance(found, Pixels) and not (
        hasattr(found, "shape") and hasattr(found, "dtype") and hasattr(found, "read")
    ):
        return False
    try:
        np.dtype(found.dtype)
    except TypeError:
        return False
    return True


def _name(func: Callable[..., Any]) -> str:
    inner = getattr(func, "func", func)  # of a functools.partial
    return getattr(inner, "__name__", "read_source_func")


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


class LabelledPixels(LazyPixels):
    """Pixels of an ``xarray.DataArray`` that was opened from a file, left there.

    Parameters
    ----------
    array : xarray.DataArray
        The array; only its positions count, not its coordinates.
    """

    def __init__(self, array: Any) -> None:
        super().__init__(array.shape, array.dtype)
        self._array = array

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        return np.array(self._array[tuple(slice(*pair) for pair in bounds)])


def lazily(array: Any) -> Any:
    """Give an array in the form that reads its regions best, without reading it.

    Zarr arrays get the cache of decoded chunks; of labelled arrays (xarray) what is
    beneath the labels is taken; dask arrays, numpy arrays and all others stay as they
    are.
    """
    kind = _kind(array)
    if kind == ("zarr", "Array"):
        return ZarrPixels(array)
    if kind == ("xarray", "DataArray"):
        in_file = array.chunks is None and "source" in array.encoding
        return LabelledPixels(array) if in_file else lazily(array.data)
    return array


def check_array(array: Any) -> None:
    """Check that something can be taken for an array, without reading it.

    Raises
    ------
    SourceTypeError
        If it cannot.
    """
    if _kind(array) == ("zarr", "Group"):
        raise SourceTypeError(
            "An image was given as a Zarr group; give one of its arrays, for example "
            "group['0']."
        )
    if not hasattr(array, "__array__") and not isinstance(array, Pixels):
        raise SourceTypeError(
            f"An image was given as {type(array).__name__}; give an array (numpy, zarr, "
            "dask, xarray) or a path."
        )


def axes_of(array: Any) -> str | None:
    """Axes that an array itself names, one letter per dimension.

    Returns
    -------
    str or None
        Of an xarray by its dims, of a Zarr array by its dimension names; None if it has
        no names, or others than those of the axes.
    """
    kind = _kind(array)
    if kind == ("xarray", "DataArray"):
        return letters_of(array.dims)
    return array_axes(array) if kind == ("zarr", "Array") else None


def _kind(array: Any) -> tuple[str, str]:
    # By name, since importing these packages to ask takes seconds.
    return type(array).__module__.partition(".")[0], type(array).__name__
