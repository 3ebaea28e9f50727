"""Which array in a Zarr store is meant, and what OME-Zarr says of it."""

from __future__ import annotations

import hashlib
import math
import os
import uuid
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.boxes import Boxes
from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io.chunk_cache import chunk_cache
from napari_hush.io.lazy import Bounds, LazyPixels, gather
from napari_hush.io.listing import ZARR_MARKS
from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of
from napari_hush.system.optional import require

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
        key = Boxes(self.shape, self.chunks or ()).at(position)
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


_METADATA_BYTES = 2**26
"""Size that the metadata of a store do not have."""
_DEEP = 6
"""Groups in groups that are looked into for arrays."""
_NAMED = 8
"""Members of a store that a message names."""


def open_zarr(path: Path, level: int = 0) -> tuple[ZarrPixels, str, ImageMetadata]:
    """Open an array without reading its pixels.

    Parameters
    ----------
    path : Path
        A store, or a group or an array in one (``image.zarr/1``). Of an OME-Zarr image
        (version 0.4 or 0.5) the first multiscale counts.
    level : int
        Which resolution of an OME-Zarr image; 0 is the finest.

    Returns
    -------
    pixels : ZarrPixels
        The array.
    named : str
        Axes that the metadata name, `UNNAMED` for the others.
    metadata : ImageMetadata
        Axes, pixel sizes and units.

    Raises
    ------
    UnreadableFileError
        If it is no Zarr store or its metadata are damaged.
    DataError
        If it does not say which of several arrays is meant, or holds none, or has no
        such level.
    HushError
        If zarr or yaozarrs is not installed.
    """
    node = _opened(path)
    if not hasattr(node, "members"):
        if level:
            raise DataError(
                f"{str(path)!r} is a single array, but level {level} was asked for; leave "
                "the level out or give the group that holds the levels."
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
            f"Level {level} of {str(path)!r} is a group, not an array; mend its metadata, "
            "or name the array itself."
        )
    return _described(array, scales, datasets[level])


def attributes_of(path: Path) -> dict[str, Any]:
    """The attributes of a Zarr group or array.

    Raises
    ------
    UnreadableFileError
        If it is none, or its metadata are damaged.
    """
    return dict(_opened(path).attrs.asdict())


def _within(path: Path, name: str) -> Path:
    """The folder of a part of a group, which cannot lie elsewhere."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in name:
        raise UnreadableFileError(
            f"The metadata of {str(path)!r} name {name!r}, which lies outside of it; mend "
            "them, or name the array itself."
        )
    return path / parts


def _opened(path: Path) -> Any:
    zarr = zarr_module()
    try:
        marks = [path / mark for mark in ZARR_MARKS if (path / mark).exists()]
    except OSError as error:  # a name in the metadata that no file can have
        raise UnreadableFileError(
            f"{str(path)[:200]!r} cannot be opened ({error.strerror}); mend the metadata "
            "that name it, or name the array itself."
        ) from error
    for mark in (*marks, path / ".zattrs", path / ".zmetadata"):
        if mark.exists() and mark.stat().st_size > _METADATA_BYTES:
            raise UnreadableFileError(
                f"{str(mark)!r} should hold metadata but is {mark.stat().st_size} bytes "
                "long; replace the store or take it out of the data."
            )
    if not marks:
        raise UnreadableFileError(
            f"{str(path)!r} has no Zarr metadata ({', '.join(ZARR_MARKS)}); replace it or "
            "take it out of the data."
        )
    try:
        return _sound(zarr.open(str(path), mode="r"))
    except Exception as error:  # damaged metadata raise many kinds
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as Zarr ({error}); replace it or take it out "
            "of the data."
        ) from error


def _sound(node: Any) -> Any:
    """A group or array whose attributes are a mapping and whose chunks hold something."""
    dict(node.attrs.asdict())  # raises several kinds where they are none
    if 0 in (getattr(node, "chunks", None) or ()) and 0 not in node.shape:
        raise ValueError(f"its chunks are {node.chunks}")
    return node


def _multiscale(path: Path, group: Any) -> Any:
    """What OME-Zarr says of the first image of a group; None if it is no such image."""
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
            warnings.simplefilter("ignore")  # what the standard merely recommends
            return model.model_validate(known).multiscales[0]
    except ValueError as error:
        flaws = error.errors() if hasattr(error, "errors") else []
        first = f"{'.'.join(map(str, flaws[0]['loc']))}: {flaws[0]['msg']}" if flaws else ""
        first = " ".join(first.split())
        raise UnreadableFileError(
            f"The OME-Zarr metadata of {str(path)!r} are neither version 0.4 nor 0.5 "
            f"({first}); mend them or name the array itself, for example "
            f"{str(path / '0')!r}."
        ) from error


def _beside(path: Path) -> tuple[Any, Any]:
    """What OME-Zarr says of an array, in one of the groups that it lies in."""
    for parent in path.parents:
        if not any((parent / mark).exists() for mark in ZARR_MARKS):
            break
        scales = _multiscale(parent, _opened(parent))
        for dataset in scales.datasets if scales else ():
            if parent / dataset.path == path:
                return scales, dataset
    return None, None


def _only_array(path: Path, group: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other files that lie in the store
        members = dict(group.members(max_depth=_DEEP))
    arrays = {name: m for name, m in sorted(members.items()) if not hasattr(m, "members")}
    if len(arrays) == 1:
        return _opened(_within(path, next(iter(arrays))))
    if not arrays:
        held = f"only the groups {_some(sorted(members))}" if members else "and no group"
        raise DataError(
            f"{str(path)!r} holds no array, {held}; give a store or a group with one."
        )
    listed = _some([f"{name} {array.shape}" for name, array in arrays.items()])
    raise DataError(
        f"{str(path)!r} holds {len(arrays)} arrays and no OME-Zarr metadata that choose "
        f"one of them ({listed}); name one, for example {str(path / next(iter(arrays)))!r}."
    )


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _described(
    array: Any, scales: Any, dataset: Any
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
    sizes = [1.0] * len(letters)
    for steps in (dataset.coordinateTransformations, scales.coordinateTransformations):
        for step in steps or ():
            if step.type == "scale":
                sizes = [a * b for a, b in zip(sizes, step.scale, strict=True)]
    units = dict(zip(letters, (getattr(a, "unit", None) for a in scales.axes), strict=True))
    scale = {a: size for a, size in zip(letters, sizes, strict=True) if a in "TZYX"}
    return pixels, axes, ImageMetadata.of(axes, scale, units)


def array_axes(array: Any) -> str | None:
    """Axes that the dimension names of a Zarr array stand for, or None.

    Version 3 has names of its own; in version 2 xarray writes them as an attribute.
    """
    names = getattr(array.metadata, "dimension_names", None)
    names = names or array.attrs.asdict().get("_ARRAY_DIMENSIONS")
    return letters_of(names) if names and len(names) == array.ndim else None
