"""The visible pixels of a layer, in its own axes and in canonical ones; reads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_hush.axes import spatial_axes
from napari_hush.widgets.data.layers import pixel_shape

if TYPE_CHECKING:
    from napari.layers import Image

Bounds = tuple[slice, ...]
"""Start and stop along each axis of the pixels of a layer, RGB included."""


def shown_bounds(viewer: Any, layer: Image) -> Bounds:
    """The visible pixels of `layer` in the current slice; may be empty.

    In 3D all displayed pixels count as visible: napari knows the corners of a plane only.
    """
    bounds = list(shown_slice(viewer, layer))
    if len(viewer.dims.displayed) > 2:
        return tuple(bounds)
    corners = np.asarray(layer.corner_pixels, float)
    if layer.multiscale:  # corners are in pixels of the displayed level
        corners *= np.asarray(layer.downsample_factors)[layer.data_level][: layer.ndim]
    for axis in displayed_axes(viewer, layer):
        size = pixel_shape(layer)[axis]
        first, last = np.floor(corners[0, axis]), np.ceil(corners[1, axis]) + 1
        start = int(np.clip(first, 0, size))
        bounds[axis] = slice(start, max(start, int(np.clip(last, 0, size))))
    return tuple(bounds)


def shown_slice(viewer: Any, layer: Image) -> Bounds:
    """The current slice of `layer`."""
    shape = pixel_shape(layer)
    point = np.asarray(viewer.dims.point, float)[-layer.ndim :]
    place = np.round(layer.world_to_data(point)).astype(int)
    displayed = displayed_axes(viewer, layer)
    bounds = []
    for axis, size in enumerate(shape):
        whole = axis in displayed or axis >= layer.ndim
        at = 0 if whole else int(np.clip(place[axis], 0, size - 1))
        bounds.append(slice(0, size) if whole else slice(at, at + 1))
    return tuple(bounds)


def canonical_region(bounds: Bounds, axes: str, shape: Sequence[int]) -> tuple[slice, ...]:
    """The smallest region of ``(S, C, (Z), Y, X)`` that contains `bounds`.

    S and T become one axis, S first, so a range of both includes all between its ends.
    """
    part = dict(zip(axes, bounds, strict=True))
    frames = dict(zip(axes, shape, strict=True)).get("T", 1)
    sample, time = part.get("S", slice(0, 1)), part.get("T", slice(0, 1))
    first = sample.start * frames + time.start
    last = (sample.stop - 1) * frames + time.stop
    alone = time.stop - time.start == 1
    samples = slice(first, last, frames) if alone and frames > 1 else slice(first, last)
    return samples, slice(None), *(part[letter] for letter in spatial_axes(axes))


def displayed_axes(viewer: Any, layer: Image) -> tuple[int, ...]:
    """The axes of `layer` that the canvas displays."""
    missing = viewer.dims.ndim - layer.ndim
    return tuple(axis - missing for axis in viewer.dims.displayed if axis >= missing)
