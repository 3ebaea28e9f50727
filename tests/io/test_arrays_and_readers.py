import functools
import os
import pickle

import numpy as np
import pytest
import torch

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io import fingerprint_of, load_images, open_images
from napari_hush.io.lazy import chunk_cache

IMAGE = np.random.default_rng(0).random((3, 20, 30))


class Regions:
    """What a reader may return: pixels by `read`."""

    shape, dtype = IMAGE.shape, "float64"

    def __init__(self, path):
        self.array = np.load(path)
        self.handle = lambda: None  # cannot be pickled

    def read(self, region):
        assert all(isinstance(part, slice) and part.step is None for part in region)
        return self.array[region]


class Indexed:
    """The same by an index."""

    chunks = None

    def __init__(self, path):
        self.array = np.load(path)
        self.shape, self.dtype = self.array.shape, self.array.dtype

    def __getitem__(self, key):
        return self.array[key]


def by_read(path, axes):
    return Regions(path)


def by_index(path, axes):
    return Indexed(path)


def by_memory_map(path, axes):
    return np.load(path, mmap_mode="r")


def by_dask(path, axes):
    return pytest.importorskip("dask.array").from_array(np.load(path), chunks=(1, 8, 8))


def whole(path, axes):
    return np.load(path)


def by_tensor(path, axes):
    return torch.from_numpy(np.load(path))


READERS = [by_read, by_index, by_memory_map, by_dask, by_tensor, whole]


@pytest.fixture
def file(tmp_path):
    chunk_cache.clear()
    np.save(tmp_path / "a.npy", IMAGE)
    yield tmp_path / "a.npy"
    chunk_cache.clear()


def opened(file, reader):
    (image,) = open_images(file, "custom", "ZYX", reader, "*.npy")
    return image


@pytest.mark.parametrize("reader", READERS)
def test_regions_are_those_of_the_file(file, reader):
    image = opened(file, reader)
    assert not image.in_memory
    assert fingerprint_of(image) is None
    np.testing.assert_array_equal(image.data[1, 3:9, ::2], IMAGE[1, 3:9, ::2])
    (sample,) = image.samples
    np.testing.assert_array_equal(sample[:, 1:2, 3:9, 5:7][0], IMAGE[1:2, 3:9, 5:7])
    (loaded,) = load_images(file, "custom", "ZYX", reader, "*.npy")
    assert loaded.in_memory
    np.testing.assert_array_equal(loaded.data, IMAGE)


@pytest.mark.parametrize("reader", READERS)
def test_they_travel_to_other_processes(file, reader):
    pixels = pickle.loads(pickle.dumps(opened(file, reader).data))  # noqa: S301
    np.testing.assert_array_equal(pixels[2, :4], IMAGE[2, :4])


def test_a_reader_of_whole_files_is_asked_again_only_without_cache(file):
    asked = []

    def read(path, axes):
        asked.append(path)
        return np.load(path)

    image = opened(file, read)
    image.data[0], image.data[1]
    assert len(asked) == 1
    chunk_cache.clear()
    np.testing.assert_array_equal(image.data[0], IMAGE[0])
    assert len(asked) == 2


def test_a_file_that_changed_since(file):
    image = opened(file, whole)
    chunk_cache.clear()
    os.utime(file, (1, 1))
    with pytest.raises(UnreadableFileError, match=r"a\.npy' was changed.*whole read it"):
        image.data[0]
    file.unlink()
    with pytest.raises(UnreadableFileError, match=r"a\.npy' was changed or deleted"):
        image.data[0]


class Faulty(Regions):
    def read(self, region):
        raise KeyError("plane 3")


def test_errors_of_a_region_name_function_and_file(file):
    def faulty(path, axes):
        return Faulty(path)

    with pytest.raises(
        UnreadableFileError,
        match=r"object that faulty returned .*a\.npy' \(KeyError: 'plane 3'\)",
    ):
        opened(file, faulty).data[0]


class Flat(Regions):
    def read(self, region):
        return self.array[region].ravel()


def test_a_region_of_another_shape(file):
    image = opened(file, functools.partial(lambda path, axes: Flat(path)))
    with pytest.raises(
        UnreadableFileError, match=r"region of shape \(600,\) not \(1, 20, 30\)"
    ):
        image.data[0]


def test_a_wrong_number_of_axes(file):
    for reader in (whole, by_read):
        with pytest.raises(DataError, match=r"a\.npy': Axes 'YX' name 2 dimensions"):
            open_images(file, "custom", "YX", reader, "*.npy")


class NoNumbers:
    shape, dtype = (3, 3), "no type"

    def __getitem__(self, key): ...


@pytest.mark.parametrize("answer", [None, [1], NoNumbers()])
def test_what_is_no_image(file, answer):
    with pytest.raises(
        UnreadableFileError, match=r"returned \w+ for .*a\.npy'; it must return"
    ):
        opened(file, lambda path, axes: answer)


def test_a_reader_may_return_a_masked_array(file):
    image = opened(file, lambda path, axes: np.ma.masked_greater(np.load(path), 0.5))
    np.testing.assert_array_equal(image.mask, IMAGE > 0.5)
    assert image.data.max() <= 0.5


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "a.npy").touch()
    with pytest.raises(UnreadableFileError, match="the file is empty"):
        opened(tmp_path / "a.npy", whole)


def test_a_partial_function_is_called_by_its_own_name(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"nonsense")
    with pytest.raises(UnreadableFileError, match="whole could not read"):
        opened(tmp_path / "a.npy", functools.partial(whole))
