"""Reading Zarr arrays and OME-Zarr images."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import Boxes
from napari_hush.errors import DataError, HushError, UnreadableFileError
from napari_hush.io.contents import natural_order, some_names
from napari_hush.io.lazy import Bounds, LazyPixels, chunk_cache, extent, gather
from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of
from napari_hush.io.zarr.ome import Multiscale, unusable, zarr_contents
from napari_hush.io.zarr.store import (
    address_of,
    exists,
    has_chunks,
    is_group,
    opened,
    shown,
    within,
    zarr_marks,
)

LARGEST = 2**63 - 1
"""Largest size of an axis, in pixels."""
_log = logging.getLogger(__name__)


class ZarrPixels(LazyPixels):
    """Pixels of a Zarr array of version 2 or 3, which stay in its store.

    Chunks are decoded whole and kept in the chunk cache. The whole image, regions too large
    for the cache, and `read_uncached` bypass it, so zarr decodes their chunks in parallel.
    """

    def __init__(self, array: Any, path: Path | None = None) -> None:
        dtype = np.dtype(array.dtype)
        super().__init__(array.shape, dtype.newbyteorder("="), array.chunks)
        self._array, self._process = array, os.getpid()
        root = getattr(array.store, "root", None)
        self.path = Path(root) / array.path if isinstance(root, Path) else path
        """Folder or address of the array; None if it can only be read by this object."""
        self._name = shown(self.path) if self.path else "the Zarr array"
        if max((*array.shape, *(array.chunks or ())), default=0) > LARGEST:
            raise UnreadableFileError(
                f"{self._name} claims to have {_brief(array.shape)} pixels, in chunks of "
                f"{_brief(array.chunks or ())}, and sizes end at 2⁶³ - 1; replace it or "
                "leave it out."
            )
        self._stamp = self._marked()
        # One per opening, so that old and new chunks of a changed store are not mixed.
        self._token = uuid.uuid4().hex

    def fingerprint(self) -> str | None:
        """Hash of the metadata, and in a folder of number, size and newest of the files."""
        if self.path is None:
            return None
        if (address := address_of(self.path)) is not None:
            known = (address, self.shape, self._array_now().metadata)
            return hashlib.sha256(repr(known).encode()).hexdigest()
        number, size, newest = 0, 0, 0
        digest = hashlib.sha256(str(self.path.resolve()).encode())
        for folder, _, names in os.walk(self.path):
            for name in names:
                status = os.stat(os.path.join(folder, name))
                number, size = number + 1, size + status.st_size
                newest = max(newest, status.st_mtime_ns)
        for mark in zarr_marks(self.path):
            digest.update(mark.read_bytes())
        digest.update(repr((number, size, newest)).encode())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_array": None if self.path else self._array}

    def _marked(self) -> tuple[int, ...]:
        """Times of modification of the metadata."""
        marks = zarr_marks(self.path) if self.path else ()
        return tuple(mark.stat().st_mtime_ns for mark in marks)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        # Large chunks are left to zarr, which needs no memory for missing ones.
        chunk = math.prod(self.chunks or ())
        asked = math.prod(extent(bounds))
        size = max(asked, chunk) * self.dtype.itemsize
        if self._is_all(bounds) or 2 * size > chunk_cache.limit:
            return self._read_uncached(bounds)
        assert self.chunks is not None  # noqa: S101  (an array in Zarr has chunks)
        return gather(bounds, self.chunks, self.dtype, self._chunk)

    def _read_uncached(self, bounds: Bounds) -> NDArray[Any]:
        pixels = self._decoded(tuple(slice(*pair) for pair in bounds))
        return np.require(pixels, self.dtype, "W")

    def _chunk(self, position: tuple[int, ...]) -> NDArray[Any]:
        key = Boxes(self.shape, self.chunks or ()).at(position)
        return chunk_cache.get((self._token, position), lambda: self._decoded(key))

    def _array_now(self) -> Any:
        """The array, opened again in another process; connections cannot be shared."""
        elsewhere = self._array is None or self._process != os.getpid()
        if self.path is not None and elsewhere:
            self._array, self._process = opened(self.path), os.getpid()
        return self._array

    def _decoded(self, key: tuple[slice, ...]) -> NDArray[Any]:
        if self._marked() != self._stamp:
            raise UnreadableFileError(
                f"{self._name} was changed or deleted since it was opened; start again "
                "once it is complete."
            )
        try:
            return np.asarray(self._array_now()[key])
        except (HushError, MemoryError):
            raise
        except Exception as error:  # each codec raises its own kinds
            corner = tuple(part.start for part in key)
            raise UnreadableFileError(
                f"{self._name} is damaged: the chunk at {corner} cannot be decoded "
                f"({error}); replace it or leave it out."
            ) from error


def _brief(sizes: Sequence[int]) -> str:
    """Sizes for messages; 1e+59 in place of sixty digits."""
    return " x ".join(str(n) if n <= LARGEST else f"1e+{len(str(n)) - 1}" for n in sizes)


_DEEP = 6
"""Depth of groups that are searched for arrays."""


def open_zarr(path: Path, level: int = 0) -> tuple[ZarrPixels, str, ImageMetadata]:
    """Open an array without reading its pixels; also its axes and metadata.

    `path` is a store, or a group or an array in one (``image.zarr/1``), in a folder or at
    an address; of an OME-Zarr image the first multiscale counts.
    """
    node = opened(path)
    if not is_group(node):
        if level:
            raise DataError(
                f"{shown(path)} is a single array, but level {level} was asked for; leave "
                "the level out or choose the group with the levels."
            )
        return _described(path, node, *_beside(path))
    attributes = node.attrs.asdict()
    if scales := Multiscale.all_of(attributes):
        name = _level(path, scales[0].levels, level)
        inner = within(path, name)
        array = opened(inner)
        if is_group(array):
            raise UnreadableFileError(
                f"Level {level} of {shown(path)} is a group, not an array; correct its "
                "metadata, or choose the array itself."
            )
        return _described(inner, array, scales[0], name)
    contents = zarr_contents(path)
    first = contents.images[0].reference
    if first == path:
        inner = _only_array(path, node)
        pixels, axes, metadata = _described(inner, opened(inner))
        return pixels, axes, replace(metadata, unknown=unusable(attributes))
    if len(contents.images) > 1:
        named = some_names([part.name for part in contents.images])
        raise DataError(
            f"{shown(path)} holds {len(contents.images)} images ({named}); choose one of "
            f"them, for example {shown(first)}."
        )
    return open_zarr(first, level)


def _level(path: Path, levels: Sequence[str], level: int) -> str:
    """Path of a level, which must be there."""
    if not 0 <= level < len(levels):
        raise DataError(
            f"{shown(path)} has the levels 0 to {len(levels) - 1}, but level {level} was "
            "asked for; choose one of them."
        )
    if not exists(within(path, levels[level])):
        there = [str(n) for n, name in enumerate(levels) if exists(within(path, name))]
        other = f", or choose the level {' or '.join(there)}" if there else ""
        raise UnreadableFileError(
            f"{shown(path)} is incomplete, it lacks {levels[level]!r:.80} of its level "
            f"{level}; complete it{other}."
        )
    return levels[level]


def _beside(path: Path) -> tuple[Multiscale | None, str]:
    """The multiscale and level of an array, from one of the groups around it."""
    for parent in path.parents:
        if address_of(parent) is None and not zarr_marks(parent):
            break
        try:
            attributes = opened(parent).attrs.asdict()
        except HushError:  # the array itself is sound
            break
        for scales in Multiscale.all_of(attributes):
            for level in scales.levels:
                if parent / level == path:
                    return scales, level
    return None, ""


def _only_array(path: Path, group: Any) -> Path:
    if address_of(path) is not None:
        raise DataError(
            f"{shown(path)} has no OME-Zarr metadata, and groups at an address are not "
            "searched; give the address of an image or an array."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about other files in the store
        members = dict(group.members(max_depth=_DEEP))
    members = {name: members[name] for name in sorted(members, key=natural_order)}
    arrays = {name: member for name, member in members.items() if not is_group(member)}
    if len(arrays) == 1:
        return within(path, next(iter(arrays)))
    if not arrays:
        held = f"only the groups {some_names([*members])}" if members else "and no group"
        raise DataError(
            f"{str(path)!r} has no array, {held}; choose a store or a group with one."
        )
    listed = some_names([f"{name} {array.shape}" for name, array in arrays.items()])
    raise DataError(
        f"{str(path)!r} has {len(arrays)} arrays ({listed}) and no usable OME-Zarr "
        f"metadata; choose one of them, for example {str(path / next(iter(arrays)))!r}."
    )


_reported: set[Path] = set()
"""Arrays without chunks of former warnings."""


def _described(
    path: Path, array: Any, scales: Multiscale | None = None, level: str = ""
) -> tuple[ZarrPixels, str, ImageMetadata]:
    pixels = ZarrPixels(array, path)
    empty = address_of(path) is None and 0 not in pixels.shape and not has_chunks(path)
    if empty and path not in _reported:
        _reported.add(path)
        _log.warning(
            "%r has no chunk, so all of its pixels are the fill value %s; check that it "
            "was copied completely.",
            str(path),
            array.fill_value,
        )
    axes = array_axes(array)
    if scales is not None:
        axes, metadata = scales.metadata(level, pixels.ndim, axes)
        count = dict(zip(axes, pixels.shape, strict=True)).get("C", 1)
        return pixels, axes, metadata.for_channels(count)
    return pixels, axes or UNNAMED * pixels.ndim, ImageMetadata(axes)


def array_axes(array: Any) -> str | None:
    """Axes from the dimension names of a Zarr array, or None."""
    names = getattr(array.metadata, "dimension_names", None)
    # To version 2, which has none, xarray adds an attribute.
    names = names or array.attrs.asdict().get("_ARRAY_DIMENSIONS")
    return letters_of(names) if names and len(names) == array.ndim else None
