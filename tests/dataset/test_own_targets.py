"""An image is not its own target, however it is given."""

import numpy as np
import pytest
import zarr

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2n_configuration
from napari_hush.errors import DataError, HushError
from napari_hush.io import Image, same_pixels, write_tiff

RNG = np.random.default_rng(0)
NOISY = RNG.integers(0, 1000, (40, 48)).astype("uint16")
OTHER = RNG.integers(0, 1000, (40, 48)).astype("uint16")
SAYS = "has the same pixels as the image, so there is nothing to learn; give another target"


def config(make=create_care_configuration, data_type="array", axes="YX", **more):
    small = {"num_channels_init": 8}
    return make(
        "own", data_type, axes, [16, 16], 4, 1, num_steps=1, model_params=small, **more
    )


def in_zarr(pixels):
    return zarr.array(pixels, chunks=(16, 16))


SAME = {
    "object": (NOISY, NOISY),
    "copy": (NOISY, NOISY.copy()),
    "view": (NOISY, NOISY[:]),
    "dtype": (NOISY, NOISY.astype("float64")),
    "byte order": (NOISY, NOISY.astype(">u2")),
    "zarr": (NOISY, in_zarr(NOISY)),
    "second of two": ([NOISY, OTHER], [OTHER, OTHER.copy()]),
}


@pytest.mark.parametrize("make", [create_care_configuration, create_n2n_configuration])
@pytest.mark.parametrize("pair", SAME)
def test_arrays(make, pair):
    source, target = SAME[pair]
    with pytest.raises(DataError, match=SAYS):
        CAREamist(config(make)).train(train_source=source, train_target=target)


def test_validation():
    sources = {"train_source": NOISY, "train_target": OTHER, "val_source": OTHER}
    with pytest.raises(DataError, match=SAYS):
        CAREamist(config()).train(**sources, val_target=OTHER)
    CAREamist(config()).train(**sources, val_target=NOISY)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to", "copy"])
@pytest.mark.parametrize("in_memory", [True, False])
def test_files(tmp_path, link, in_memory):
    one, other = tmp_path / "a.tif", tmp_path / "b.tif"
    write_tiff(one, NOISY, "YX")
    if link == "copy":
        write_tiff(other, NOISY.astype("float32"), "YX")
    else:
        getattr(other, link)(one)
    with pytest.raises(HushError, match="give another target") as found:
        CAREamist(config(data_type="tiff")).train(
            train_source=one, train_target=other, use_in_memory=in_memory
        )
    assert "a.tif" in str(found.value)
    assert link != "copy" or "b.tif" in str(found.value)


def test_channels_of_one_image():
    pair = np.stack([NOISY, OTHER])
    for target in (1, 0):
        chosen = {"channels": (0,), "target_channels": (target,)}
        careamist = CAREamist(config(axes="CYX", **chosen))
        if target:
            careamist.train(train_source=pair, train_target=pair)
            continue
        with pytest.raises(DataError, match=SAYS):
            careamist.train(train_source=pair, train_target=pair)


def test_black_images_among_others_are_no_reason():
    black = np.zeros_like(NOISY)
    CAREamist(config()).train(train_source=[NOISY, black], train_target=[OTHER, black])


def test_swapped_pairs_are_allowed():
    CAREamist(config(create_n2n_configuration)).train(
        train_source=[NOISY, OTHER], train_target=[OTHER, NOISY]
    )


def test_other_images_cost_one_box(monkeypatch):
    monkeypatch.setattr("napari_hush.io.fingerprint._BOX", 2**12)
    monkeypatch.setattr("napari_hush.io.fingerprint.MAX_HASHED_BYTES", 2**15)
    large = RNG.integers(0, 1000, (512, 512)).astype("uint16")
    read = []

    class Logged(Image):
        @property
        def samples(self):
            (sample,) = super().samples

            class Reader:
                def __getitem__(_, key):
                    read.append(key)
                    return sample[key]

            return [Reader()]

    one = Logged.from_array(large, "YX")
    assert not same_pixels(one, Image.from_array(large + 1, "YX"))
    assert len(read) == 1
    assert same_pixels(one, Image.from_array(large.copy(), "YX"))
    assert len(read) == 1 + 8
