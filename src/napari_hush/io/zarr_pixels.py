"""The pixels of a Zarr array, decoded chunk by chunk."""

from __future__ import annotations

import hashlib
import math
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.errors import UnreadableFileError
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.listing import ZARR_MARKS
from napari_hush.io.optional import require
from napari_hush.io.pixels import Bounds, LazyPixels, gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


LARGEST = 2**63 - 1
"""Pixels along one axis."""


def zarr_module() -> Any:
    """The zarr package.

    Raises
    ------
    HushError
        If it is not installed.
    """
    return require("zarr", "zarr", "Reading Zarr stores")


class ZarrPixels(LazyPixels):
    """Pixels of a Zarr array of version 2 or 3, left in its store.

    Chunks are decoded whole and kept in the cache of this process for as long as there is
    room. The whole image, regions too big for the cache, and `read_past` go past it, so
    that zarr decodes their chunks side by side. Chunks that were never written hold the
    fill value, as Zarr means it.

    Parameters
    ----------
    array : zarr.Array
        The array.

    Raises
    ------
    UnreadableFileError
        If no computer has room for the sizes that it claims. When a region is read: if a
        chunk is damaged, or the array was changed or deleted.
    """

    def __init__(self, array: Any) -> None:
        dtype = np.dtype(array.dtype)
        super().__init__(array.shape, dtype.newbyteorder("="), array.chunks)
        self._array = array
        root = getattr(array.store, "root", None)
        self.path = Path(root) / array.path if isinstance(root, Path) else None
        """Folder of the array, or None for a store that is no folder."""
        self._name = repr(str(self.path)) if self.path else "the Zarr array"
        if max((*array.shape, *(array.chunks or ())), default=0) > LARGEST:
            raise UnreadableFileError(
                f"{self._name} claims to have {_brief(array.shape)} pixels, in chunks of "
                f"{_brief(array.chunks or ())}, and sizes end at 2⁶³ - 1; replace it or "
                "take it out of the data."
            )
        self._stamp = self._marked()
        # One per opening: what is written to the store later is not mixed with what was
        # read before.
        self._token = uuid.uuid4().hex

    def fingerprint(self) -> str | None:
        """Hash of the array's metadata and of number, size and newest time of its files.

        None if the array is not in a folder.
        """
        if self.path is None:
            return None
        number, size, newest = 0, 0, 0
        digest = hashlib.sha256(str(self.path.resolve()).encode())
        for folder, _, names in os.walk(self.path):
            for name in names:
                status = os.stat(os.path.join(folder, name))
                number, size = number + 1, size + status.st_size
                newest = max(newest, status.st_mtime_ns)
        for mark in ZARR_MARKS:
            if (self.path / mark).exists():
                digest.update((self.path / mark).read_bytes())
        digest.update(repr((number, size, newest)).encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None if self.path else self._array}

    def _marked(self) -> tuple[int, ...]:
        """Times at which the array's metadata were written."""
        if self.path is None:
            return ()
        marks = (self.path / mark for mark in ZARR_MARKS)
        return tuple(os.stat(mark).st_mtime_ns for mark in marks if mark.exists())

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        # Chunks too big to be kept are left to zarr, which takes no memory for those that
        # were never written.
        chunk = math.prod(self.chunks or ())
        asked = math.prod(stop - start for start, stop in bounds)
        size = max(asked, chunk) * self.dtype.itemsize
        if self._is_all(bounds) or 2 * size > chunk_cache.limit:
            return self._read_past(bounds)
        assert self.chunks is not None  # noqa: S101  (an array in Zarr has chunks)
        return gather(bounds, self.chunks, self.dtype, self._chunk)

    def _read_past(self, bounds: Bounds) -> NDArray[Any]:
        pixels = self._decoded(tuple(slice(*pair) for pair in bounds))
        return np.require(pixels, self.dtype, "W")

    def _chunk(self, position: tuple[int, ...]) -> NDArray[Any]:
        sizes = self.chunks or ()
        key = tuple(
            slice(i * size, min((i + 1) * size, n))
            for i, size, n in zip(position, sizes, self.shape, strict=True)
        )
        return chunk_cache.get((self._token, position), lambda: self._decoded(key))

    def _decoded(self, key: tuple[slice, ...]) -> NDArray[Any]:
        if self._marked() != self._stamp:
            raise UnreadableFileError(
                f"{self._name} was changed or deleted since it was opened; start again "
                "once it stays as it is."
            )
        try:
            if self._array is None:
                self._array = zarr_module().open_array(str(self.path), mode="r")
            return np.asarray(self._array[key])
        except MemoryError:
            raise
        except Exception as error:  # each codec raises its own kinds
            corner = tuple(part.start for part in key)
            raise UnreadableFileError(
                f"{self._name} is damaged: the chunk at {corner} cannot be decoded "
                f"({error}); replace it or take it out of the data."
            ) from error


def _brief(sizes: Sequence[int]) -> str:
    """Sizes as people write them; 1e+59 in place of sixty digits, or of six hundred."""
    return " x ".join(str(n) if n <= LARGEST else f"1e+{len(str(n)) - 1}" for n in sizes)
