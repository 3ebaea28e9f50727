"""The pixels of a TIFF file, read region by region."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError, UnreadableFileError
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.lazy import Bounds, LazyPixels, extent, gather
from napari_hush.io.tiff_layout import TiffLayout, layout_of, opened, truncated

_BRIDGED_GAP = 16 * 2**10
"""Bytes between two rows that are faster to read than to seek over."""
_BAND = 8 * 2**20
"""Bytes of rows that are read at once at most."""


class TiffPixels(LazyPixels):
    """Pixels of the first image series of a TIFF file, which stay in the file.

    Uncompressed pages are read row by row or in bands, compressed ones by strips or tiles
    through the chunk cache. The file is open only while a region is read, and it is no
    memory map: memory does not grow with the pixels read, and a file that shrinks does not
    end the process. Reading raises an UnreadableFileError if the file was changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.layout: TiffLayout = layout_of(path)
        layout = self.layout
        lead = len(layout.shape) - len(layout.page)
        chunks = None if layout.chunks is None else (1,) * lead + layout.chunks
        super().__init__(layout.shape, layout.dtype, chunks)
        self._keyframe: Any = None

    def fingerprint(self) -> str:
        """Hash of path, size, time of modification, shape and type of the file."""
        layout = self.layout
        known = (str(layout.path), *layout.stamp, layout.shape, layout.dtype.str)
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_keyframe": None}

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        with self._file() as file:
            if self.chunks is not None and self._is_all(bounds):
                with opened(self.layout.path) as whole:  # unpacks on all cores
                    return np.asarray(whole.series[0].asarray())
            return self._gathered(file, bounds, self._chunk)

    def _read_uncached(self, bounds: Bounds) -> NDArray[Any]:
        with self._file() as file:
            return self._gathered(file, bounds, self._decoded)

    def _gathered(
        self,
        file: BinaryIO,
        bounds: Bounds,
        piece: Callable[[BinaryIO, tuple[int, ...]], NDArray[Any]],
    ) -> NDArray[Any]:
        if self.chunks is None:
            return self._plain(file, bounds)
        return gather(bounds, self.chunks, self.dtype, lambda at: piece(file, at))

    @contextmanager
    def _file(self) -> Iterator[BinaryIO]:
        path = self.layout.path
        try:
            with open(path, "rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != self.layout.stamp:
                    raise UnreadableFileError(
                        f"{str(path)!r} was changed by someone else since it was opened; "
                        "start again once the file is complete."
                    )
                yield file
        except FileNotFoundError as error:
            raise UnreadableFileError(
                f"{str(path)!r} was moved or deleted since it was opened; put it back and "
                "start again."
            ) from error
        except OSError as error:
            if isinstance(error, HushError):
                raise
            raise UnreadableFileError(
                f"{str(path)!r} could not be read ({error}); check the disk it lies on."
            ) from error

    def _plain(self, file: BinaryIO, bounds: Bounds) -> NDArray[Any]:
        layout = self.layout
        lead = len(layout.shape) - len(layout.page)
        box = extent(bounds)
        out = np.empty(box, self.dtype)
        for index in np.ndindex(*box[:lead]):
            numbers = [start + i for (start, _), i in zip(bounds, index, strict=False)]
            page = int(np.ravel_multi_index(numbers, layout.shape[:lead])) if lead else 0
            out[index] = read_box(
                file,
                int(layout.offsets[page, 0]),
                layout.page,
                layout.stored,
                bounds[lead:],
            )
        return out

    def _chunk(self, file: BinaryIO, position: tuple[int, ...]) -> NDArray[Any]:
        layout = self.layout
        key = (str(layout.path), layout.stamp, position)
        return chunk_cache.get(key, lambda: self._decoded(file, position))

    def _decoded(self, file: BinaryIO, position: tuple[int, ...]) -> NDArray[Any]:
        layout, page_shape = self.layout, self.layout.page
        lead = len(layout.shape) - len(page_shape)
        page = (
            int(np.ravel_multi_index(position[:lead], layout.shape[:lead])) if lead else 0
        )
        sizes = layout.chunks or ()
        grid = [-(-n // size) for n, size in zip(page_shape, sizes, strict=True)]
        piece = int(np.ravel_multi_index(position[lead:], grid))
        # Pieces at the far border are smaller.
        shape = [
            min(size, n - i * size)
            for i, n, size in zip(position[lead:], page_shape, sizes, strict=True)
        ]
        where, count = int(layout.offsets[page, piece]), int(layout.counts[page, piece])
        keyframe = self._key_page()
        if where == 0 or count == 0:  # a missing piece has the background value
            pixels = np.full(shape, keyframe.nodata, self.dtype)
        else:
            file.seek(where)
            packed = file.read(count)
            if len(packed) < count:
                raise truncated(layout.path, f"at byte {where + len(packed)}")
            pixels = self._unpacked(keyframe, packed, page, piece, shape)
        return pixels.reshape((1,) * lead + pixels.shape)

    def _unpacked(
        self, keyframe: Any, packed: bytes, page: int, piece: int, shape: list[int]
    ) -> NDArray[Any]:
        tables = self.layout.tables[page] if self.layout.tables else None
        try:
            pixels, corner, _ = keyframe.decode(
                packed, piece, jpegtables=tables, jpegheader=keyframe.jpegheader
            )
            # (depth, length, width, samples); tiles reach over the border
            inside = [
                slice(0, size - start)
                for size, start in zip(keyframe.shaped[1:4], corner[1:4], strict=True)
            ]
            cropped = pixels[tuple(inside)]
            return np.ascontiguousarray(cropped, self.dtype).reshape(shape)
        except Exception as error:  # each codec raises its own kinds
            raise UnreadableFileError(
                f"{str(self.layout.path)!r} is damaged: page {page} cannot be unpacked "
                f"({error}); replace it or leave it out."
            ) from error

    def _key_page(self) -> Any:
        # It decodes without an open file, but cannot be pickled.
        if self._keyframe is None:
            with opened(self.layout.path) as file:
                keyframe = file.series[0].keyframe
                keyframe.decode(None, 0)
            self._keyframe = keyframe
        return self._keyframe


def read_box(
    file: BinaryIO,
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bounds: Bounds,
) -> NDArray[Any]:
    """Read a box of a contiguous array in a file, in native byte order.

    The array has the given `shape` and `dtype`, in the byte order of the file, and begins
    at byte `offset` of the unbuffered `file`.
    """
    # Dimensions that are read whole are merged with the one before.
    sizes, parts = [1, *shape], [(0, 1), *bounds]
    while len(sizes) > 2 and parts[-1] == (0, sizes[-1]):
        inner = sizes.pop()
        parts.pop()
        sizes[-1] *= inner
        parts[-1] = (parts[-1][0] * inner, parts[-1][1] * inner)
    (top, bottom), (left, right) = parts[-2:]
    width, run = sizes[-1], right - left
    rows_at_once = 1
    if (width - run) * dtype.itemsize <= _BRIDGED_GAP:
        rows_at_once = max(1, _BAND // (width * dtype.itemsize))
    out = np.empty(extent(tuple(parts)), dtype)
    for index in np.ndindex(*out.shape[:-2]):
        outer = [start + i for (start, _), i in zip(parts, index, strict=False)]
        first = int(np.ravel_multi_index(outer, sizes[:-2])) * sizes[-2] if outer else 0
        for row in range(top, bottom, rows_at_once):
            rows = min(rows_at_once, bottom - row)
            start = offset + ((first + row) * width + left) * dtype.itemsize
            target = out[index][row - top : row - top + rows]
            if rows == 1 or run == width:
                _fill(file, start, target)
            else:
                band = np.empty((rows - 1) * width + run, dtype)
                _fill(file, start, band)
                last = (rows - 1) * width
                target[:-1] = band[:last].reshape(rows - 1, width)[:, :run]
                target[-1] = band[last:]
    return out.reshape(extent(bounds)).astype(dtype.newbyteorder("="), copy=False)


def _fill(file: BinaryIO, start: int, target: NDArray[Any]) -> None:
    file.seek(start)
    left = target.reshape(-1).view(np.uint8)  # contiguous: no copy
    while left.size:
        count = file.readinto(left.data)  # type: ignore[attr-defined]
        if not count:
            raise OSError("the file ends too early")
        left = left[count:]
