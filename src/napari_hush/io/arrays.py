"""Arrays of any kind as pixels: numpy, torch, dask, zarr, xarray, h5py, memory maps, PIL.

Custom readers are functions of a user that return them. Packages are recognized by name,
because importing them takes seconds.
"""

from __future__ import annotations

import mmap
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError, HushError, SourceTypeError, UnreadableFileError
from napari_hush.io.lazy import (
    Bounds,
    LazyPixels,
    SerialPixels,
    chunk_cache,
    chunk_sizes,
    extent,
)
from napari_hush.io.metadata import letters_of
from napari_hush.io.zarr.read import ZarrPixels, array_axes

_GROUP = ("zarr", "Group")
_CONVERTIBLE = ("__array__", "__array_interface__", "__dlpack__")


def check_array(array: Any, name: str = "the array") -> None:
    """Raise a SourceTypeError unless `array` is of a kind that `pixels_of` takes."""
    array = without_dataset(array, name)
    start, kind = _start(name), type(array).__name__
    if has_numpy_dtype(array) or any(hasattr(array, how) for how in _CONVERTIBLE):
        if hasattr(array, "toarray"):
            raise SourceTypeError(
                f"{start} is a sparse {kind}; give its pixels, array.toarray()."
            )
        return
    names = _names_in(array)
    if names is None:
        advice = "give an array (numpy, torch, zarr, dask, xarray) or a path"
        if isinstance(array, list | tuple):
            advice = "give an array, for example numpy.asarray(image)"
        raise SourceTypeError(f"{start} was given as {kind}; {advice}.")
    if len(names) != 1 or _kind(array) != _GROUP:
        what = f"holds {', '.join(names[:9])}; give one of them" if names else "is empty"
        raise SourceTypeError(f"{start} was given as a {kind}, which {what}.")


def pixels_of(array: Any, name: str = "the array") -> Any:
    """Pixels of an array of any kind: an ndarray, MaskedArray or `LazyPixels`."""
    if isinstance(array, list | tuple):
        return _converted(array, name)
    check_array(array, name)
    array = without_dataset(array, name)
    kind = _kind(array)
    if kind == ("xarray", "DataArray"):
        in_file = array.chunks is None and "source" in array.encoding
        return ForeignPixels(array, name) if in_file else pixels_of(array.data, name)
    if kind == ("zarr", "Array"):
        return ZarrPixels(array)
    if kind == _GROUP:
        return pixels_of(array[next(iter(array.array_keys()))], name)
    if isinstance(array, LazyPixels | np.ma.MaskedArray):
        return array
    if isinstance(array, np.ndarray):
        if _file_mapping(array) is not None:
            return MappedPixels(array, name)
        return np.asarray(array)
    if has_numpy_dtype(array) and hasattr(array, "__getitem__") and array.shape:
        _check_dask(array, name)
        return ForeignPixels(array, name)
    return _converted(array, name)


def axes_of(array: Any) -> str | None:
    """Axes named by an xarray or Zarr array, one letter per dimension; None if unknown."""
    kind = _kind(array)
    if kind == ("xarray", "Dataset") and len(array.data_vars) == 1:
        return axes_of(without_dataset(array))
    if kind == ("xarray", "DataArray"):
        return letters_of(array.dims)
    return array_axes(array) if kind == ("zarr", "Array") else None


def required_axes(array: Any) -> str:
    """Axes that an array names; raises a DataError if it names none."""
    axes = axes_of(array)
    if axes is None:
        shape = tuple(pixels_of(array).shape)
        raise DataError(
            f"The array has shape {shape} but its axes are not named; give one letter per "
            f"dimension, for example {'STCZYX'[-len(shape) :]!r}."
        )
    return axes


def without_dataset(array: Any, name: str = "the array") -> Any:
    """The only variable of an ``xarray.Dataset``; other arrays are returned unchanged."""
    if _kind(array) != ("xarray", "Dataset"):
        return array
    names = [str(variable) for variable in array.data_vars]
    if len(names) != 1:
        raise SourceTypeError(
            f"{_start(name)} was given as a Dataset with {len(names)} variables "
            f"({', '.join(names)}); give one of them, for example "
            f"dataset[{(names or ['name'])[0]!r}]."
        )
    return array[next(iter(array.data_vars))]


class MappedPixels(LazyPixels):
    """Pixels of a memory map; reading beyond the end of its file would end the process."""

    def __init__(self, array: NDArray[Any], name: str) -> None:
        super().__init__(array.shape, array.dtype)
        self.array, self._name = array, name

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        check_mapping(self.array, self._name)
        return np.array(self.array[tuple(slice(*pair) for pair in bounds)])


def check_mapping(array: Any, name: str) -> None:
    """Raise an UnreadableFileError if `array` is a memory map whose file has shrunk."""
    mapping = _file_mapping(array)
    try:
        whole = mapping is None or mapping.size() >= len(mapping)
    except ValueError:  # closed
        whole = False
    except OSError:  # not of a file
        whole = True
    if not whole:
        raise UnreadableFileError(
            f"The file behind the memory map of {name} is shorter than when it was opened; "
            "open the complete file again."
        )


