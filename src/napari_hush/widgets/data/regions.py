"""Which part of a layer is trained on: all, what is shown, or inside shapes. No Qt."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.widgets.data.layers import pixel_shape

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari.viewer
    from napari.layers import Image, Shapes
    from numpy.typing import NDArray

    from napari_hush.boxes import Box

__all__ = ["Extent", "windows_of"]


class Extent(Enum):
    """How much of a layer is trained on."""

    EVERYTHING = "Everything"
    VIEW = "Current view"
    SLICE = "Current slice"
    SHAPES = "Inside shapes"


def windows_of(
    layer: Image,
    axes: str,
    extent: Extent,
    viewer: napari.viewer.Viewer,
    shapes: Shapes | None = None,
) -> list[Box]:
    """Windows into the layer's pixels, one slice per dimension.

    Parameters
    ----------
    layer : Image
        Whose pixels.
    axes : str
        Their axes, one letter per dimension of `pixel_shape`.
    extent : Extent
        How much. Of a volume that is shown plane by plane all planes count: only steps
        along S and T can be left out.
    viewer : Viewer
        What is shown.
    shapes : Shapes, optional
        For `Extent.SHAPES`: each of its shapes gives the rectangle around it.

    Returns
    -------
    list of tuple of slice
        Empty if nothing of the layer is inside.
    """
    shape = pixel_shape(layer)
    whole = tuple(slice(0, size) for size in shape)
    if extent is Extent.EVERYTHING:
        return [whole]
    shown = _shown_step(layer, axes, viewer)
    if extent is Extent.SLICE:
        return [_put(whole, shown)]
    if extent is Extent.VIEW:
        view = _put(_put(whole, shown), _visible(layer, viewer))
        return _not_empty([view])
    boxes = (
        [] if shapes is None else [_box(layer, axes, shapes, one) for one in shapes.data]
    )
    return _not_empty(_put(whole, box) for box in boxes)


def _shown_step(layer: Image, axes: str, viewer: napari.viewer.Viewer) -> dict[int, slice]:
    """The step that is shown along S and T, where these are on sliders."""
    point = np.rint(layer.world_to_data(viewer.dims.point)).astype(int)
    steps = {}
    for axis in range(layer.ndim):
        if axes[axis] in "ST" and axis not in _displayed(layer, viewer):
            at = int(np.clip(point[axis], 0, pixel_shape(layer)[axis] - 1))
            steps[axis] = slice(at, at + 1)
    return steps


def _visible(layer: Image, viewer: napari.viewer.Viewer) -> dict[int, slice]:
    """What the canvas shows of the layer, along the dimensions that it shows."""
    factors = np.ones(layer.ndim)
    if layer.multiscale:  # corners are those of the level that is shown
        factors = np.asarray(layer.downsample_factors[layer.data_level][: layer.ndim])
    low, high = layer.corner_pixels * factors
    return {
        axis: slice(int(np.floor(low[axis])), int(np.ceil(high[axis] + factors[axis])))
        for axis in _displayed(layer, viewer)
    }


def _box(
    layer: Image, axes: str, shapes: Shapes, vertices: NDArray[Any]
) -> dict[int, slice]:
    """The rectangle around one shape, and its step along S and T if it has one."""
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


def _displayed(layer: Image, viewer: napari.viewer.Viewer) -> list[int]:
    missing = viewer.dims.ndim - layer.ndim
    return [axis - missing for axis in viewer.dims.displayed if axis >= missing]


def _put(window: Box, parts: dict[int, slice]) -> Box:
    """`window`, narrowed along some dimensions; never beyond it."""
    narrowed = list(window)
    for axis, part in parts.items():
        start = max(part.start, window[axis].start)
        narrowed[axis] = slice(start, max(start, min(part.stop, window[axis].stop)))
    return tuple(narrowed)


def _not_empty(windows: Iterable[Box]) -> list[Box]:
    return [window for window in windows if all(part.stop > part.start for part in window)]
