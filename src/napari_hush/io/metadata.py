"""Axes, pixel sizes, units, positions and channel names in the metadata of files."""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from napari_hush.axes import CANONICAL
from napari_hush.errors import DataError

_log = logging.getLogger(__name__)

UNNAMED = "?"
"""A dimension without a name."""

_STACK = "TZS"
_DROPPED_FIRST = "CZTSYX"
_CHOICES = 1000

_LENGTHS = {
    "picometer": (1e-12, "pm picometre"),
    "angstrom": (1e-10, "Å Å ångström"),
    "nanometer": (1e-9, "nm nanometre nanometers"),
    "micrometer": (1e-6, "µm μm um micron microns micrometre"),
    "millimeter": (1e-3, "mm millimetre millimeters"),
    "centimeter": (1e-2, "cm centimetre"),
    "meter": (1.0, "m metre"),
    "inch": (0.0254, "in inches"),
}
"""Units as OME-Zarr names them: meters, the symbol, and how else files spell it."""
_TIMES = {
    "nanosecond": (1e-9, "ns"),
    "microsecond": (1e-6, "µs μs us"),
    "millisecond": (1e-3, "ms msec"),
    "second": (1.0, "s sec seconds"),
    "minute": (60.0, "min minutes"),
    "hour": (3600.0, "h hr hours"),
}
_SPELLINGS = {name: words.split() for name, (_, words) in (_LENGTHS | _TIMES).items()}
METERS = {name: size for name, (size, _) in _LENGTHS.items()}
_SECONDS = {name: size for name, (size, _) in _TIMES.items()}
UNITS = frozenset(_SPELLINGS)
"""Names of known units."""
_LONG_NAMES = {each: name for name, found in _SPELLINGS.items() for each in (name, *found)}
_LETTERS = {
    word: letter
    for letter, words in {
        "S": ("s", "sample", "samples"),
        "T": ("t", "time", "frame", "frames"),
        "C": ("c", "channel", "channels", "band", "rgb"),
        "Z": ("z", "depth", "plane"),
        "Y": ("y", "row", "rows", "height"),
        "X": ("x", "column", "columns", "width"),
    }.items()
    for word in words
}
"""Letters of axes, by their names."""
_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")
"""Character in descriptions of ImageJ."""
_COMMA = re.compile(r"[+-]?\d+,\d+")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_SPACE = "ZYX"
_LARGEST = 1e30
_LONGEST_NAME = 200
_LONGEST_UNIT = 50
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
    """Place of the first pixel along Z, Y and X, in the unit of the scale, by letter."""
    is_ome: bool = field(default=False, compare=False)
    """Whether they are OME-XML, as those of a result then are."""
    unknown: tuple[str, ...] = field(default=(), compare=False)
    """Entries that cannot be understood, such as ``"size of X = 'big'"``."""

    @classmethod
    def of(
        cls,
        axes: str | None,
        scale: Mapping[str, Any],
        units: Mapping[str, Any],
        *,
        channels: Sequence[Any] = (),
        position: Mapping[str, Any] | None = None,
        is_ome: bool = False,
        unknown: Iterable[str] = (),
    ) -> ImageMetadata:
        """Keep what can be understood; never fails.

        Values may be of any type, None, 0 or "" where a file has none. Sizes are positive
        numbers, also as text, with a decimal point or comma; `axes` with `UNNAMED` become
        None. Anything else goes to `unknown`, with the entries given there.
        """
        known = (
            axes is not None and set(axes) <= set(CANONICAL) and len(set(axes)) == len(axes)
        )
        scale, units, position = (
            found if isinstance(found, Mapping) else {}
            for found in (scale, units, position)
        )
        left = list(unknown)
        sizes: dict[str, float] = {}
        places: dict[str, float] = {}
        for kind, given, into, least, letters in (
            ("size", scale, sizes, 0.0, CANONICAL),
            ("position", position, places, -_LARGEST, _SPACE),
        ):
            for axis in (a for a in letters if not _is_nothing(given.get(a))):
                number = number_of(given[axis])
                if number is not None and least < number < _LARGEST:
                    into[axis] = number
                elif number != 0:
                    left.append(f"{kind} of {axis} = {given[axis]!r:.40}")
        names = {}
        for axis in (a for a in CANONICAL if a in sizes or a in places):
            unit = units.get(axis)
            name = unit_name(unit) if isinstance(unit, str) else ""
            if name and name.isprintable() and len(name) < _LONGEST_UNIT:
                names[axis] = name
            elif not _is_nothing(unit) and (name or not isinstance(unit, str)):
                left.append(f"unit of {axis} = {unit!r:.40}")
        labels = [*map(_label, channels)] if isinstance(channels, list | tuple) else []
        return cls(
            axes if known else None,
            sizes,
            names,
            tuple(labels) if any(labels) else (),
            places,
            is_ome,
            tuple(left),
        )

    def for_channels(self, count: int) -> ImageMetadata:
        """Those of an image with `count` channels: another number of names is left out."""
        fit = len(self.channels) in (0, count)
        return self if fit else replace(self, channels=())

    def for_axes(self, axes: str, shape: Sequence[int]) -> ImageMetadata:
        """Those of an image of these axes and this shape, such as a result."""
        count = dict(zip(axes, shape, strict=True)).get("C", 1)
        kept = [a for a in self.units if a in axes and (a in self.scale or a in _SPACE)]
        return replace(
            self,
            axes=axes,
            scale={a: size for a, size in self.scale.items() if a in axes},
            units={a: self.units[a] for a in kept},
            position={a: place for a, place in self.position.items() if a in axes},
        ).for_channels(count)


