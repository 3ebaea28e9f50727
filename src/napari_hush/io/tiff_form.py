"""What kind of TIFF file an image becomes: ImageJ's, OME's, or one of plain axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from napari_hush.io.metadata import ImageMetadata, convert, unit_symbol
from napari_hush.io.record import record_metadata
from napari_hush.io.results import ordered

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.io.results import ResultImage

_IMAGEJ_AXES = "TZCYX"
_IMAGEJ_TYPES = ("uint8", "uint16", "float32")
_OME_AXES = "TCZYX"
_OME_TYPES = (*_IMAGEJ_TYPES, "int8", "int16", "int32", "uint32", "float64")
_OME_NAMES = (".ome.tif", ".ome.tiff")
_BIG = 2**32 - 2**25
"""Bytes of pixels from which a file needs the BigTIFF layout."""


@dataclass(frozen=True)
class TiffForm:
    """How an image lies in a TIFF file.

    Attributes
    ----------
    axes : str
        Its axes there.
    shape : tuple of int
        Its shape there.
    file : dict
        Arguments of ``tifffile.TiffWriter``: which kind of file.
    page : dict
        Arguments of its ``write``: metadata.
    """

    axes: str
    shape: tuple[int, ...]
    file: dict[str, Any]
    page: dict[str, Any]


def tiff_form(path: Path, image: ResultImage) -> TiffForm:
    """Choose the kind of file that says most to other programs.

    A hyperstack of ImageJ, where ImageJ has type and units, the file need not be BigTIFF,
    and its name does not end in ``.ome.tif`` or ``.ome.tiff``; else OME-TIFF, where OME has
    type and units and there is no S; else TIFF with axes, sizes and units in JSON.
    """
    big, kind, sizes = image.nbytes >= _BIG, image.dtype.name, image.sizes
    own = image.axes.axes
    # Of planes of a single row or column tifffile makes pages that it cannot read again.
    thin = min(ordered(image.axes, "YX")[1]) == 1
    ome = None if thin or kind not in _OME_TYPES or "S" in own else _ome_sizes(sizes)
    named_ome = ome is not None and path.name.lower().endswith(_OME_NAMES)
    fits = kind in _IMAGEJ_TYPES and not (big or named_ome or thin)
    imagej = _imagej_sizes(sizes) if fits else None
    form: Literal["imagej", "ome", "shaped"]
    if imagej is not None:
        axes, shape = ordered(image.axes, _IMAGEJ_AXES)
        file, (resolution, known) = {"imagej": True}, imagej
        form = "imagej"
    elif ome is not None:
        axes, shape = ordered(image.axes, "".join(a for a in _OME_AXES if a in own))
        file, resolution, known = {"ome": True, "bigtiff": big}, None, ome
        form = "ome"
    else:
        axes, shape = own, image.axes.shape
        file, resolution = {"ome": False, "bigtiff": big}, None
        form = "shaped"
        known = {"scale": sizes.scale, "units": sizes.units} if sizes.scale else {}
    metadata = {"axes": axes, **known}
    if image.record is not None:
        metadata |= record_metadata(image.record, form)
    page = {"photometric": "minisblack", "resolution": resolution, "metadata": metadata}
    return TiffForm(axes, shape, file, page)


def _imagej_sizes(
    sizes: ImageMetadata,
) -> tuple[tuple[float, float] | None, dict[str, Any]] | None:
    """Pixels per unit along X and Y, and what else ImageJ wants; None if it cannot say."""
    scale, units = sizes.scale, sizes.units
    flat = [a for a in "XY" if a in scale]
    unit = units.get(flat[0], "") if flat else ""
    try:
        size = {a: convert(scale[a], units.get(a, unit), unit) for a in "XYZ" if a in scale}
        frame = convert(scale["T"], units.get("T", ""), "second") if "T" in scale else None
    except ValueError:  # ImageJ has one unit of length, and seconds
        return None
    known: dict[str, Any] = {"spacing": size.get("Z"), "finterval": frame}
    known["unit"] = "micron" if unit == "micrometer" else unit or None
    resolution = (1 / size[flat[0]], 1 / size[flat[-1]]) if flat else None
    return resolution, {key: value for key, value in known.items() if value is not None}


def _ome_sizes(sizes: ImageMetadata) -> dict[str, Any] | None:
    """Pixel sizes in the words of OME; None if it cannot say them."""
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
        # Without a unit OME means micrometers, which is not what no unit means.
        known[f"{word}Unit"] = unit_symbol(unit) if unit else _NO_UNIT[kind]
    return known


_NO_UNIT = {"second": "s", "micrometer": "pixel"}
"""OME's words for steps that have no unit of length; of time there is no such word."""
