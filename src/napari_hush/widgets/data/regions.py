"""The part of a layer to train on: all, what is visible, or inside shapes. No Qt."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.widgets.data.layers import pixel_shape
from napari_hush.widgets.data.viewport import displayed_axes, shown_slice

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image, Shapes

    from napari_hush.boxes import Box


class Extent(Enum):
    """How much of a layer to train on."""

    EVERYTHING = "Whole layer"
    VIEW = "Visible region"
    SLICE = "Current slice"
    SHAPES = "Inside shapes"


def windows_of(
    layer: Image,
    axes: str,
    extent: Extent,
    viewer: napari.viewer.Viewer,
    shapes: Shapes | None = None,
) -> list[Box]:
    """Windows into the pixels of `layer`, a tuple of slices each, without empty ones.

    `axes` has a letter per dimension of `pixel_shape`. Only S and T are cut to the current
    slice; of volumes, all planes are used. `shapes` give their bounding boxes.
    """
    shape = pixel_shape(layer)
    whole = tuple(slice(0, size) for size in shape)
    if extent is Extent.EVERYTHING:
        return [whole]
    shown = _current_slice(layer, axes, viewer)
    if extent is Extent.SLICE:
        return [_put(whole, shown)]
    if extent is Extent.VIEW:
        windows = [_put(_put(whole, shown), _visible(layer, viewer))]
    else:
        outlines = [] if shapes is None else shapes.data
        windows = [_put(whole, _box(layer, axes, shapes, one)) for one in outlines]
    return [window for window in windows if all(part.stop > part.start for part in window)]


def _current_slice(
    layer: Image, axes: str, viewer: napari.viewer.Viewer
) -> dict[int, slice]:
    """The current slice along S and T, where these are on sliders."""
    displayed = displayed_axes(viewer, layer)
    bounds = shown_slice(viewer, layer)
    return {
        axis: bounds[axis]
        for axis in range(layer.ndim)
        if axes[axis] in "ST" and axis not in displayed
    }


def _visible(layer: Image, viewer: napari.viewer.Viewer) -> dict[int, slice]:
    """The visible pixels of the layer, along the displayed dimensions."""
    factors = np.ones(layer.ndim)
    if layer.multiscale:  # corners are those of the level that is shown
        factors = np.asarray(layer.downsample_factors[layer.data_level][: layer.ndim])
    low, high = layer.corner_pixels * factors
    # Both corners of an image out of sight are the pixel of it that is nearest.
    stop = np.where(high > low, np.ceil(high + factors), np.floor(low))
    return {
        axis: slice(int(np.floor(low[axis])), int(stop[axis]))
        for axis in displayed_axes(viewer, layer)
    }


def _box(
    layer: Image, axes: str, shapes: Shapes, vertices: NDArray[Any]
) -> dict[int, slice]:
    """The bounding box of one shape, and its slice along S and T if it has one."""
    points = np.array([_to_data(layer, shapes, vertex) for vertex in vertices])
    known = range(layer.ndim - min(layer.ndim, shapes.ndim), layer.ndim)
    low, high = points.min(axis=0), points.max(axis=0)
    box = {}
    for axis in known:
        if axes[axis] in "ST":
            at = round(float(low[axis]))
            box[axis] = slice(at, at + 1)
        elif axes[axis] in "YX":
            box[axis] = slice(round(float(low[axis])), round(float(high[axis])))
    return box


def _to_data(layer: Image, shapes: Shapes, vertex: NDArray[Any]) -> NDArray[Any]:
    world = np.asarray(shapes.data_to_world(vertex))
    padded = np.zeros(max(layer.ndim, len(world)))
    padded[-len(world) :] = world
    return np.asarray(layer.world_to_data(padded))


def _put(window: Box, parts: dict[int, slice]) -> Box:
    """`window`, narrowed along some dimensions."""
    narrowed = list(window)
    for axis, part in parts.items():
        start = max(part.start, window[axis].start)
        narrowed[axis] = slice(start, max(start, min(part.stop, window[axis].stop)))
    return tuple(narrowed)
