"""Axes, pixel sizes, units, positions and channel names in the metadata of files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from napari_hush.axes import CANONICAL
from napari_hush.errors import DataError

UNNAMED = "?"
"""A dimension without a name."""

_STACK = "TZS"
_DROPPED_FIRST = "CZTSYX"

# Names of units in OME-Zarr, and how files spell them; the first is the symbol.
_UNITS = {
    "picometer": ("pm", "picometre"),
    "angstrom": ("Å", "Å", "ångström"),
    "nanometer": ("nm", "nanometre", "nanometers"),
    "micrometer": ("µm", "μm", "um", "\\u00B5m", "micron", "microns", "micrometre"),
    "millimeter": ("mm", "millimetre", "millimeters"),
    "centimeter": ("cm", "centimetre"),
    "meter": ("m", "metre"),
    "inch": ("in", "inches"),
    "nanosecond": ("ns",),
    "microsecond": ("µs", "μs", "us"),
    "millisecond": ("ms", "msec"),
    "second": ("s", "sec", "seconds"),
    "minute": ("min", "minutes"),
    "hour": ("h", "hr", "hours"),
}
METERS = {
    "picometer": 1e-12,
    "angstrom": 1e-10,
    "nanometer": 1e-9,
    "micrometer": 1e-6,
    "millimeter": 1e-3,
    "centimeter": 1e-2,
    "meter": 1.0,
    "inch": 0.0254,
}
_SECONDS = {
    "nanosecond": 1e-9,
    "microsecond": 1e-6,
    "millisecond": 1e-3,
    "second": 1.0,
    "minute": 60.0,
    "hour": 3600.0,
}
_LONG_NAMES = {short: name for name, shorts in _UNITS.items() for short in (name, *shorts)}
_NO_UNITS = ("", "pixel", "pixels", "px", "null", "none", "reference frame")


@dataclass(frozen=True)
class ImageMetadata:
    """Metadata of an image, as far as its file has them."""

    axes: str | None = None
    """One letter of S, T, C, Z, Y, X per dimension; None unless all are named."""
    scale: dict[str, float] = field(default_factory=dict)
    """Size of one step along an axis, by letter."""
    units: dict[str, str] = field(default_factory=dict)
    """Unit of that size as in OME-Zarr ("micrometer", "second"), by letter."""
    channels: tuple[str, ...] = ()
    """Name of each channel, "" for one without; empty if no channel has a name."""
    position: dict[str, float] = field(default_factory=dict)
    """Place of the first pixel along an axis, in the unit of its scale, by letter."""

    @classmethod
    def of(
        cls,
        axes: str | None,
        scale: Mapping[str, Any],
        units: Mapping[str, Any],
        *,
        channels: Iterable[Any] = (),
        position: Mapping[str, Any] | None = None,
    ) -> ImageMetadata:
        """Keep valid values: positive sizes, known letters, long names of units.

        `scale`, `units` and `position` are those of the file by letter, or None; `axes`
        with `UNNAMED` become None. `channels` are the names, or None.
        """
        known = (
            axes is not None and set(axes) <= set(CANONICAL) and len(set(axes)) == len(axes)
        )
        labels = tuple("" if name is None else str(name).strip() for name in channels)
        places = {a: float(p) for a, p in (position or {}).items() if p is not None}
        sizes = {
            a: float(s) for a, s in scale.items() if s is not None and 0 < float(s) < 1e30
        }
        names = {
            a: unit_name(str(u)) for a, u in units.items() if u is not None and a in sizes
        }
        return cls(
            axes if known else None,
            {a: sizes[a] for a in CANONICAL if a in sizes},
            {a: names[a] for a in CANONICAL if names.get(a)},
            labels if any(labels) else (),
            {a: places[a] for a in CANONICAL if a in places and math.isfinite(places[a])},
        )


def unit_name(unit: str) -> str:
    """Name of a unit in OME-Zarr: ``"µm"`` is ``"micrometer"``, ``"pixel"`` is ``""``.

    Unknown units are returned unchanged.
    """
    unit = unit.strip()
    if unit.lower() in _NO_UNITS:
        return ""
    return _LONG_NAMES.get(unit) or _LONG_NAMES.get(unit.lower()) or unit


def unit_symbol(unit: str) -> str:
    """Symbol of a unit: ``"micrometer"`` is ``"µm"``; unknown units are unchanged."""
    name = unit_name(unit)
    return _UNITS[name][0] if name in _UNITS else name


def convert(size: float, unit: str, wanted: str) -> float:
    """Convert a size to another unit; unchanged without a unit on either side.

    Raises a ValueError if one is a length and the other a time, or a unit is unknown.
    """
    unit, wanted = unit_name(unit), unit_name(wanted)
    if unit == wanted or not unit or not wanted:
        return size
    for kind in (METERS, _SECONDS):
        if unit in kind and wanted in kind:
            return size * kind[unit] / kind[wanted]
    raise ValueError(f"{unit!r} cannot be converted to {wanted!r}")


def letters_of(names: Iterable[Any]) -> str | None:
    """Convert names such as ``("time", "y", "x")`` to ``"TYX"``.

    None if a name is unknown, or two have the same letter.
    """
    words = {
        "S": ("s", "sample", "samples"),
        "T": ("t", "time", "frame", "frames"),
        "C": ("c", "channel", "channels", "band", "rgb"),
        "Z": ("z", "depth", "plane"),
        "Y": ("y", "row", "rows", "height"),
        "X": ("x", "column", "columns", "width"),
    }
    by_word = {word: letter for letter, many in words.items() for word in many}
    letters = [by_word.get(str(name).lower()) for name in names]
    found = [letter for letter in letters if letter is not None]
    if len(found) < len(letters) or len(set(found)) < len(found):
        return None
    return "".join(found)


def fitting_dimensions(
    name: str, named: str, shape: Sequence[int], axes: str
) -> tuple[int, ...]:
    """Match the dimensions of a file with the `axes` that the user gives.

    Returns the dimensions to keep, ascending. Dimensions of size 1 that `axes` lack are
    dropped. T, Z and S may stand for each other; the places of C, Y and X must agree, and
    the order of stack axes that both name. `named` has `UNNAMED` for unnamed dimensions.
    Raises a DataError if they disagree; a wrong number of dimensions is reported later.
    """
    kept = list(range(len(shape)))
    droppable = [i for i in kept if shape[i] == 1 and named[i] not in axes + UNNAMED]
    droppable.sort(key=lambda i: _DROPPED_FIRST.find(named[i]))
    surplus = len(shape) - len(axes)
    if 0 < surplus <= len(droppable):
        kept = [i for i in kept if i not in droppable[:surplus]]
    left = "".join(named[i] for i in kept)
    if len(left) == len(axes) and not _agree(left, axes):
        size = ", ".join(
            f"{letter} = {shape[i]}" for letter, i in zip(left, kept, strict=True)
        )
        raise DataError(
            f"The axes of {name} are {left!r} ({size}) but they were given as {axes!r}; "
            "give the axes of the file (T, Z and S may stand for each other), or, if the "
            "file is wrong, correct it or read it with a custom reader (data_type "
            "'custom')."
        )
    return tuple(kept)


def _agree(named: str, axes: str) -> bool:
    if {*named} == {*axes}:
        return named == axes
    return all(
        ours == theirs or theirs == UNNAMED or (ours in _STACK and theirs in _STACK)
        for ours, theirs in zip(axes, named, strict=True)
    )
