import functools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pyczi = pytest.importorskip("pylibCZIrw.czi")

from napari_hush.errors import DataError, HushError, MissingFileError, UnreadableFileError
from napari_hush.io import open_images, read_czi, read_metadata

SIZE = {"T": 2, "C": 3, "Z": 2, "Y": 20, "X": 30}
IMAGE = np.random.default_rng(0).integers(0, 2**16, tuple(SIZE.values())).astype("uint16")


def write(path, image=IMAGE, **how):
    with pyczi.create_czi(str(path)) as file:
        for t, c, z in np.ndindex(image.shape[:3]):
            file.write(image[t, c, z], plane={"T": t, "C": c, "Z": z}, **how)
        file.write_metadata("test", scale_x=1e-7, scale_y=1e-7, scale_z=5e-7)
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("czi") / "a.czi")


@settings(max_examples=15, deadline=None)
@given(st.permutations("TCZYX"), st.data())
def test_a_region_is_that_of_the_image(path, order, data):
    axes = "".join(order)
    expected = IMAGE.transpose(["TCZYX".index(a) for a in order])
    pixels = read_czi(path, axes)
    assert (pixels.shape, pixels.dtype) == (expected.shape, "uint16")
    key = tuple(
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))))
        for n in expected.shape
    )
    np.testing.assert_array_equal(pixels[key], expected[key])


def test_as_a_reader_of_ones_own(path):
    (image,) = open_images(path.parent, "custom", "SCZYX", read_czi, "*.czi")
    assert not image.in_memory
    np.testing.assert_array_equal(
        image.samples[1][:, :, 3:9, 4:7], IMAGE[1, :, :, 3:9, 4:7]
    )
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    np.testing.assert_array_equal(moved[0, 1, 1], IMAGE[0, 1, 1])


def test_pixel_sizes(path):
    found = read_metadata(path)
    assert found.scale == pytest.approx({"Z": 0.5, "Y": 0.1, "X": 0.1})
    assert found.units == dict.fromkeys("ZYX", "micrometer")


def test_dimensions_that_the_axes_lack(path):
    with pytest.raises(DataError, match=r"a\.czi' has dimensions.*'ZYX' lack: .*C = 3"):
        read_czi(path, "ZYX")


def test_scenes(tmp_path):
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for scene in (0, 1):
            file.write(IMAGE[0, scene, 0], location=(100 * scene, 50), scene=scene)
    with pytest.raises(DataError, match="has the scenes 0, 1; choose one"):
        read_czi(tmp_path / "a.czi", "YX")
    with pytest.raises(DataError, match="no scene 2; it has 0, 1"):
        read_czi(tmp_path / "a.czi", "YX", scene=2)
    reader = functools.partial(read_czi, scene=1)
    (image,) = open_images(tmp_path / "a.czi", "custom", "YX", reader, "*.czi")
    np.testing.assert_array_equal(image.data[5:, :9], IMAGE[0, 1, 0, 5:, :9])


def test_colours(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype("uint8")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(colours, plane={"C": 0})
    pixels = read_czi(tmp_path / "a.czi", "YXC")
    np.testing.assert_array_equal(pixels[3:9, 4:5, 1:], colours[3:9, 4:5, 1:])


def test_what_is_no_czi(tmp_path):
    (tmp_path / "a.czi").write_bytes(b"nonsense" * 100)
    with pytest.raises(UnreadableFileError, match=r"a\.czi' cannot be read as a CZI file"):
        read_czi(tmp_path / "a.czi", "YX")


def test_a_file_that_vanished(tmp_path):
    pixels = read_czi(write(tmp_path / "a.czi"), "TCZYX")
    (tmp_path / "a.czi").unlink()
    with pytest.raises(MissingFileError, match=r"a\.czi'"):
        pixels[0, 0, 0]


def test_what_is_not_installed_is_named_with_its_cure(path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pylibCZIrw.czi", None)
    with pytest.raises(HushError, match=r'run: pip install "napari-hush\[microscopes\]"'):
        read_czi(path, "TCZYX")
