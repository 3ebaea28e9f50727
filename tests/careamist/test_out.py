"""`out` of `CAREamist.predict`: a numpy array that the image is not read from."""

import numpy as np
import pytest
import torch
import zarr

from napari_hush import CAREamist
from napari_hush.errors import DataError


@pytest.fixture(scope="module")
def trained():
    from napari_hush.config import create_n2v_configuration

    config = create_n2v_configuration(
        "out", "array", "YX", [16, 16], 4, 1, 1, model_params={"num_channels_init": 8}
    )
    careamist = CAREamist(config)
    rng = np.random.default_rng(0)
    careamist.train(train_source=rng.normal(100, 20, (48, 64)).astype("float32"))
    return careamist


@pytest.fixture
def files(tmp_path, noisy):
    """Two memory maps of one file, which holds two images."""
    path = tmp_path / "pixels.dat"
    np.stack([noisy, noisy]).tofile(path)
    shape = (2, *noisy.shape)
    return [np.memmap(path, "float32", "r+", shape=shape) for _ in range(2)]


PAIRS = {
    "the image": lambda x, maps: (x, x),
    "a view of it": lambda x, maps: (x, x[::-1]),
    "with another dimension": lambda x, maps: (x[None], x[None]),
    "shifted": lambda x, maps: (
        maps[0].reshape(-1, 52)[:48],
        maps[0].reshape(-1, 52)[9:57],
    ),
    "a tensor of the same memory": lambda x, maps: (torch.from_numpy(x), x),
    "another map of the same file": lambda x, maps: (maps[0][1], maps[1][1]),
    "a plain view of such a map": lambda x, maps: (maps[0][0], np.asarray(maps[1])[0]),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_out_shares_nothing_with_the_image(trained, noisy, files, pair):
    image, out = PAIRS[pair](noisy, files)
    before = np.array(out)
    with pytest.raises(DataError, match="out shares memory or a file with the image"):
        trained.predict(image, out=out)
    np.testing.assert_array_equal(out, before)


def test_other_parts_of_the_same_memory_or_file(trained, noisy, files):
    expected = trained.predict(noisy, check=False)
    both = np.zeros((*noisy.shape, 2), "float32")
    both[..., 0] = noisy
    for image, out in ((both[..., 0], both[..., 1]), (files[0][0], files[1][1])):
        assert trained.predict(image, out=out, check=False) is out
        np.testing.assert_array_equal(out, expected)


def test_out_is_a_writable_array(trained, noisy):
    store = zarr.create_array({}, shape=noisy.shape, dtype="float32")
    for out in (store, torch.from_numpy(noisy.copy()), noisy.tolist()):
        with pytest.raises(DataError, match="give a numpy array"):
            trained.predict(noisy, out=out)
    fixed = np.zeros_like(noisy)
    fixed.flags.writeable = False
    with pytest.raises(DataError, match=r"\(48, 52\), read-only"):
        trained.predict(noisy, out=fixed)
