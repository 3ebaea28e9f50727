"""The hash of pixels: the same for the same pixels, and for no others."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_hush.axes import CANONICAL
from napari_hush.io import Image, content_of, open_images, write_tiff

DTYPES = ("uint8", "int16", "uint16", "float32", ">u2", "float64", "bool")


@st.composite
def arrays(draw):
    """Pixels with axes in any order, and the same ones in another order."""
    more = draw(st.sets(st.sampled_from("STCZ"), max_size=3))
    axes = "".join(draw(st.permutations([*more, "Y", "X"])))
    other = "".join(draw(st.permutations(list(axes))))
    shape = draw(hnp.array_shapes(min_dims=len(axes), max_dims=len(axes), max_side=5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    pixels = rng.integers(0, 200, shape).astype(draw(st.sampled_from(DTYPES)))
    return pixels, axes, other


@settings(deadline=None, max_examples=60)
@given(arrays())
def test_the_order_of_axes_does_not_matter(given_arrays):
    pixels, axes, other = given_arrays
    turned = pixels.transpose([axes.index(letter) for letter in other])
    one = content_of(Image.from_array(pixels, axes))
    two = content_of(Image.from_array(turned, other))
    assert one == two
    assert one.whole
    canonical = pixels.transpose([axes.index(a) for a in CANONICAL if a in axes])
    channels = np.moveaxis(pixels, axes.index("C"), 0) if "C" in axes else canonical[None]
    np.testing.assert_array_equal(one.lowest, [c.min() for c in channels])
    np.testing.assert_array_equal(one.highest, [c.max() for c in channels])


@settings(deadline=None, max_examples=60)
@given(arrays(), st.integers(0, 10**6))
def test_one_other_pixel_is_noticed(given_arrays, where):
    pixels, axes, _ = given_arrays
    changed = pixels.copy()
    place = np.unravel_index(where % pixels.size, pixels.shape)
    changed[place] = not changed[place] if pixels.dtype == bool else changed[place] + 1
    one, two = (content_of(Image.from_array(p, axes)).sha256 for p in (pixels, changed))
    assert one != two


def test_files_of_any_kind_have_the_hash_of_their_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 999, (3, 33, 20)).astype(np.uint16)
    wanted = content_of(Image.from_array(pixels, "ZYX")).sha256
    write_tiff(tmp_path / "plain.tif", pixels, "ZYX")
    store = zarr.create_array(
        tmp_path / "a.zarr", shape=pixels.shape, chunks=(2, 8, 7), dtype=pixels.dtype
    )
    store[:] = pixels
    for name, kind in (("plain.tif", "tiff"), ("a.zarr", "zarr")):
        (image,) = open_images(tmp_path / name, kind, "ZYX")
        found = content_of(image)
        assert (found.name, found.sha256) == (name, wanted)


def test_shape_and_type_count():
    flat = np.zeros((4, 9), np.uint8)
    images = [
        Image.from_array(flat, "YX"),
        Image.from_array(flat.reshape(6, 6), "YX"),
        Image.from_array(flat.view(np.int8), "YX"),
    ]
    assert len({content_of(image).sha256 for image in images}) == 3


@pytest.mark.parametrize("axes", ["YX", "TYX", "CYX"])
def test_of_large_images_boxes_all_over_are_read(monkeypatch, axes):
    monkeypatch.setattr("napari_hush.io.fingerprint.MAX_HASHED_BYTES", 4096)
    monkeypatch.setattr("napari_hush.io.fingerprint._BOX", 512)
    shape = (3, 70, 90)[-len(axes) :]
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    found = content_of(Image.from_array(pixels, axes))
    assert not found.whole
    changed = pixels.copy()
    changed[(..., -1, -1)] += 1  # the last box is always among them
    assert content_of(Image.from_array(changed, axes)).sha256 != found.sha256


def test_nan_is_passed_over():
    pixels = np.array([[np.nan, 2.0], [3.0, np.nan]])
    found = content_of(Image.from_array(pixels, "YX"))
    assert (found.lowest, found.highest) == ((2.0,), (3.0,))
