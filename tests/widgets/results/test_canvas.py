from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.results.canvas import Canvas

LEFT = (slice(0, 1), slice(None), slice(None), slice(0, 4))
"""In ``(S, C, Y, X)``: the left of the first image."""


def test_starts_as_the_source_and_is_one_array():
    source = np.arange(48, dtype=np.uint16).reshape(6, 8)
    canvas = Canvas(source, "YX", rgb=False)
    assert canvas.shown is canvas.out
    assert canvas.out.dtype == np.float32
    assert np.array_equal(canvas.out, source)
    canvas.out[:] = 0
    assert source.max() == 47


def test_colours_are_rounded_tile_by_tile_and_keep_alpha():
    source = np.full((6, 8, 4), 100, np.uint8)
    canvas = Canvas(source, "YXC", rgb=True)
    canvas.out[:] = 300.6
    canvas.out[0, 0] = (-5, 1.4, 1.6)
    canvas.show([LEFT])
    assert canvas.shown.dtype == np.uint8
    assert canvas.shown[0, 0].tolist() == [0, 1, 2, 100]
    assert canvas.shown[1, 1].tolist() == [255, 255, 255, 100]
    assert canvas.shown[1, 5].tolist() == [100, 100, 100, 100]


def test_finished_tiles_are_shown_in_any_order_of_axes():
    source = np.zeros((2, 6, 3, 8, 3), np.uint8)
    canvas = Canvas(source, "TYSXC", rgb=True)
    canvas.out[:] = 7
    canvas.show([(slice(4, 5), slice(None), slice(0, 6), slice(0, 4))])
    expected = np.zeros_like(source)
    expected[0, :, 2, :4] = 7
    assert np.array_equal(canvas.shown, expected)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float16", "float64", ">u2"])
def test_the_type_of_the_source_can_be_kept(dtype):
    source = np.full((6, 8), 9, dtype)
    canvas = Canvas(source, "YX", rgb=False, keep_type=True)
    assert canvas.shown is canvas.out
    assert canvas.out.dtype == np.dtype(dtype).newbyteorder("=")
    canvas.out[:] = 4
    assert (source == 9).all()


def test_intensities_are_no_booleans():
    canvas = Canvas(np.ones((6, 8), bool), "YX", rgb=False, keep_type=True)
    assert canvas.out.dtype == np.float32


def test_float_colours_stay_between_0_and_1():
    canvas = Canvas(np.full((6, 8, 3), 0.5, np.float32), "YXC", rgb=True)
    canvas.out[:] = 1.2
    canvas.show([LEFT])
    assert canvas.shown[0, 0].tolist() == [1, 1, 1]
