"""The kinds of TIFF file that hold an image with its metadata."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tifffile

from napari_hush.io.metadata import METERS, ImageMetadata, convert, unit_symbol
from napari_hush.io.results.output import RECORD, ResultImage, ordered

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_AXES = "TCZYX"
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_OME_NAMES = (".ome.tif", ".ome.tiff")
_LABELS = 2**12
"""Labels of an ImageJ file at most; more are those of the first planes only."""
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
        if labels := list(sizes.channels):
            stacks = math.prod(shape[:2])
            known["Labels"] = labels * (stacks if stacks * len(labels) < _LABELS else 1)
        forms.append(_form("imagej", image, axes, shape, {"imagej": True}, known))
        forms[0].page["resolution"] = resolution
    if ome is not None:
        axes, shape = ordered(image.axes, "".join(a for a in _OME_AXES if a in own))
        file = {"ome": False, "bigtiff": big}
        form = _form("ome", image, axes, shape, file, ome)
        text = _ome_xml(image, form.page["metadata"], shape)
        form.page.update(metadata=None, description=text.encode())
        forms.insert(0 if is_ome else 1, form)
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
        entry = {RECORD: dict(image.record)}
        text = json.dumps(entry, indent=1)
        info = {"imagej": {"Info": text}, "ome": {"Description": text}}
        metadata |= info.get(kind, entry)
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


def _ome_xml(image: ResultImage, known: dict[str, Any], shape: tuple[int, ...]) -> str:
    """OME-XML of an image; its position is that of the first plane."""
    xml = tifffile.OmeXml()
    stored = (math.prod(shape[:-2]), 1, 1, *shape[-2:], 1)
    xml.addimage(image.dtype, shape, stored, **known)
    text: str = xml.tostring(declaration=True)
    place = ""
    for axis, position in image.sizes.position.items():
        unit = image.sizes.units.get(axis, "")
        symbol = unit_symbol(unit) if unit in METERS else "reference frame"
        place += f' Position{axis}="{position}" Position{axis}Unit="{symbol}"'
    plane = f'<Plane TheC="0" TheZ="0" TheT="0"{place}/>' if place else ""
    return text.replace("</Pixels>", f"{plane}</Pixels>")


_NO_UNIT = {"second": "s", "micrometer": "pixel"}
"""Units of OME for steps without a unit; for time there is none."""
