from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_hush.errors import DataError
from napari_hush.widgets.data.layers import (
    Origin,
    as_pixels,
    axes_like,
    channel_count,
    describe,
    engine_axes,
    engine_shape,
    fitted_axes,
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
        ((1, 8, 9), None, "1YX"),
        ((3, 1, 1, 1, 8, 9), None, "T111YX"),
        ((1, 1, 1, 1, 1, 8, 9), None, "11111YX"),
        ((3, 1, 5, 1, 8, 9), None, "T1Z1YX"),
        ((8, 9, 1), None, "YX1"),
        ((1, 1, 9), None, "TYX"),
        ((3, 1, 8, 9), ("t", "z", "y", "x"), "T1YX"),
        ((1, 1, 8, 9), ("t", "c", "y", "x"), "TCYX"),
    ],
)
def test_axes_come_from_labels_that_mean_something_else_from_ndim(shape, labels, axes):
    layer = Image(np.zeros(shape), axis_labels=labels, rgb=False)
    assert infer_axes(layer) == axes
    assert len(axes) == len(pixel_shape(layer))


@pytest.mark.parametrize(
    ("axes", "shape", "fitted", "left"),
    [
        ("TYX", (3, 1, 1, 1, 8, 9), "T111YX", (3, 8, 9)),
        ("ZYX", (3, 8, 9), "ZYX", (3, 8, 9)),
        ("YX", (8, 9, 1), "YX1", (8, 9)),
        ("TYX", (8, 9), "TYX", (8, 9)),
    ],
)
def test_axes_of_the_engine_on_a_layer(axes, shape, fitted, left):
    assert fitted_axes(axes, shape) == fitted
    assert engine_axes(fitted) == axes
    assert engine_shape(fitted, shape) == left


def test_only_dimensions_of_size_1_can_be_left_out():
    with pytest.raises(DataError, match="Dimension 2 has 5 pixels"):
        engine_shape("T1YX", (3, 5, 8, 9))


@pytest.mark.parametrize(
    ("labels", "first_labels", "shape", "axes"),
    [
        (None, None, (5, 8, 9), "ZYX"),
        (None, ("t", "y", "x"), (5, 8, 9), "ZYX"),
        (("t", "y", "x"), ("t", "y", "x"), (5, 8, 9), "ZYX"),
        (("t", "y", "x"), None, (5, 8, 9), "TYX"),
        (("y", "x", "t"), None, (8, 9, 5), "YXT"),
        (None, None, (8, 9), "YX"),
        (None, None, (4, 5, 8, 9), "TZYX"),
    ],
)
def test_a_layer_is_as_the_first_was_declared_unless_its_labels_say_otherwise(
    labels, first_labels, shape, axes
):
    first = Image(np.zeros((6, 8, 9)), axis_labels=first_labels, rgb=False)
    other = Image(np.zeros(shape), axis_labels=labels, rgb=False)
    assert axes_like(first, first, "ZYX") == "ZYX"
    assert axes_like(other, first, "ZYX") == axes


def test_masked_layers_stay_masked():
    array = np.ma.masked_greater(np.arange(72.0).reshape(8, 9), 60)
    layer = Image(array)
    np.testing.assert_array_equal(as_pixels(source_of(layer), rgb=False).mask, array.mask)


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
    assert describe(in_micrometres) == "8 × 9 px · 0.25\N{NO-BREAK SPACE}µm"


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
    assert result_name("cells", part="slice") == "cells denoised (slice)"
