"""`napari_hush.denoise`: any kind of array in, the same kind out, now or when asked for."""

import pickle

import dask.array as da
import numpy as np
import pytest
import torch
import xarray
import zarr

import napari_hush
from napari_hush import CAREamist, denoise
from napari_hush.config import create_n2v_configuration
from napari_hush.errors import ConfigurationError, DataError, SourceTypeError
from napari_hush.io import open_images, write_tiff
from napari_hush.models import Model, UNet, save_model
from napari_hush.models.normalization import Normalization


def untrained(axes="YX", channels=None):
    """A model that was not trained: what it makes is a picture all the same."""
    config = create_n2v_configuration(
        "tiny",
        "array",
        axes,
        [8, 16, 16] if "Z" in axes else [16, 16],
        4,
        num_epochs=1,
        n_channels=channels,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    config = config.replace(
        training_config=config.training_config.replace(device="cpu", precision="32")
    )
    torch.manual_seed(0)
    count = channels or 1
    network = UNet(config.algorithm_config.model).eval()
    return Model(config, network, Normalization((1000.0,) * count, (30.0,) * count))


def picture(*shape):
    return np.random.default_rng(0).normal(1000, 30, shape).astype("uint16")


CASES = [
    ("YX", (40, 52), None, [16, 16]),
    ("XTY", (40, 3, 30), None, [16, 16]),
    ("STYX", (2, 3, 20, 30), None, [16, 16]),
    ("YXC", (30, 40, 2), 2, [16, 16]),
    ("CZYX", (2, 9, 20, 24), 2, [4, 16, 16]),
]


@pytest.mark.parametrize(("axes", "shape", "channels", "tile"), CASES)
def test_lazy_is_eager_later(axes, shape, channels, tile):
    model, noisy = untrained(axes, channels), picture(*shape)
    now = denoise(noisy, model, axes=axes, tile_size=tile)
    later = denoise(noisy, model, axes=axes, tile_size=tile, lazy=True)
    assert isinstance(later, da.Array)
    assert (later.shape, later.dtype) == (noisy.shape, now.dtype)
    sizes = dict(zip(axes, later.chunksize, strict=True))
    assert (sizes["Y"], sizes["X"]) == (16, 16)
    np.testing.assert_array_equal(later.compute(), now)
    corner = tuple(slice(1, 3) for _ in shape)
    np.testing.assert_array_equal(later[corner].compute(scheduler="threads"), now[corner])


def test_of_dask_zarr_and_files_nothing_is_read_before(tmp_path):
    model, noisy = untrained(), picture(40, 52)
    expected = denoise(noisy, model, tile_size=[16, 16])
    reads = []

    def read(block):
        reads.append(block.shape)
        return block

    lazily = da.from_array(noisy, chunks=(10, 52)).map_blocks(read, dtype=noisy.dtype)
    reads.clear()  # dask itself tries the function on nothing
    result = denoise(lazily, model, lazy=True, tile_size=[16, 16])
    assert reads == []
    top = result[:16, :16].compute()
    assert 0 < len(reads) < 4  # the tile with its halo, not all of it
    np.testing.assert_array_equal(top, expected[:16, :16])
    np.testing.assert_array_equal(result, expected)
    array = zarr.create_array(tmp_path / "a.zarr", data=noisy, chunks=(16, 16))
    path = write_tiff(tmp_path / "a.tif", noisy, "YX")
    for source in (array, path):
        for lazy in (False, True):
            found = denoise(source, model, axes="YX", tile_size=[16, 16], lazy=lazy)
            assert isinstance(found, da.Array) == lazy
            np.testing.assert_array_equal(found, expected)


def test_denoised_lazily_twice():
    model, noisy = untrained(), picture(40, 40)
    once = denoise(noisy, model, lazy=True, tile_size=[16, 16])
    twice = denoise(once, model, lazy=True, tile_size=[16, 16])
    expected = denoise(denoise(noisy, model), model)
    np.testing.assert_allclose(twice.compute(scheduler="threads"), expected, rtol=1e-5)


@pytest.mark.parametrize("lazy", [False, True])
def test_an_xarray_keeps_what_is_known_of_it(lazy):
    model, noisy = untrained("TYX"), picture(2, 30, 40)
    image = xarray.DataArray(
        noisy,
        {"time": [0.0, 2.5], "x": np.arange(40) * 0.1},
        ("time", "y", "x"),
        "cells",
        {"objective": "60x"},
    )
    clean = denoise(image, model, lazy=lazy, tile_size=[16, 16])
    assert isinstance(clean, xarray.DataArray)
    assert isinstance(clean.data, da.Array) == lazy
    assert (clean.name, clean.dims, clean.attrs) == (image.name, image.dims, image.attrs)
    xarray.testing.assert_equal(clean.coords.to_dataset(), image.coords.to_dataset())
    assert clean.dtype == "float32"
    np.testing.assert_array_equal(clean, denoise(noisy, model, axes="TYX"))


def test_a_lazy_result_can_be_sent_to_another_process(tmp_path):
    model, noisy = untrained(), picture(40, 52)
    result = denoise(noisy, model, lazy=True, tile_size=[16, 16])
    sent = pickle.loads(pickle.dumps(result))  # noqa: S301  (our own)
    np.testing.assert_array_equal(sent, result)


def test_models_of_all_kinds(tmp_path):
    model, noisy = untrained(), picture(30, 30)
    path = save_model(model, tmp_path / "m.safetensors")
    events = []
    results = [
        denoise(noisy, model, on_progress=events.append),
        denoise(noisy, path),
        denoise(noisy, str(path)),
        denoise(noisy, CAREamist(path)),
        denoise(noisy, CAREamist(path), on_progress=events.append),
    ]
    for result in results:
        np.testing.assert_array_equal(result, results[0])
    assert len(events) >= 4
    assert napari_hush.denoise is denoise


def test_the_type_of_the_source():
    model, noisy = untrained(), picture(40, 40)
    now = denoise(noisy, model, dtype="source")
    later = denoise(noisy, model, dtype="source", lazy=True)
    assert now.dtype == later.dtype == later.compute().dtype == noisy.dtype
    np.testing.assert_array_equal(later, now)


def test_what_cannot_be_denoised():
    model, noisy = untrained(), picture(40, 40)
    with pytest.raises(SourceTypeError, match="takes one image"):
        denoise([noisy], model)
    with pytest.raises(DataError, match="trained in 2D"):
        denoise(picture(4, 40, 40), model, axes="ZYX", lazy=True)
    with pytest.raises(ConfigurationError, match="computed on access"):
        CAREamist(model).predict(noisy, lazy=True, should_stop=lambda: False)


@pytest.mark.parametrize(
    ("shape", "axes", "channels"),
    [
        ((1, 1, 40, 52), "YX", None),
        ((3, 1, 40, 52), "TYX", None),
        ((3, 1, 1, 1, 40, 52), "TYX", None),
        ((1, 2, 1, 40, 52), "CYX", 2),
        ((40, 52, 1), "YX", None),
    ],
)
def test_dimensions_of_size_1_come_back(shape, axes, channels):
    model, noisy = untrained(axes, channels), picture(*shape)
    kept = [n for n in shape if n > 1]
    expected = denoise(noisy.reshape(kept), model, axes=axes)
    result = denoise(noisy, model, axes=axes)
    assert result.shape == shape
    np.testing.assert_array_equal(result.reshape(kept), expected)
    lazily = denoise(noisy, model, axes=axes, lazy=True)
    assert lazily.shape == shape
    np.testing.assert_array_equal(lazily[..., 7:9].compute(), result[..., 7:9])
    out = np.zeros(shape[::-1], "float32").T
    assert CAREamist(model).predict(noisy, axes=axes, out=out).shape == shape
    np.testing.assert_array_equal(out, result)


def test_a_mask_is_kept_and_what_is_under_it_does_not_matter():
    model, noisy = untrained(), picture(40, 300).astype("float32")
    mask = np.zeros(noisy.shape, bool)
    mask[10:20, 10:20] = True
    results = []
    for fill in (1e6, np.nan, -3.0):
        noisy[mask] = fill
        results.append(denoise(np.ma.masked_array(noisy, mask), model))
    for result in results:
        assert isinstance(result, np.ma.MaskedArray)
        np.testing.assert_array_equal(result.mask, mask)
        np.testing.assert_array_equal(result.data, results[0].data)
    # Beyond the receptive field the result is that of the image without the mask.
    noisy[mask] = 1000
    far = denoise(noisy, model)[:, 100:]
    np.testing.assert_array_equal(results[0].data[:, 100:], far)
    lazily = denoise(np.ma.masked_array(noisy, mask), model, lazy=True)
    np.testing.assert_array_equal(lazily.compute().mask, mask)
    (both,) = CAREamist(model).predict([np.ma.masked_array(noisy[None], mask[None])])
    np.testing.assert_array_equal(both.mask, mask[None])


def test_a_mask_of_channels_fits_results_of_other_channels():
    noisy = np.ma.masked_array(picture(3, 40, 52), False)
    noisy[0, 1, 2] = noisy[2, 5, 6] = np.ma.masked
    (image,) = open_images(noisy, "array", "CYX")
    for channels, axes in ((1, "CYX"), (2, "CYX")):
        mask = image.like_source(np.zeros((channels, 40, 52))).mask
        assert mask.sum() == 2 * channels, axes
        assert mask[:, 1, 2].all()
        assert mask[:, 5, 6].all()
    np.testing.assert_array_equal(image.like_source(np.zeros((3, 40, 52))).mask, noisy.mask)
    (image,) = open_images(noisy[:1], "array", "YX")
    assert image.like_source(np.zeros((40, 52))).shape == (1, 40, 52)
    assert image.like_source(np.zeros((4, 40, 52))).mask[:, 0, 1, 2].all()


def test_tensors_and_datasets():
    model, noisy = untrained(), picture(40, 52).astype("float32")
    expected = denoise(noisy, model)
    np.testing.assert_array_equal(denoise(torch.tensor(noisy), model), expected)
    dataset = xarray.Dataset({"raw": (("y", "x"), noisy)})
    result = denoise(dataset, model)
    assert result.name == "raw"
    np.testing.assert_array_equal(result, expected)
