"""Pixels, axes and metadata of layers, as pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError, HushError
from napari_hush.events import WarningIssued
from napari_hush.io.metadata import (
    UNNAMED,
    ImageMetadata,
    fitting_dimensions,
    unit_symbol,
)
from napari_hush.widgets.settings.labels import NBSP

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.events import Event

_LETTERS = {
    "S": ("s", "sample", "samples", "scene", "position", "pos", "p"),
    "T": ("t", "time", "frame", "frames", "timepoint"),
    "C": ("c", "ch", "channel", "channels", "wavelength"),
    "Z": ("z", "plane", "depth", "slice", "slices", "pln"),
    "Y": ("y", "row", "rows", "height"),
    "X": ("x", "col", "column", "columns", "width"),
}
_LETTER_OF = {name: letter for letter, names in _LETTERS.items() for name in names}

_BY_NDIM = {2: "YX", 3: "TYX", 4: "TZYX", 5: "TCZYX", 6: "STCZYX"}
"""Axes of layers without axis labels.

A stack is taken for T, so planes are denoised one by one: fast, and valid for movies and
volumes.
"""

LEFT_OUT = "1"
"""In place of a letter: a dimension of size 1, which the engine does not see."""

FILE = "napari_hush_file"
"""Key in the metadata of a layer: the `ImageMetadata` of its file, see `file_metadata`."""

RESULT = "napari_hush"
"""Key in the metadata of a result layer: facts about it, see `results.pairing`."""

REFERENCE = "napari_hush_reference"
"""Key in the metadata of a layer that noisy images are compared with: ``"target"`` or
``"ground_truth"``. Such a layer is denoised only if a person chooses it."""

PLACE = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
"""Attributes of a layer that place it in the world."""
_KEPT = (
    *PLACE,
    "colormap",
    "contrast_limits",
    "gamma",
    "blending",
    "opacity",
    "interpolation2d",
    "interpolation3d",
    "rendering",
    "projection_mode",
    "rgb",
)
"""Attributes of a layer that its result keeps."""


@dataclass(frozen=True)
class Origin:
    """Properties of a source layer that its result takes; the layer may be removed."""

    name: str
    appearance: dict[str, Any]
    """Keyword arguments of ``add_image`` for the same transform and display."""
    source_id: str = ""
    """``unique_id`` of the layer."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Metadata of the layer."""
    pixel_size: ImageMetadata = field(default_factory=ImageMetadata)
    """Pixel sizes and units, where the layer has units of length."""
    path: str = ""
    """File of the layer, or empty."""

    @classmethod
    def of(cls, layer: Image) -> Origin:
        """The origin of results of `layer`."""
        _, attributes, _ = layer.as_layer_data_tuple()
        kept = {key: attributes[key] for key in _KEPT if key in attributes}
        return cls(
            layer.name,
            kept,
            str(layer.unique_id),
            dict(layer.metadata),
            pixel_size_of(layer),
            str(layer.source.path or layer.metadata.get("path") or ""),
        )


def pixel_size_of(layer: Image) -> ImageMetadata:
    """Pixel sizes along X, Y and Z; empty if they are not known.

    They are those of the layer, and where its scale is 1 or its unit is pixel, those of its
    file.
    """
    file = layer.metadata.get(FILE, ImageMetadata())
    scale, units = {}, {}
    last = zip("XYZ", layer.scale[::-1], layer.units[::-1], strict=False)
    for axis, size, unit in last:
        if str(unit) != "pixel":
            scale[axis], units[axis] = float(size), str(unit)
        elif axis in file.units:
            scale[axis] = float(size) if size != 1 else file.scale.get(axis)
            units[axis] = file.units[axis]
    return (
        ImageMetadata.of(None, scale, units) if {"X", "Y"} <= {*units} else ImageMetadata()
    )


def infer_axes(layer: Image) -> str:
    """One letter per dimension of `pixel_shape`.

    From the axis labels, else from the file, else guessed. A Z of a single plane, and
    unnamed dimensions of size 1, are `LEFT_OUT`.
    """
    shape = pixel_shape(layer)[: layer.ndim]
    if named := _from_labels(layer.axis_labels):
        pairs = zip(named, shape, strict=True)
        axes = "".join(LEFT_OUT if a == "Z" and size == 1 else a for a, size in pairs)
    elif axes := _from_file(layer):
        return axes
    else:
        large = sum(size > 1 for size in shape)
        letters = iter(_BY_NDIM.get(large, ""))
        axes = "".join(LEFT_OUT if size == 1 else next(letters, "") for size in shape)
        if large < 2 or len(axes) < len(shape):
            axes = _BY_NDIM.get(len(shape), "")
    return axes + "C" if layer.rgb else axes


