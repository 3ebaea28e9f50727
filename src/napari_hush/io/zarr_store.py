"""Which array in a Zarr store is meant, and what OME-Zarr says of it."""

from __future__ import annotations

import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io.listing import ZARR_MARKS
from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of
from napari_hush.io.optional import require
from napari_hush.io.zarr_pixels import ZarrPixels, zarr_module

if TYPE_CHECKING:
    from pathlib import Path

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
