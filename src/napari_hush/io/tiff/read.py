"""The pixels of a TIFF file, read region by region."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError, UnreadableFileError
from napari_hush.io.bounded import PACKBITS, SLACK, unpacked
from napari_hush.io.lazy import Bounds, LazyPixels, chunk_cache, extent, gather
from napari_hush.io.tiff.layout import TiffLayout, layout_of
from napari_hush.io.tiff.pages import truncated
from napari_hush.io.tiff.series import images_in

_BRIDGED_GAP = 16 * 2**10
"""Bytes between two rows that are faster to read than to seek over."""
_BAND = 8 * 2**20
"""Bytes of rows that are read at once at most."""


_BOUNDED = find_spec("imagecodecs") is not None
"""Whether there is the package that unpacks to a given size."""
_UNBOUNDED = {
    8: ("zlib", 1032),
    32946: ("zlib", 1032),
    32773: (PACKBITS, 64),
    34925: ("lzma", 10**5),
    50000: ("zstd", 10**5),
}
"""Compressions that tifffile alone unpacks to any size, and how many times its size a
piece can become."""


class TiffPixels(LazyPixels):
    """Pixels of an image series of a TIFF file or a set of files, which stay there.

    Uncompressed pages are read row by row or in bands, compressed ones by strips or tiles
    through the chunk cache. It is no memory map: memory does not grow with the pixels read,
    and a file that shrinks does not end the process.
    """

    def __init__(self, path: str | Path, level: int = 0) -> None:
        self.layout: TiffLayout = layout_of(path, level)
        layout = self.layout
        lead = len(layout.shape) - len(layout.page)
        chunks = None if layout.chunks is None else (1,) * lead + layout.chunks
        super().__init__(layout.shape, layout.dtype, chunks)
        self._keyframe: Any = None

    def fingerprint(self) -> str:
        """Hash of paths, sizes and times of modification of files, shape and type."""
        layout = self.layout
        path, size, changed, *more = layout.identity
        known = (path, size, changed, layout.shape, layout.dtype.str, *more)
        return hashlib.sha256(repr(known).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_keyframe": None}

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        with _Files(self.layout) as files:
            if self.chunks is not None and self.layout.is_whole and self._is_all(bounds):
                files.of(0)
                self._check_sizes(files)
                with self._series() as series:  # unpacks on all cores
                    return np.asarray(series.asarray())
            return self._gathered(files, bounds, self._chunk)

    def _read_uncached(self, bounds: Bounds) -> NDArray[Any]:
        with _Files(self.layout) as files:
            return self._gathered(files, bounds, self._decoded)

    def _gathered(
        self, files: _Files, bounds: Bounds, piece: Callable[[_Files, Any], NDArray[Any]]
    ) -> NDArray[Any]:
        if self.chunks is None:
            return self._plain(files, bounds)
        return gather(bounds, self.chunks, self.dtype, lambda at: piece(files, at))

    def _plain(self, files: _Files, bounds: Bounds) -> NDArray[Any]:
        layout = self.layout
        lead = len(layout.shape) - len(layout.page)
        box = extent(bounds)
        out = np.empty(box, self.dtype)
        for index in np.ndindex(*box[:lead]):
            page = self._page([low + i for (low, _), i in zip(bounds, index, strict=False)])
            at = int(layout.offsets[page, 0])
            out[index] = read_box(
                files.of(page), at, layout.page, layout.stored, bounds[lead:]
            )
        return out

    def _chunk(self, files: _Files, position: tuple[int, ...]) -> NDArray[Any]:
        files.of(self._page(position))  # is unchanged
        key = (*self.layout.identity, position)
        return chunk_cache.get(key, lambda: self._decoded(files, position))

    def _page(self, position: Sequence[int]) -> int:
        shape = self.layout.shape
        lead = len(shape) - len(self.layout.page)
        return int(np.ravel_multi_index(position[:lead], shape[:lead])) if lead else 0

    def _decoded(self, files: _Files, position: tuple[int, ...]) -> NDArray[Any]:
        layout, page_shape = self.layout, self.layout.page
        lead = len(layout.shape) - len(page_shape)
        page = self._page(position)
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
            background = np.asarray(keyframe.nodata).astype(self.dtype)
            pixels = np.broadcast_to(background, shape)  # of any size, without memory
        else:
            file = files.of(page)
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
        with self._explained(page):
            self._check_size(keyframe, packed)
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

    @contextmanager
    def _explained(self, page: int) -> Iterator[None]:
        """Turn an error of a codec into an UnreadableFileError."""
        try:
            yield
        except MemoryError:
            raise
        except Exception as error:  # each codec raises its own kinds
            raise UnreadableFileError(
                f"{str(self.layout.path)!r} is damaged: page {page} cannot be unpacked "
                f"({error}); replace it or leave it out."
            ) from error

    def _check_sizes(self, files: _Files) -> None:
        """`_check_size` of all pieces."""
        layout, keyframe = self.layout, self._key_page()
        for page, piece in np.argwhere(layout.counts > self._harmless(keyframe)).tolist():
            file = files.of(page)
            file.seek(int(layout.offsets[page, piece]))
            with self._explained(page):
                self._check_size(keyframe, file.read(int(layout.counts[page, piece])))

    def _check_size(self, keyframe: Any, packed: bytes) -> None:
        """Raise a ValueError if a piece would take far more memory than its pixels."""
        if len(packed) > self._harmless(keyframe):
            method, _ = _UNBOUNDED[int(keyframe.compression)]
            unpacked({"id": method}, packed, self._piece_bytes)

    def _harmless(self, keyframe: Any) -> float:
        """Bytes of a piece that cannot unpack to more than `_piece_bytes`."""
        _, ratio = _UNBOUNDED.get(int(keyframe.compression), ("", 0))
        return self._piece_bytes / ratio if ratio and not _BOUNDED else math.inf

    @property
    def _piece_bytes(self) -> int:
        return math.prod(self.layout.chunks or ()) * self.dtype.itemsize + SLACK

    def _key_page(self) -> Any:
        # It decodes without an open file, but cannot be pickled.
        if self._keyframe is None:
            with self._series() as series:
                series.keyframe.decode(None, 0)
                self._keyframe = series.keyframe
        return self._keyframe

    @contextmanager
    def _series(self) -> Iterator[Any]:
        """The series of tifffile, in an open file."""
        layout = self.layout
        with images_in(layout.path) as found:
            (image,) = (one for one in found.images if one.number == layout.series)
            yield image.series.levels[layout.level]


class _Files:
    """The files of a layout; one at a time is open, and is checked to be unchanged."""

    def __init__(self, layout: TiffLayout) -> None:
        self._layout = layout
        self._file: BinaryIO | None = None
        self._number = -1
        self._path = layout.path

    def __enter__(self) -> _Files:
        return self

    def of(self, page: int) -> BinaryIO:
        """The file of a page; stays open until that of another file is asked for."""
        layout = self._layout
        number = 0 if layout.owners is None else int(layout.owners[page])
        if self._file is None or number != self._number:
            self._close()
            known = ((layout.path, layout.stamp), *layout.others)
            self._path, stamp = known[number]
            self._file = open(self._path, "rb", buffering=0)  # noqa: SIM115  (see _close)
            self._number = number
            status = os.fstat(self._file.fileno())
            if (status.st_size, status.st_mtime_ns) != stamp:
                raise UnreadableFileError(
                    f"{str(self._path)!r} was changed by someone else since it was opened; "
                    "start again once the file is complete."
                )
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._close()
        path = str(self._path)
        if isinstance(error, FileNotFoundError):
            raise UnreadableFileError(
                f"{path!r} was moved or deleted since it was opened; put it back and start "
                "again."
            ) from error
        if isinstance(error, OSError) and not isinstance(error, HushError):
            raise UnreadableFileError(
                f"{path!r} could not be read ({error}); check the disk it lies on."
            ) from error


def read_box(
    file: BinaryIO,
    offset: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bounds: Bounds,
) -> NDArray[Any]:
    """Read a box of a contiguous array, from byte `offset` of an unbuffered file on."""
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
