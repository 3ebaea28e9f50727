"""Reading Zarr arrays and OME-Zarr images."""

from __future__ import annotations

import hashlib
import math
import os
import uuid
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.boxes import Boxes
from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.lazy import Bounds, LazyPixels, extent, gather
from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of
from napari_hush.system.optional import require

LARGEST = 2**63 - 1
"""Largest size of an axis, in pixels."""
ZARR_MARKS = ("zarr.json", ".zarray", ".zgroup")
"""A Zarr group or array has one of these files."""


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr store, or a group or an array in one."""
    return path.is_dir() and (path.suffix.lower() == ".zarr" or bool(zarr_marks(path)))


def zarr_marks(folder: Path) -> list[Path]:
    """The `ZARR_MARKS` that a folder has."""
    return [folder / mark for mark in ZARR_MARKS if (folder / mark).exists()]


def zarr_module() -> Any:
    """The zarr package, or a HushError if it is not installed."""
    return require("zarr", "zarr", "Reading Zarr stores")


class ZarrPixels(LazyPixels):
    """Pixels of a Zarr array of version 2 or 3, which stay in its store.

    Chunks are decoded whole and kept in the chunk cache. The whole image, regions too large
    for the cache, and `read_uncached` bypass it, so zarr decodes their chunks in parallel.
    Missing chunks have the fill value. Reading raises an UnreadableFileError if a chunk is
    damaged, or the array was changed or deleted.
    """

    def __init__(self, array: Any) -> None:
        dtype = np.dtype(array.dtype)
        super().__init__(array.shape, dtype.newbyteorder("="), array.chunks)
        self._array = array
        root = getattr(array.store, "root", None)
        self.path = Path(root) / array.path if isinstance(root, Path) else None
        """Folder of the array; None if the store is not a folder."""
        self._name = repr(str(self.path)) if self.path else "the Zarr array"
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
        """Hash of the metadata, and of number, size and newest time of the files."""
        if self.path is None:
            return None
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

    def _decoded(self, key: tuple[slice, ...]) -> NDArray[Any]:
        if self._marked() != self._stamp:
            raise UnreadableFileError(
                f"{self._name} was changed or deleted since it was opened; start again "
                "once it is complete."
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
                f"({error}); replace it or leave it out."
            ) from error


def _brief(sizes: Sequence[int]) -> str:
    """Sizes for messages; 1e+59 in place of sixty digits."""
    return " x ".join(str(n) if n <= LARGEST else f"1e+{len(str(n)) - 1}" for n in sizes)


_METADATA_BYTES = 2**26
"""Larger metadata are damaged."""
_DEEP = 6
"""Depth of groups that are searched for arrays."""
_NAMED = 8
"""Members of a store that a message lists."""


def open_zarr(path: Path, level: int = 0) -> tuple[ZarrPixels, str, ImageMetadata]:
    """Open an array without reading its pixels; also its axes and metadata.

    `path` is a store, or a group or an array in one (``image.zarr/1``); of an OME-Zarr
    image (version 0.4 or 0.5) the first multiscale counts, and `level` 0 is the finest.
    Axes without a name are `UNNAMED`. Raises an UnreadableFileError if it is no Zarr store
    or its metadata are damaged, and a DataError if it has no array, several without
    OME-Zarr metadata, or no such level.
    """
    node = _opened(path)
    if not hasattr(node, "members"):
        if level:
            raise DataError(
                f"{str(path)!r} is a single array, but level {level} was asked for; leave "
                "the level out or choose the group with the levels."
            )
        return _described(node, *_beside(path))
    scales = _multiscale(path, node)
    if scales is None:
        return _described(_only_array(path, node), None, None)
    datasets = scales.datasets
    if not 0 <= level < len(datasets):
        raise DataError(
            f"{str(path)!r} has the levels 0 to {len(datasets) - 1}, but level {level} "
            "was asked for; choose one of them."
        )
    inner = _within(path, datasets[level].path)
    array = _opened(inner)
    if hasattr(array, "members"):
        raise UnreadableFileError(
            f"Level {level} of {str(path)!r} is a group, not an array; correct its "
            "metadata, or choose the array itself."
        )
    labels = channel_labels(node.attrs.asdict())
    return _described(array, scales, datasets[level], labels)


def attributes_of(path: Path) -> dict[str, Any]:
    """The attributes of a Zarr group or array."""
    return dict(_opened(path).attrs.asdict())


def _within(path: Path, name: str) -> Path:
    """The folder of a member of a group, which must be inside the group."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise UnreadableFileError(
            f"The metadata of {str(path)!r} name {name!r}, which lies outside of it; "
            "correct them, or choose the array itself."
        )
    return path / parts


def _opened(path: Path) -> Any:
    zarr = zarr_module()
    try:
        marks = zarr_marks(path)
    except OSError as error:  # a name in the metadata that no file can have
        raise UnreadableFileError(
            f"{str(path)[:200]!r} cannot be opened ({error.strerror}); correct the "
            "metadata that name it, or choose the array itself."
        ) from error
    for mark in (*marks, path / ".zattrs", path / ".zmetadata"):
        if mark.exists() and mark.stat().st_size > _METADATA_BYTES:
            raise UnreadableFileError(
                f"{str(mark)!r} should be metadata but has {mark.stat().st_size} bytes; "
                "replace the store or leave it out."
            )
    if not marks:
        raise UnreadableFileError(
            f"{str(path)!r} has no Zarr metadata ({', '.join(ZARR_MARKS)}); replace it or "
            "leave it out."
        )
    try:
        return _sound(zarr.open(str(path), mode="r"))
    except Exception as error:  # damaged metadata raise many kinds
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as Zarr ({error}); replace it or leave it out."
        ) from error


