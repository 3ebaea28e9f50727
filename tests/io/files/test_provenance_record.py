"""Provenance of an image in its file."""

import json

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.io import RECORD, read_record, write_tiff

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
RECORDS = st.fixed_dictionaries(
    {
        part: st.dictionaries(st.text(max_size=5), VALUES, max_size=3)
        for part in ("source", "model", "software")
    }
)


@pytest.mark.parametrize("dtype", ["uint16", "float64"])
@settings(deadline=None, max_examples=30)
@given(record=RECORDS)
def test_a_tiff_gives_back_what_was_written(tmp_path_factory, dtype, record):
    """In what ImageJ calls info, and in tifffile's own description."""
    path = tmp_path_factory.mktemp("record") / "image.tif"
    write_tiff(path, np.zeros((2, 3, 4), dtype), "ZYX", record=record)
    assert read_record(path) == record
    with tifffile.TiffFile(path) as file:
        assert file.is_imagej == (dtype == "uint16")


def test_pixels_and_sizes_are_as_without_it(tmp_path):
    pixels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    sizes = {"scale": {"X": 0.5, "Y": 0.5}, "units": {"X": "micrometer"}}
    record = {"source": {}, "model": {}, "software": {}}
    write_tiff(tmp_path / "a.tif", pixels, "ZYX", record=record, **sizes)
    write_tiff(tmp_path / "b.tif", pixels, "ZYX", **sizes)
    with (
        tifffile.TiffFile(tmp_path / "a.tif") as one,
        tifffile.TiffFile(tmp_path / "b.tif") as two,
    ):
        np.testing.assert_array_equal(one.asarray(), two.asarray())
        mine = dict(one.imagej_metadata)
        assert json.loads(mine.pop("Info")) == {RECORD: record}
        assert mine == two.imagej_metadata
        assert one.pages[0].resolution == two.pages[0].resolution


def test_a_zarr_store_says_it_in_its_attributes(tmp_path):
    record = {"source": {"name": "a"}, "model": {}, "software": {}}
    zarr.create_group(tmp_path / "a.zarr").attrs[RECORD] = record
    assert read_record(tmp_path / "a.zarr") == record


@pytest.mark.parametrize(
    "info", ["", "Made by hand", "{", "[1]", '{"napari_hush": 3}', "{" * 9999]
)
def test_what_others_wrote_is_no_record(tmp_path, info):
    path = tmp_path / "other.tif"
    pixels = np.zeros((5, 5), np.uint8)
    tifffile.imwrite(path, pixels, imagej=True, metadata={"Info": info})
    assert read_record(path) is None


@pytest.mark.parametrize(
    "text",
    ['{"shape": [5, 5], "axes": 5}', "<OME>" * 3000 + "</OME>" * 3000, "<OME", "<x></OME>"],
)
def test_descriptions_that_make_no_sense_have_no_record(tmp_path, text):
    path = tmp_path / "other.tif"
    pixels = np.zeros((5, 5), np.uint8)
    tifffile.imwrite(path, pixels, description=text, metadata=None)
    assert read_record(path) is None