_reported: set[tuple[Path, str]] = set()
"""Folders, and kinds of entries of their files, of former warnings."""


def report_unknown(files: Iterable[tuple[Path, ImageMetadata]]) -> None:
    """Log one warning about entries not understood, once for each kind in a folder."""
    named = ""
    others = 0
    for path, found in files:
        kinds = {(path.absolute().parent, entry.split(" =")[0]) for entry in found.unknown}
        if not kinds <= _reported:
            named = named or f"{str(path)!r} ({'; '.join(found.unknown)})"
            _reported.update(kinds)
        others += bool(kinds)
    if named:
        more = f", as are those of {others - 1} other files" if others > 1 else ""
        _log.warning(
            "Some metadata of %s cannot be understood and are left out%s.", named, more
        )


def number_of(value: Any) -> float | None:
    """A finite number from a value of any type, or None.

    A decimal comma counts where it cannot separate thousands: ``"0,65"`` is 0.65, and
    ``"1,250"`` is None.
    """
    if isinstance(value, str):
        value = value.strip()
        if _COMMA.fullmatch(value) and not _THOUSANDS.fullmatch(value):
            value = value.replace(",", ".")
    elif not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _label(name: Any) -> str:
    """A name in one line without control characters."""
    text = name if isinstance(name, str) else str(name) if isinstance(name, int) else ""
    return "".join(c if c.isprintable() else " " for c in text).strip()[:_LONGEST_NAME]


def unit_name(unit: str) -> str:
    """Name of a unit in OME-Zarr: ``"µm"`` is ``"micrometer"``, ``"pixel"`` is ``""``."""
    unit = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), unit.strip())
    if unit.lower() in _NO_UNITS:
        return ""
    return _LONG_NAMES.get(unit) or _LONG_NAMES.get(unit.lower()) or unit


def unit_symbol(unit: str) -> str:
    """Symbol of a unit: ``"micrometer"`` is ``"µm"``; unknown units are unchanged."""
    name = unit_name(unit)
    return _SPELLINGS[name][0] if name in _SPELLINGS else name


def convert(size: float, unit: str, wanted: str) -> float:
    """Convert a size; unchanged without a unit, a ValueError from length to time."""
    unit, wanted = unit_name(unit), unit_name(wanted)
    if unit == wanted or not unit or not wanted:
        return size
    for kind in (METERS, _SECONDS):
        if unit in kind and wanted in kind:
            return size * kind[unit] / kind[wanted]
    raise ValueError(f"{unit!r} cannot be converted to {wanted!r}")


def letters_of(names: Iterable[Any]) -> str | None:
    """Convert names such as ``("time", "y", "x")`` to ``"TYX"``; None if that fails."""
    letters = [_LETTERS.get(str(name).lower()) for name in names]
    found = [letter for letter in letters if letter is not None]
    if len(found) < len(letters) or len(set(found)) < len(found):
        return None
    return "".join(found)


class Fit(NamedTuple):
    """How dimensions of a source match the axes to read it with."""

    kept: tuple[int, ...]
    """The dimensions to keep, ascending."""
    overridden: str = ""
    """Names of these dimensions in the source, if the axes contradict them."""


