"""Pixels that stay on disk: the base that all lazy formats share."""

from __future__ import annotations

import itertools
import math
import operator
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

Bounds = tuple[tuple[int, int], ...]
"""Start and stop along each dimension, both within the shape."""


class LazyPixels(ABC):
    """Pixels on disk that look like an array: a region is read when it is indexed.

    A subclass says how a box is read; integers, slices of any step and an ellipsis are
    turned into boxes here. No subclass keeps a file open between two reads, and each can
    be pickled and read from several threads.

    Parameters
    ----------
    shape : tuple of int
        Size along each dimension.
    dtype : dtype
        Type of one pixel.
    chunks : tuple of int, optional
        Shape of the pieces that can only be read whole; None where any region can be
        read by itself.
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
    def nbytes(self) -> int:
        """Bytes that all pixels take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @abstractmethod
    def _read(self, bounds: Bounds) -> NDArray[Any]:
        """Read a box that is not empty into a new array of just its shape."""

    def _read_past(self, bounds: Bounds) -> NDArray[Any]:
        """Like `_read`, but without a look into any cache, nor a trace left in it."""
        return self._read(bounds)

    def _is_all(self, bounds: Bounds) -> bool:
        """Whether a box is the whole image; that is read once, so caches need not know."""
        return all(pair == (0, n) for pair, n in zip(bounds, self.shape, strict=True))

    def fingerprint(self) -> str | None:
        """What changes when the pixels change, without reading them; None if unknown."""
        return None

    def __getitem__(self, key: Any, /) -> NDArray[Any]:
        return self._region(key, self._read)

    def read_past(self, key: Any, /) -> NDArray[Any]:
        """Read as by indexing, but past the cache of chunks.

        For who comes to each chunk once: kept, it would only push out others.
        """
        return self._region(key, self._read_past)

    def _region(self, key: Any, read: Callable[[Bounds], NDArray[Any]]) -> NDArray[Any]:
        bounds, finish = box_of(key, self.shape)
        if any(start == stop for start, stop in bounds):
            block = np.empty([stop - start for start, stop in bounds], self.dtype)
        else:
            block = read(bounds)
        result: NDArray[Any] = block[finish]
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("pixels on disk cannot become an array without a copy")
        array = self[...]
        return array if dtype is None else array.astype(dtype, copy=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(shape={self.shape}, dtype={self.dtype})"


class SelectedDimensions(LazyPixels):
    """The same pixels without some dimensions of size 1.

    Parameters
    ----------
    pixels : LazyPixels
        Pixels with all their dimensions.
    kept : sequence of int
        The dimensions to keep, ascending; all others have size 1.
    """

    def __init__(self, pixels: LazyPixels, kept: Sequence[int]) -> None:
        super().__init__(
            [pixels.shape[i] for i in kept],
            pixels.dtype,
            None if pixels.chunks is None else [pixels.chunks[i] for i in kept],
        )
        self.pixels = pixels
        self._kept = tuple(kept)

    def fingerprint(self) -> str | None:
        """That of the pixels beneath."""
        return self.pixels.fingerprint()

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        return self._without(self.pixels[self._key(bounds)], bounds)

    def _read_past(self, bounds: Bounds) -> NDArray[Any]:
        return self._without(self.pixels.read_past(self._key(bounds)), bounds)

    def _key(self, bounds: Bounds) -> tuple[slice, ...]:
        key = [slice(0, 1)] * self.pixels.ndim
        for position, (start, stop) in zip(self._kept, bounds, strict=True):
            key[position] = slice(start, stop)
        return tuple(key)

    def _without(self, pixels: NDArray[Any], bounds: Bounds) -> NDArray[Any]:
        return pixels.reshape([stop - start for start, stop in bounds])


def box_of(key: Any, shape: tuple[int, ...]) -> tuple[Bounds, tuple[int | slice, ...]]:
    """Split an index into the box to read and what remains to do with that box.

    Parameters
    ----------
    key : int, slice, ellipsis, or tuple of them
        As numpy takes it.
    shape : tuple of int
        Shape of what is indexed.

    Returns
    -------
    bounds : tuple of (int, int)
        The smallest box that holds every pixel asked for.
    finish : tuple of int or slice
        Index into that box: integers drop a dimension, slices bring the step.

    Raises
    ------
    IndexError
        If the index is of another kind, too long or out of range.
    """
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
    """Put a box together from the chunks it touches.

    Parameters
    ----------
    bounds : tuple of (int, int)
        The box.
    chunks : tuple of int
        Shape of a chunk; those at the far border may be cut off.
    dtype : dtype
        Of the result.
    chunk_at : callable
        From the position of a chunk in the grid of chunks to its pixels.

    Returns
    -------
    ndarray
        A new array of the shape of the box.
    """
    out = np.empty([stop - start for start, stop in bounds], dtype)
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
