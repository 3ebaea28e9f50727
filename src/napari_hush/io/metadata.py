"""What files say of their own dimensions: axes, pixel sizes, units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_hush.axes import CANONICAL
from napari_hush.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

UNNAMED = "?"
"""Stands for a dimension that a file does not name."""

_STACK = "TZS"
_DROPPED_FIRST = "CZTSYX"

# How files spell units, and how the OME-Zarr standard does.
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
    """What a file says of its dimensions.

    Attributes
    ----------
    axes : str or None
        One letter out of S, T, C, Z, Y, X per dimension; None if the file does not name
        all of them.
    scale : dict of str to float
        Size of one step along an axis, by letter; only where the file tells it.
    units : dict of str to str
        Unit of that size, as OME-Zarr spells it ("micrometer", "second"); only where the
        file tells it.
    """

    axes: str | None = None
    scale: dict[str, float] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, axes: str | None, scale: Mapping[str, Any], units: Mapping[str, Any]
    ) -> ImageMetadata:
        """Keep what makes sense: positive sizes, known letters, units by their long names.

        Parameters
        ----------
        axes : str or None
            May hold `UNNAMED`, which makes it None.
        scale, units : mapping
            By letter, as the file has them; None where it has none.
        """
        known = (
            axes is not None and set(axes) <= set(CANONICAL) and len(set(axes)) == len(axes)
        )
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
        )


def unit_name(unit: str) -> str:
    """Spell a unit as OME-Zarr does: ``"µm"`` is ``"micrometer"``, ``"pixel"`` is ``""``.

    A unit that is not known stays as it is.
    """
    unit = unit.strip()
    if unit.lower() in _NO_UNITS:
        return ""
    return _LONG_NAMES.get(unit) or _LONG_NAMES.get(unit.lower()) or unit


def unit_symbol(unit: str) -> str:
    """Spell a unit shortly: ``"micrometer"`` is ``"µm"``; others stay as they are."""
    name = unit_name(unit)
    return _UNITS[name][0] if name in _UNITS else name


def convert(size: float, unit: str, wanted: str) -> float:
    """Express a size in another unit; without a unit on either side it stays as it is.

    Raises
    ------
    ValueError
        If one cannot be expressed in the other.
    """
    unit, wanted = unit_name(unit), unit_name(wanted)
    if unit == wanted or not unit or not wanted:
        return size
    for kind in (METERS, _SECONDS):
        if unit in kind and wanted in kind:
            return size * kind[unit] / kind[wanted]
    raise ValueError(f"{unit!r} is not so many {wanted!r}")


def letters_of(names: Iterable[Any]) -> str | None:
    """Turn names such as ``("time", "y", "x")`` into ``"TYX"``.

    Returns
    -------
    str or None
        None if a name stands for none of the axes, or two for the same.
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
    """Say which dimensions of a file `axes` stand for, and compare the two.

    Dimensions of size 1 that `axes` leave out are dropped. Stack axes may be called
    otherwise than in the file: T, Z and S are only names of what is stacked. Where C, Y
    and X are is no matter of taste, nor is the order of stack axes that both name.

    Parameters
    ----------
    name : str
        What messages call the file.
    named : str
        Axes that the file names, with `UNNAMED` where it does not.
    shape : sequence of int
        Shape of its pixels.
    axes : str
        Axes that the user names.

    Returns
    -------
    tuple of int
        Which dimensions to keep, ascending; all of them where the number of dimensions
        does not fit in any way, for others to complain about.

    Raises
    ------
    DataError
        If file and user disagree.
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
            f"{name} says that its axes are {left!r} ({size}) but they were given as "
            f"{axes!r}; name them as the file does (T, Z and S may stand for one another), "
            "or, if the file is wrong, correct it or read it with a function of your own "
            "and data_type 'custom'."
        )
    return tuple(kept)


def _agree(named: str, axes: str) -> bool:
    if {*named} == {*axes}:
        return named == axes
    return all(
        ours == theirs or theirs == UNNAMED or (ours in _STACK and theirs in _STACK)
        for ours, theirs in zip(axes, named, strict=True)
    )