def fitting_dimensions(
    name: str, named: str, shape: Sequence[int], axes: str, *, inherited: bool = False
) -> Fit:
    """Match the dimensions of an image with `axes`.

    Dimensions of size 1 that `axes` lack are dropped: named ones first, and of unnamed ones
    those that leave more than one row and column. Axes that the user gives override
    what a file says, for files may be wrong and some libraries guess; only Y and X must be
    where the file has them. Axes that are `inherited`, from another file or from a model,
    must agree with the file: T, Z and S may stand for each other, but not for C, and axes
    that both name have the same order. `named` has `UNNAMED` for unnamed dimensions.
    Raises a DataError if they disagree; a wrong number of dimensions is reported later.
    """
    kept = _kept(named, shape, axes, axes)
    if len(kept) > len(axes) and not inherited:
        kept = _kept(named, shape, axes, "YX")
    left = "".join(named[i] for i in kept)
    size = ", ".join(f"{a} = {shape[i]}" for a, i in zip(left, kept, strict=True))
    if inherited and len(left) > len(axes) and UNNAMED not in left:
        raise DataError(
            f"The axes of {name} are {left!r} ({size}) but those of the training images "
            f"are {axes!r}; use images with the same axes{_one_by_one(left, axes)}."
        )
    if len(left) != len(axes) or _agree(left, axes):
        return Fit(kept)
    if inherited:
        raise DataError(
            f"The axes of {name} are {left!r} ({size}) but those of the training images "
            f"are {axes!r}; use images with the same axes, or, if this one is wrong, give "
            f"the axes (on the command line --axes {axes})."
        )
    pairs = zip(axes, left, strict=True)
    if any(ours != theirs and theirs in "YX" for ours, theirs in pairs):
        raise DataError(
            f"The axes of {name} are {left!r} ({size}) but they were given as {axes!r}; "
            "give Y and X where the file has them, or, if the file is wrong, correct it or "
            "read it with a custom reader."
        )
    return Fit(kept, left)


def _one_by_one(named: str, axes: str) -> str:
    """Advice on how images with more axes than `axes` are read as several images."""
    more = [letter for letter in named if letter not in axes and letter in "ZC"]
    free = [letter for letter in "ST" if letter not in named]
    if not 0 < len(more) <= len(free):
        return ""
    given = named.translate(str.maketrans("".join(more), "".join(free[: len(more)])))
    them = " and ".join({"Z": "planes", "C": "channels"}[letter] for letter in more)
    return (
        f", or, to use {them} one by one, give the axes as {given} (on the command line "
        f"--axes {given})"
    )


def equivalent_axes(named: str, shape: Sequence[int], axes: str) -> str:
    """The axes of a file if only their order, or S and T, differ from the given `axes`.

    Otherwise `axes`, which may also disagree with the file. Dimensions of size 1 that
    `axes` lack do not count.
    """
    left = "".join(named[i] for i in _kept(named, shape, axes, axes))
    if len(left) == len(axes) and _agree(left, axes):
        return axes
    own = "".join(
        a for a, size in zip(named, shape, strict=True) if size > 1 or a in f"{axes}YX"
    )
    is_same = {*own} - {*"ST"} == {*axes} - {*"ST"} and len({*own}) == len(own)
    return own if is_same else axes


def _kept(named: str, shape: Sequence[int], axes: str, needed: str) -> tuple[int, ...]:
    """The dimensions to keep for `axes`, without dimensions of size 1 not `needed`."""
    every = range(len(shape))
    droppable = [i for i in every if shape[i] == 1 and named[i] not in needed]
    droppable.sort(key=lambda i: f"{_DROPPED_FIRST}{UNNAMED}".find(named[i]))
    surplus = len(shape) - len(axes)
    if not 0 < surplus <= len(droppable):
        return tuple(every)

    def flat(dropped: tuple[int, ...]) -> int:
        left = [size for i, size in enumerate(shape) if i not in dropped]
        pairs = zip(axes, left, strict=True)
        return sum(letter in "YX" and size == 1 for letter, size in pairs)

    choices = itertools.islice(itertools.combinations(droppable, surplus), _CHOICES)
    dropped = min(choices, key=flat)
    return tuple(i for i in every if i not in dropped)


def _agree(named: str, axes: str) -> bool:
    if {*named} == {*axes}:
        return named == axes
    return all(
        ours == theirs or theirs == UNNAMED or (ours in _STACK and theirs in _STACK)
        for ours, theirs in zip(axes, named, strict=True)
    )
