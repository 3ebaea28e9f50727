from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_hush.widgets.data.layers import (
    Origin,
    as_pixels,
    channel_count,
    describe,
    infer_axes,
    pixel_shape,
    result_name,
    source_of,
)


@pytest.mark.parametrize(
    ("shape", "labels", "axes"),
    [
        ((8, 9), None, "YX"),
        ((5, 8, 9), None, "TYX"),
        ((4, 5, 8, 9), None, "TZYX"),
        ((5, 8, 9), ("z", "y", "x"), "ZYX"),
        ((5, 8, 9), ("Time", "Row", "Col"), "TYX"),
        ((8, 9, 2), ("y", "x", "channel"), "YXC"),
        ((5, 8, 9), ("z", "z", "x"), "TYX"),
        ((5, 8, 9), ("a", "y", "x"), "TYX"),
        ((5, 8, 9), ("z", "t", "x"), "TYX"),
    ],
)
def test_axes_come_from_labels_that_mean_something_else_from_ndim(shape, labels, axes):
    layer = Image(np.zeros(shape), axis_labels=labels, rgb=False)
    assert infer_axes(layer) == axes
    assert len(axes) == len(pixel_shape(layer))


@pytest.mark.parametrize("colours", [3, 4])
def test_rgb_has_a_trailing_channel_and_no_alpha(colours):
    layer = Image(np.zeros((8, 9, colours), np.uint8), rgb=True)
    assert infer_axes(layer) == "YXC"
    assert pixel_shape(layer) == (8, 9, 3)
    assert as_pixels(source_of(layer), rgb=True).shape == (8, 9, 3)


def test_multiscale_gives_the_full_resolution():
    levels = [np.zeros((64, 64)), np.zeros((32, 32))]
    layer = Image(levels, multiscale=True)
    assert pixel_shape(layer) == (64, 64)
    assert as_pixels(source_of(layer), rgb=False).shape == (64, 64)


def test_lazy_arrays_are_read():
    dask_array = pytest.importorskip("dask.array")
    layer = Image(dask_array.ones((8, 9), chunks=4))
    assert type(as_pixels(source_of(layer), rgb=False)) is np.ndarray


def test_channel_count():
    assert channel_count("YX", (8, 9)) == 1
    assert channel_count("CYX", (3, 8, 9)) == 3


def test_describe_has_units():
    plain = Image(np.zeros((8, 9)))
    assert describe(plain) == "8 × 9 px"
    in_micrometres = Image(np.zeros((8, 9)), scale=(0.25, 0.25), units=("um", "um"))
    assert describe(in_micrometres) == "8 × 9 px · 0.25 µm"


def test_origin_is_a_snapshot():
    layer = Image(np.zeros((8, 9)), name="cells", scale=(2, 3), colormap="magma")
    origin = Origin.of(layer)
    layer.name, layer.scale = "other", (1, 1)
    twin = Image(np.zeros((8, 9)), **origin.appearance)
    assert origin.name == "cells"
    assert tuple(twin.scale) == (2, 3)
    assert twin.colormap.name == "magma"


def test_result_name():
    assert result_name("cells") == "cells denoised"
    assert result_name("cells", partial=True) == "cells denoised (partial)"