def is_guess(layer: Image) -> bool:
    """Whether `infer_axes` of this layer is a guess that may be wrong."""
    named = _from_labels(layer.axis_labels) or _from_file(layer)
    return not named and sum(size > 1 for size in pixel_shape(layer)[: layer.ndim]) > 2


def axes_like(layer: Image, first: Image, axes: str) -> str:
    """Axes of `layer`, where those of `first` are `axes`.

    They are the same unless the labels or the file of `layer` say otherwise.
    """
    own, firsts = (_from_labels(x.axis_labels) or _from_file(x) for x in (layer, first))
    alike = len(pixel_shape(layer)) == len(pixel_shape(first)) and layer.rgb == first.rgb
    if layer is first or (alike and own in ("", firsts)):
        return fitted_axes(engine_axes(axes), pixel_shape(layer))
    return infer_axes(layer)


def engine_axes(axes: str) -> str:
    """The axes of a layer for the engine: without those that are left out."""
    return axes.replace(LEFT_OUT, "")


def engine_shape(axes: str, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a layer without the dimensions that its `axes` leave out.

    Raises DataError if one of them is larger than 1.
    """
    for number, (letter, size) in enumerate(zip(axes, shape, strict=False), 1):
        if letter == LEFT_OUT and size > 1:
            raise DataError(
                f"Dimension {number} has {size:,} pixels, so it cannot be left out; choose "
                "its letter."
            )
    kept = [size for a, size in itertools.zip_longest(axes, shape) if a != LEFT_OUT]
    return tuple(size for size in kept if size is not None)


def fitted_axes(axes: str, shape: Sequence[int]) -> str:
    """Axes of the engine as those of a layer of `shape`; unchanged if they do not fit."""
    kept, _ = fitting_dimensions("the image", UNNAMED * len(shape), shape, axes)
    if len(kept) != len(axes):
        return axes
    letters = dict(zip(kept, axes, strict=True))
    return "".join(letters.get(number, LEFT_OUT) for number in range(len(shape)))


def source_of(layer: Image) -> Any:
    """The data of the layer, at full resolution if it is multiscale."""
    return layer.data[0] if layer.multiscale else layer.data


def as_pixels(source: Any, *, rgb: bool) -> NDArray[Any]:
    """Read `source` into memory, without an alpha channel; masked arrays stay masked."""
    pixels = source if isinstance(source, np.ma.MaskedArray) else np.asarray(source)
    return pixels[..., :3] if rgb else pixels


def pixel_shape(layer: Image) -> tuple[int, ...]:
    """Shape of the pixels without an alpha channel; reads nothing."""
    shape = tuple(int(size) for size in source_of(layer).shape)
    return (*shape[:-1], 3) if getattr(layer, "rgb", False) else shape


def channel_count(axes: str, shape: Sequence[int]) -> int:
    """Size of the C axis, 1 if there is none."""
    return int(shape[axes.index("C")]) if "C" in axes else 1


def describe(layer: Image) -> str:
    """Size and pixel size, e.g. ``"5 × 512 × 512 px · 0.25 µm, Z 1 µm"``."""
    text = " × ".join(str(size) for size in pixel_shape(layer)) + " px"
    known = pixel_size_of(layer)
    if "X" in known.scale:
        text += f" · {known.scale['X']:.3g}{NBSP}{unit_symbol(known.units['X'])}"
        if "Z" in known.scale:
            text += f", Z {known.scale['Z']:.3g}{NBSP}{unit_symbol(known.units['Z'])}"
    return text


def result_name(layer_name: str, number: int = 1, part: str = "") -> str:
    """Name of a result of a layer; `number` counts the results, from 1.

    `part` names the region that is denoised, if not everything.
    """
    name = f"{layer_name} denoised" + (f" {number}" if number > 1 else "")
    return f"{name} ({part})" if part else name


def _from_file(layer: Image) -> str:
    """The axes that the file names, if they fit the layer; else empty."""
    axes = layer.metadata.get(FILE, ImageMetadata()).axes or ""
    return axes if len(axes) == len(pixel_shape(layer)) else ""


def _from_labels(labels: Sequence[str]) -> str:
    letters = [_LETTER_OF.get(str(label).strip().lower(), "") for label in labels]
    complete = all(letters) and len(set(letters)) == len(letters)
    return "".join(letters) if complete and {"Y", "X"} <= set(letters) else ""


def of_layer(event: Event, name: str) -> Event:
    """`event`; a warning names the layer in place of "the array"."""
    if isinstance(event, WarningIssued):
        return replace(event, message=_named(event.message, name))
    return event


@contextmanager
def errors_name_layer(name: str) -> Iterator[None]:
    """Errors raised within name the layer in place of "the array"."""
    try:
        yield
    except HushError as error:
        error.args = (_named(str(error), name), *error.args[1:])
        raise


def _named(sentence: str, name: str) -> str:
    for words in ("the array", "The array"):
        sentence = sentence.replace(words, f"“{name}”")
    return sentence
