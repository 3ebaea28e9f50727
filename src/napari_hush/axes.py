"""Axes as strings of the letters S, T, C, Z, Y, X, and their order in the engine.

S is samples, T time, C channels. In the engine every image is ``(S, C, (Z), Y, X)``: S and
T are joined, S slowest; S and C are added where missing. `AxesMap` converts both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import ConfigurationError, DataError

CANONICAL = "STCZYX"
"""All axis letters, in the order the engine uses."""


def validate_axes(axes: str) -> str:
    """Return `axes` in upper case, or raise an error.

    Parameters
    ----------
    axes : str
        Two to six different letters out of S, T, C, Z, Y, X, with Y and X among them,
        slowest axis first, e.g. ``"YX"`` or ``"TCZYX"``.

    Raises
    ------
    ConfigurationError
        If a letter is unknown or repeated, or Y or X is missing.
    """
    if not isinstance(axes, str):
        raise ConfigurationError(
            f"The axes are {axes!r}; give one letter per dimension, for example 'YX'."
        )
    upper = axes.upper()
    allowed = "use each of the letters S, T, C, Z, Y, X at most once, with Y and X"
    if unknown := [letter for letter in upper if letter not in CANONICAL]:
        raise ConfigurationError(
            f"Axes {axes!r} contain the unknown letter {unknown[0]!r}; {allowed}."
        )
    if len(set(upper)) != len(upper):
        raise ConfigurationError(f"Axes {axes!r} repeat a letter; {allowed}.")
    if missing := [letter for letter in "YX" if letter not in upper]:
        raise ConfigurationError(f"Axes {axes!r} lack {missing[0]}; {allowed}.")
    return upper


def spatial_axes(axes: str) -> str:
    """``"ZYX"`` if the images are volumes, else ``"YX"``."""
    return "ZYX" if "Z" in axes else "YX"


@dataclass(frozen=True)
class AxesMap:
    """Conversion of an array from its axes to ``SC(Z)YX`` and back."""

    axes: str
    """Axes of the array, one letter per dimension."""
    shape: tuple[int, ...]
    """Shape of the array."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", validate_axes(self.axes))
        if len(self.axes) != len(self.shape):
            raise DataError(
                f"Axes {self.axes!r} name {len(self.axes)} dimensions but the data has "
                f"{len(self.shape)}, with shape {self.shape}; name one letter per "
                "dimension."
            )
        if 0 in self.shape:
            empty = self.axes[self.shape.index(0)]
            raise DataError(
                f"The data has shape {self.shape}, so its {empty} axis is empty; give data "
                "with at least one element along every axis."
            )

    @property
    def canonical_shape(self) -> tuple[int, ...]:
        """Shape as ``(S, C, (Z), Y, X)``."""
        size = dict(zip(self.axes, self.shape, strict=True))
        samples = size.get("S", 1) * size.get("T", 1)
        spatial = tuple(size[letter] for letter in spatial_axes(self.axes))
        return (samples, size.get("C", 1), *spatial)

    def to_canonical(self, array: Any) -> Any:
        """Reorder `array` of shape `shape` to ``(S, C, (Z), Y, X)``.

        A view where numpy can make one; any array with ``transpose`` and ``reshape``.
        """
        self._check_shape(array)
        return array.transpose(self._order).reshape(self.canonical_shape)

    def from_canonical(self, array: NDArray[Any]) -> NDArray[Any]:
        """Exact inverse of `to_canonical`: a view of a contiguous `array`."""
        ordered = tuple(self.shape[position] for position in self._order)
        return array.reshape(ordered).transpose(np.argsort(self._order))

    def samples(self, array: Any) -> list[Any]:
        """Views of `array`, one ``(C, (Z), Y, X)`` per sample, in canonical order.

        Unlike `to_canonical` never a copy, so writing to them writes to `array`.
        """
        self._check_shape(array)
        ordered = array.transpose(self._order)
        if "T" in self.axes and "S" in self.axes:
            views = [frame for sample in ordered for frame in sample]
        elif "T" in self.axes or "S" in self.axes:
            views = list(ordered)
        else:
            views = [ordered]
        return views if "C" in self.axes else [view[None] for view in views]

    def _check_shape(self, array: Any) -> None:
        if tuple(array.shape) != self.shape:
            raise DataError(
                f"The array has shape {tuple(array.shape)}, not {self.shape} (axes "
                f"{self.axes}); give an array of that shape."
            )

    @property
    def _order(self) -> tuple[int, ...]:
        return tuple(self.axes.index(a) for a in CANONICAL if a in self.axes)
