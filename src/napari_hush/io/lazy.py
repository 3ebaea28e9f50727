"""Pixels that stay on disk: base class of all formats, and the cache of decoded chunks."""

from __future__ import annotations

import itertools
import math
import operator
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

CACHE_BYTES = 256 * 2**20
"""Bytes of decoded pixels in the cache of a process."""


class ChunkCache:
    """The chunks used last, at most `limit` bytes together; thread-safe."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self._chunks: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all cached chunks."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._chunks)

    def get(self, key: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the chunk of `key`, from memory or else by `load`; it is read-only."""
        with self._lock:
            if (chunk := self._chunks.get(key)) is not None:
                self._chunks.move_to_end(key)
                return chunk
        chunk = np.asarray(load())
        chunk.setflags(write=False)
        with self._lock:
            if chunk.nbytes <= self.limit and key not in self._chunks:
                self._chunks[key] = chunk
                self._bytes += chunk.nbytes
                while self._bytes > self.limit:
                    self._bytes -= self._chunks.popitem(last=False)[1].nbytes
        return chunk

    def clear(self) -> None:
        """Remove all chunks."""
        with self._lock:
            self._chunks.clear()
            self._bytes = 0

    def start_afresh(self) -> None:
        """Reset after a fork: a lock held by another thread would stay locked forever."""
        ChunkCache.__init__(self, self.limit)


