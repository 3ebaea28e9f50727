"""Pixels behind layers, cut and still lazy."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import zarr

from napari_hush.widgets.data.training_data import TrainingData, cut

PIXELS = np.arange(4 * 20 * 30, dtype=np.uint16).reshape(4, 20, 30)
WINDOW = (slice(1, 3), slice(5, 17), slice(0, 30))
KINDS = {
    "numpy": lambda: PIXELS,
    "dask": lambda: da.from_array(PIXELS, chunks=(1, 8, 8)),
    "zarr": lambda: zarr.array(PIXELS, chunks=(1, 8, 8)),
    "xarray": lambda: xr.DataArray(PIXELS, dims=("t", "y", "x")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_has_the_pixels_of_the_window(kind):
    part = cut(KINDS[kind](), WINDOW)
    assert part.shape == (2, 12, 30)
    assert np.array_equal(np.asarray(part[...]), PIXELS[WINDOW])
    assert np.array_equal(np.asarray(part[1, 2:5]), PIXELS[WINDOW][1, 2:5])


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_is_what_it_was(kind):
    array = KINDS[kind]()
    whole = tuple(slice(0, size) for size in PIXELS.shape)
    assert cut(array, whole) is array


def test_a_part_of_lazy_pixels_is_read_when_asked_for_and_no_more():
    asked = []

    class Spy:
        shape, dtype, ndim = PIXELS.shape, PIXELS.dtype, 3

        def __getitem__(self, key):
            asked.append(key)
            return PIXELS[key]

    part = cut(Spy(), WINDOW)
    assert asked == []
    part[0, :4, 10:12]
    assert asked == [(slice(1, 2), slice(5, 9), slice(10, 12))]


def test_one_array_goes_alone_several_as_a_list_and_none_as_none():
    sources = TrainingData((PIXELS,), validation=(PIXELS, PIXELS)).sources()
    assert sources["train_data"] is PIXELS
    assert len(sources["val_data"]) == 2
    assert sources["train_mask"] is None
