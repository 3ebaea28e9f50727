"""The kinds of TIFF file that hold an image with its metadata."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_hush.io.metadata import METERS, ImageMetadata, convert, unit_symbol
from napari_hush.io.output import ResultImage, ordered
from napari_hush.io.provenance_record import record_metadata

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_AXES = "TCZYX"
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_OME_NAMES = (".ome.tif", ".ome.tiff")
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file must be BigTIFF."""


@dataclass(frozen=True)
class TiffForm:
    """Kind, axes and metadata of an image in a TIFF file."""

    axes: str
    shape: tuple[int, ...]
    file: dict[str, Any]
    """Arguments of ``tifffile.TiffWriter``."""
    page: dict[str, Any]
    """Arguments of its ``write``."""


def tiff_forms(path: Path, image: ResultImage) -> Iterator[TiffForm]:
    """Kinds of file that can hold an image, the best one first.

    An ImageJ hyperstack if ImageJ has dtype and units, the file need not be BigTIFF, is
    not named ``.ome.tif`` and the source is no OME-TIFF; else OME-TIFF if OME has dtype and
    units and there is no S; else TIFF with axes, sizes and units in JSON.
    """
    big, kind, sizes = image.nbytes >= _BIG, image.dtype.name, image.sizes
    own = image.axes.axes
    # tifffile cannot read its own pages of a single row or column.
    thin = min(ordered(image.axes, "YX")[1]) == 1
    is_ome = path.name.lower().endswith(_OME_NAMES) or sizes.is_ome
    ome = None
    if not thin and kind in _OME_TYPES and "S" not in own:
        ome = _ome_sizes(sizes)
    imagej = _imagej_sizes(sizes) if kind in _IMAGEJ_TYPES and not (big or thin) else None
    forms = []
    if imagej is not None:
        axes, shape = ordered(image.axes, _IMAGEJ_AXES)
        resolution, known = imagej
        labels = list(sizes.channels) * math.prod(shape[:2])
        known |= {"Labels": labels} if labels else {}
        forms.append(_form("imagej", image, axes, shape, {"imagej": True}, known))
        forms[0].page["resolution"] = resolution
    if ome is not None:
        axes, shape = ordered(image.axes, "".join(a for a in _OME_AXES if a in own))
        ome |= _ome_planes(sizes, axes, shape)
        file = {"ome": True, "bigtiff": big}
        forms.insert(0 if is_ome else 1, _form("ome", image, axes, shape, file, ome))
    known = {
        key: getattr(sizes, key)
        for key in ("scale", "units", "channels", "position")
        if getattr(sizes, key)
    }
    file = {"ome": False, "bigtiff": big}
    yield from forms
    yield _form("shaped", image, own, image.axes.shape, file, known)


def _form(
    kind: Literal["imagej", "ome", "shaped"],
    image: ResultImage,
    axes: str,
    shape: tuple[int, ...],
    file: dict[str, Any],
    known: dict[str, Any],
) -> TiffForm:
    metadata = {"axes": axes, **known}
    if image.record is not None:
        metadata |= record_metadata(image.record, kind)
    page = {"photometric": "minisblack", "resolution": None, "metadata": metadata}
    return TiffForm(axes, shape, file, page)


def _imagej_sizes(
    sizes: ImageMetadata,
) -> tuple[tuple[float, float] | None, dict[str, Any]] | None:
    """Pixels per unit along X and Y, and other metadata of ImageJ; None if unsupported."""
    scale, units = sizes.scale, sizes.units
    flat = [a for a in "XY" if a in scale]
    unit = units.get(flat[0], "") if flat else ""
    try:
        size = {a: convert(scale[a], units.get(a, unit), unit) for a in "XYZ" if a in scale}
        frame = convert(scale["T"], units.get("T", ""), "second") if "T" in scale else None
    except ValueError:  # ImageJ has one unit of length, and seconds
        return None
    if not unit.isascii() or any(not 1e-9 < size[a] < 1e9 for a in flat):
        return None  # sizes are ratios of two integers
    known: dict[str, Any] = {"spacing": size.get("Z"), "finterval": frame}
    known["unit"] = "micron" if unit == "micrometer" else unit or None
    for axis, place in sizes.position.items():
        if axis not in scale:
            return None
        known[f"{axis.lower()}origin"] = -place / scale[axis]
    resolution = (1 / size[flat[0]], 1 / size[flat[-1]]) if flat else None
    return resolution, {key: value for key, value in known.items() if value is not None}


def _ome_sizes(sizes: ImageMetadata) -> dict[str, Any] | None:
    """Pixel sizes in the terms of OME; None if unsupported."""
    known: dict[str, Any] = {}
    for axis, size in sizes.scale.items():
        kind, word = ("second", "TimeIncrement") if axis == "T" else ("micrometer", "")
        unit = sizes.units.get(axis, "")
        try:
            convert(size, unit, kind)
        except ValueError:
            return None
        if axis not in "TZYX":
            return None
        word = word or f"PhysicalSize{axis}"
        known[word] = size
        # OME reads a missing unit as micrometers.
        known[f"{word}Unit"] = unit_symbol(unit) if unit else _NO_UNIT[kind]
    if sizes.channels:
        known["Channel"] = {"Name": list(sizes.channels)}
    return known


def _ome_planes(sizes: ImageMetadata, axes: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Positions of all planes in the terms of OME, which has none of an image."""
    if not sizes.position:
        return {}
    depth = dict(zip(axes, shape, strict=True)).get("Z", 1)
    count = math.prod(shape) // math.prod(shape[-2:])
    planes: dict[str, list[Any]] = {}
    for axis, place in sizes.position.items():
        step = sizes.scale.get("Z", 0.0) if axis == "Z" else 0.0
        unit = sizes.units.get(axis, "")
        places = [place + n * step for n in range(depth)] * (count // depth)
        planes[f"Position{axis}"] = places
        symbol = unit_symbol(unit) if unit in METERS else "reference frame"
        planes[f"Position{axis}Unit"] = [symbol] * count
    return {"Plane": planes}


_NO_UNIT = {"second": "s", "micrometer": "pixel"}
"""Units of OME for steps without a unit; for time there is none."""