def _sound(node: Any) -> Any:
    """Check that attributes are a mapping and that chunks are not empty."""
    dict(node.attrs.asdict())  # raises several kinds where they are none
    if 0 in (getattr(node, "chunks", None) or ()) and 0 not in node.shape:
        raise ValueError(f"its chunks are {node.chunks}")
    return node


def _multiscale(path: Path, group: Any) -> Any:
    """The first multiscale of an OME-Zarr image; None if the group is none."""
    attributes = group.attrs.asdict()
    ome = attributes.get("ome")
    modern = isinstance(ome, dict)
    known = ome if modern else attributes
    if "multiscales" not in known:
        return None
    yaozarrs = require("yaozarrs", "zarr", "Reading OME-Zarr images")
    model = yaozarrs.v05.Image if modern else yaozarrs.v04.Image
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # recommendations of the standard
            return model.model_validate(known).multiscales[0]
    except ValueError as error:
        flaws = error.errors() if hasattr(error, "errors") else []
        first = f"{'.'.join(map(str, flaws[0]['loc']))}: {flaws[0]['msg']}" if flaws else ""
        first = " ".join(first.split())
        raise UnreadableFileError(
            f"The OME-Zarr metadata of {str(path)!r} are neither version 0.4 nor 0.5 "
            f"({first}); correct them or choose the array itself, for example "
            f"{str(path / '0')!r}."
        ) from error


def _beside(path: Path) -> tuple[Any, Any, Sequence[Any]]:
    """Multiscale, dataset and channels of an array, from one of the groups around it."""
    for parent in path.parents:
        if not zarr_marks(parent):
            break
        group = _opened(parent)
        scales = _multiscale(parent, group)
        for dataset in scales.datasets if scales else ():
            if parent / dataset.path == path:
                return scales, dataset, channel_labels(group.attrs.asdict())
    return None, None, ()


def _only_array(path: Path, group: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about other files in the store
        members = dict(group.members(max_depth=_DEEP))
    arrays = {name: m for name, m in sorted(members.items()) if not hasattr(m, "members")}
    if len(arrays) == 1:
        return _opened(_within(path, next(iter(arrays))))
    if not arrays:
        held = f"only the groups {_some(sorted(members))}" if members else "and no group"
        raise DataError(
            f"{str(path)!r} has no array, {held}; choose a store or a group with one."
        )
    listed = _some([f"{name} {array.shape}" for name, array in arrays.items()])
    raise DataError(
        f"{str(path)!r} has {len(arrays)} arrays ({listed}) and no OME-Zarr metadata; "
        f"choose one of them, for example {str(path / next(iter(arrays)))!r}."
    )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _described(
    array: Any, scales: Any, dataset: Any, labels: Sequence[Any] = ()
) -> tuple[ZarrPixels, str, ImageMetadata]:
    pixels = ZarrPixels(array)
    if scales is None:
        axes = array_axes(array)
        return pixels, axes or UNNAMED * pixels.ndim, ImageMetadata(axes)
    kinds = {"time": "T", "channel": "C"}
    letters = [
        kinds.get(str(a.type)) or letters_of([a.name]) or UNNAMED for a in scales.axes
    ]
    axes = "".join(letters)
    sizes, places = [1.0] * len(letters), [0.0] * len(letters)
    for steps in (dataset.coordinateTransformations, scales.coordinateTransformations):
        for step in steps or ():
            if step.type == "scale":
                sizes = [a * b for a, b in zip(sizes, step.scale, strict=True)]
                places = [a * b for a, b in zip(places, step.scale, strict=True)]
            elif step.type == "translation":
                places = [a + b for a, b in zip(places, step.translation, strict=True)]
    units = dict(zip(letters, (getattr(a, "unit", None) for a in scales.axes), strict=True))
    scale = {a: size for a, size in zip(letters, sizes, strict=True) if a in "TZYX"}
    position = {a: place for a, place in zip(letters, places, strict=True) if place}
    found = ImageMetadata.of(axes, scale, units, channels=labels, position=position)
    count = dict(zip(axes, pixels.shape, strict=False)).get("C", 1)
    return pixels, axes, found.for_channels(count)


def channel_labels(attributes: Mapping[str, Any]) -> list[Any]:
    """Names of channels in display settings of OME-Zarr, which may have any shape."""
    known: Any = attributes.get("ome", attributes)
    for key in ("omero", "channels"):
        known = known.get(key) if isinstance(known, dict) else None
    channels = known if isinstance(known, list) else []
    return [one.get("label") if isinstance(one, dict) else None for one in channels]


def array_axes(array: Any) -> str | None:
    """Axes from the dimension names of a Zarr array, or None.

    Version 3 has dimension names; for version 2 xarray writes them as an attribute.
    """
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.asdict().get("_ARRAY_DIMENSIONS")
    return letters_of(names) if names and len(names) == array.ndim else None