class ForeignPixels(LazyPixels):
    """Pixels of `array`, an array of another package, read by region."""

    def __init__(self, array: Any, name: str) -> None:
        super().__init__(array.shape, array.dtype, chunk_sizes(array))
        self.array = array
        self._name = name

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        try:
            part = self.array[tuple(slice(*pair) for pair in bounds)]
            pixels = _plain(part).astype(self.dtype, copy=False)
        except (HushError, MemoryError):
            raise
        except Exception as error:  # any package may raise anything
            raise UnreadableFileError(
                f"{_start(self._name)} could not be read ({type(error).__name__}: "
                f"{error}); repair its source, or give other pixels."
            ) from error
        if pixels.shape != extent(bounds):
            raise UnreadableFileError(
                f"A region of {self._name} has the shape {pixels.shape}, not "
                f"{extent(bounds)}; give an array that can be indexed by slices."
            )
        return pixels


def _check_dask(array: Any, name: str) -> None:
    """Refuse dask arrays of unknown size, and those with masked pixels."""
    if any(size != size for size in array.shape):
        raise SourceTypeError(
            f"{_start(name)} is a dask array whose chunks have unknown sizes; call its "
            "compute_chunk_sizes() first."
        )
    if isinstance(getattr(array, "_meta", None), np.ma.MaskedArray):
        raise SourceTypeError(
            f"{_start(name)} is a dask array of masked arrays; give array.compute(), so "
            "that its mask is used."
        )


def _converted(array: Any, name: str) -> NDArray[Any]:
    """`array` as numpy array; a SourceTypeError if that fails."""
    if _kind(array)[0] == "PIL" and array.mode in ("P", "PA"):
        raise SourceTypeError(
            f"{_start(name)} has a palette, so its pixels are not intensities; give "
            "image.convert('L') or image.convert('RGB')."
        )
    try:
        return _plain(array)
    except MemoryError:
        raise
    except Exception as error:  # any package may raise anything
        raise SourceTypeError(
            f"{_start(name)}, a {type(array).__name__}, cannot become a numpy array "
            f"({type(error).__name__}: {error}); convert it first."
        ) from error


def _plain(array: Any) -> NDArray[Any]:
    """`array` as numpy array, fetched from the GPU if it is there."""
    if hasattr(array, "detach"):  # torch
        tensor = array.detach().cpu()
        try:
            return np.asarray(tensor.resolve_conj().resolve_neg())
        except TypeError:  # bfloat16, which numpy lacks
            return np.asarray(tensor.float())
    if hasattr(array, "__cuda_array_interface__") and hasattr(array, "get"):  # cupy
        return np.asarray(array.get())
    if not any(hasattr(array, how) for how in _CONVERTIBLE[:2]):
        return np.asarray(np.from_dlpack(array) if hasattr(array, "__dlpack__") else array)
    return np.asarray(array)


def has_numpy_dtype(array: Any) -> bool:
    """Whether it has a shape, and a dtype that numpy knows."""
    try:
        return np.dtype(array.dtype) is not None and len(array.shape) >= 0
    except Exception:  # of any package, also where a file was closed
        return False


def _names_in(array: Any) -> list[str] | None:
    """Names of the arrays in a group, file or dict; None for other objects."""
    try:
        keys = array.array_keys() if hasattr(array, "array_keys") else array.keys()
        return sorted(map(str, keys))
    except Exception:  # any package may raise anything
        return None


def _file_mapping(array: Any) -> mmap.mmap | None:
    while array is not None and not isinstance(array, mmap.mmap):
        array = getattr(array, "base", None)
    return array


def _start(name: str) -> str:
    return name[:1].upper() + name[1:]


def _kind(array: Any) -> tuple[str, str]:
    return type(array).__module__.partition(".")[0], type(array).__name__


def read_custom(file: Path, axes: str, func: Callable[..., Any]) -> Any:
    """Call a custom reader: returns an ndarray or `LazyPixels`.

    `func` is called as ``func(path, axes)`` and returns

    - an array in memory, such as a numpy array: the whole file, read when it is opened and
      again when it has left the cache; a masked array stays in memory;
    - an object with ``shape``, ``dtype`` and ``__getitem__`` for a tuple of slices, such as
      an ``h5py.Dataset``, a memory map or a dask array, read region by region;
    - an object with ``shape``, ``dtype`` and ``read(region)``, where ``region`` is a tuple
      of one slice with start and stop per dimension; returns an array of that shape.

    One thread at a time reads from it, and another process calls the function again, so it
    needs to be neither thread-safe nor picklable.

    Raises an UnreadableFileError that names function and file if it fails or returns
    another object.
    """
    found = _called(file, axes, func)
    if isinstance(found, np.ndarray | ZarrPixels):
        return found
    return RegionPixels(file, axes, func, found)


class RegionPixels(SerialPixels):
    """Pixels behind an object of a custom reader, which another process makes again."""

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
    """Pixels of a custom reader that reads whole files: again once out of the cache."""

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