chunk_cache = ChunkCache()
"""The cache of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=chunk_cache.start_afresh)


Bounds = tuple[tuple[int, int], ...]
"""Start and stop along each dimension, both within the shape."""


@runtime_checkable
class Pixels(Protocol):
    """An array that may be on disk, such as a numpy, zarr or dask array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size along each dimension."""

    @property
    def dtype(self) -> Any:
        """Dtype of a pixel."""

    def __getitem__(self, key: Any, /) -> Any:
        """Pixels of an index of integers and slices, convertible by numpy."""


def extent(bounds: Bounds) -> tuple[int, ...]:
    """Shape of a box."""
    return tuple(stop - start for start, stop in bounds)


class LazyPixels(ABC):
    """Pixels on disk that look like an array: indexing reads a region.

    A subclass reads boxes; integers, slices of any step and an ellipsis are converted to
    boxes here. No subclass keeps a file open between reads, and each can be pickled and
    read from several threads. A chunk, of shape `chunks`, can only be read whole; without
    chunks any region can be read.
    """

    def __init__(
        self, shape: Sequence[int], dtype: Any, chunks: Sequence[int] | None = None
    ) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.chunks = None if chunks is None else tuple(int(n) for n in chunks)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self.size * self.dtype.itemsize

    @abstractmethod
    def _read(self, bounds: Bounds) -> NDArray[Any]:
        """Read a box that is not empty into a new array of its shape."""

    def _read_uncached(self, bounds: Bounds) -> NDArray[Any]:
        """Like `_read`, but neither uses nor fills the chunk cache."""
        return self._read(bounds)

    def _is_all(self, bounds: Bounds) -> bool:
        """Whether a box is the whole image, which need not be cached."""
        return all(pair == (0, n) for pair, n in zip(bounds, self.shape, strict=True))

    def fingerprint(self) -> str | None:
        """A text that changes with the file, without reading pixels; None if unknown."""
        return None

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        return self._region(key, self._read)

    def read_uncached(self, key: Any, /) -> NDArray[Any]:
        """Read as by indexing, without the chunk cache: for chunks that are read once."""
        return self._region(key, self._read_uncached)

    def _region(self, key: Any, read: Callable[[Bounds], NDArray[Any]]) -> NDArray[Any]:
        bounds, finish = box_of(key, self.shape)
        shape = extent(bounds)
        block = np.empty(shape, self.dtype) if 0 in shape else read(bounds)
        result: NDArray[Any] = block[finish]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("pixels on disk cannot become an array without a copy")
        array = self[...]
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"


class SerialPixels(LazyPixels):
    """Pixels that one thread at a time may read, in a ``with self._lock`` block."""

    def __init__(
        self, shape: Sequence[int], dtype: Any, chunks: Sequence[int] | None = None
    ) -> None:
        super().__init__(shape, dtype, chunks)
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


class SelectedDimensions(LazyPixels):
    """The dimensions `kept` of `pixels`, others of size 1 left out; None is a new one."""

    def __init__(self, pixels: LazyPixels, kept: Sequence[int | None]) -> None:
        def chosen(sizes: Sequence[int]) -> list[int]:
            return [1 if i is None else sizes[i] for i in kept]

        super().__init__(
            chosen(pixels.shape),
            pixels.dtype,
            None if pixels.chunks is None else chosen(pixels.chunks),
        )
        self.pixels = pixels
        self._kept = tuple(kept)

    def fingerprint(self) -> str | None:
        """Fingerprint of all pixels."""
        return self.pixels.fingerprint()

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        return self.pixels[self._key(bounds)].reshape(extent(bounds))

    def _read_uncached(self, bounds: Bounds) -> NDArray[Any]:
        return self.pixels.read_uncached(self._key(bounds)).reshape(extent(bounds))

    def _key(self, bounds: Bounds) -> tuple[slice, ...]:
        key = [slice(0, 1)] * self.pixels.ndim
        for position, (start, stop) in zip(self._kept, bounds, strict=True):
            if position is not None:
                key[position] = slice(start, stop)
        return tuple(key)


def box_of(key: Any, shape: tuple[int, ...]) -> tuple[Bounds, tuple[int | slice, ...]]:
    """Split a numpy index into the smallest box to read and an index into that box."""
    parts = list(key) if isinstance(key, tuple) else [key]
    if (dots := sum(part is Ellipsis for part in parts)) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if len(parts) - dots > len(shape):
        raise IndexError(f"{len(parts) - dots} indices for {len(shape)} dimensions")
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    missing = len(shape) - len(parts) + dots
    parts[at : at + 1] = [slice(None)] * missing
    bounds: list[tuple[int, int]] = []
    finish: list[int | slice] = []
    for part, size in zip(parts, shape, strict=True):
        if isinstance(part, slice):
            steps = range(*part.indices(size))
            low, high = (
                (min(steps[0], steps[-1]), max(steps[0], steps[-1])) if steps else (0, -1)
            )
            bounds.append((low, high + 1))
            finish.append(slice(None, None, steps.step))
        else:
            bounds.append(_one(part, size))
            finish.append(0)
    return tuple(bounds), tuple(finish)


def _one(part: Any, size: int) -> tuple[int, int]:
    try:
        index = operator.index(part)
    except TypeError:
        raise IndexError(
            f"pixels on disk are indexed by integers and slices, not {part!r}"
        ) from None
    if not -size <= index < size:
        raise IndexError(f"index {index} is out of bounds for a dimension of size {size}")
    return index % size, index % size + 1


def gather(
    bounds: Bounds,
    chunks: tuple[int, ...],
    dtype: np.dtype[Any],
    chunk_at: Callable[[tuple[int, ...]], NDArray[Any]],
) -> NDArray[Any]:
    """Assemble a box from the chunks that it meets; those at the end may be smaller."""
    out = np.empty(extent(bounds), dtype)
    grid = [
        range(start // size, (stop - 1) // size + 1)
        for (start, stop), size in zip(bounds, chunks, strict=True)
    ]
    for position in itertools.product(*grid):
        into, outof = [], []
        for index, size, (start, stop) in zip(position, chunks, bounds, strict=True):
            low, high = max(start, index * size), min(stop, (index + 1) * size)
            into.append(slice(low - start, high - start))
            outof.append(slice(low - index * size, high - index * size))
        out[tuple(into)] = chunk_at(position)[tuple(outof)]
    return out


def chunk_sizes(array: Any) -> tuple[int, ...] | None:
    """Shape of the largest chunk of an array of any kind; None if it has no chunks."""
    chunks = getattr(array, "chunks", None)  # dask lists all of them along each axis
    if not isinstance(chunks, tuple | list):
        return None
    return tuple(max(c) if isinstance(c, tuple) else int(c) for c in chunks)


def overlaps(pixels: Any, out: NDArray[Any]) -> bool:
    """Whether writing to `out` changes `pixels`, as far as is known.

    They may share memory, or be memory maps of the same part of a file.
    """
    while isinstance(pixels, LazyPixels) and hasattr(pixels, "pixels"):  # a selection
        pixels = pixels.pixels
    array = getattr(pixels, "array", pixels)
    if not isinstance(array, np.ndarray):
        return False
    try:
        if np.shares_memory(array, out, max_work=10_000):  # type: ignore[arg-type]
            return True
    except np.exceptions.TooHardError:
        return True
    one, other = _span_in_file(array), _span_in_file(out)
    if one is None or other is None or not os.path.samefile(one[0], other[0]):
        return False
    return max(one[1], other[1]) < min(one[2], other[2])


def _span_in_file(array: NDArray[Any]) -> tuple[str, int, int] | None:
    """File of a memory map, and the bytes of it that `array` is in; None for others."""
    base: Any = array
    while isinstance(base, np.ndarray) and isinstance(base.base, np.ndarray):
        base = base.base
    file = getattr(base, "filename", None)
    if file is None or not os.path.exists(file):
        return None
    start = base.offset - np.lib.array_utils.byte_bounds(base)[0]
    low, high = np.lib.array_utils.byte_bounds(array)
    return str(file), start + low, start + high
