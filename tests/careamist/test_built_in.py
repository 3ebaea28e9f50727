"""The built-in denoiser: no training, any unit, any axes, any number of channels."""

import dask.array as da
import numpy as np
import pytest
import torch
import xarray

from napari_hush import CAREamist, denoise
from napari_hush.cli import main
from napari_hush.config import InferenceConfig, UNetConfig
from napari_hush.config.algorithm import has_built_in_layout
from napari_hush.errors import ConfigurationError, DataError, ModelFileError
from napari_hush.events import WarningIssued
from napari_hush.io import read_image, read_metadata, read_record, write_tiff
from napari_hush.lightning import PredictDataModule
from napari_hush.models import built_in_denoiser, built_in_networks
from napari_hush.models.built_in import within_squares

Y, X = np.mgrid[:64, :64]
CLEAN = 100 + 40 * np.sin(X / 9) * np.cos(Y / 7)
NOISY = CLEAN + np.random.default_rng(0).normal(0, 30, CLEAN.shape)
UNSEEN = np.random.default_rng(1).normal(500, 9, (3, 40, 52))


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Float32 on the CPU, whose bits are the same for one image in any call."""
    settings = {"device": "cpu", "precision": "32"}
    model = built_in_denoiser()
    training = model.config.training_config.replace(**settings)
    monkeypatch.setitem(
        vars(model), "config", model.config.replace(training_config=training)
    )


def warnings_of(image, **settings):
    events = []
    CAREamist("built-in", on_progress=events.append).predict(image, **settings)
    return {e.about: e.message for e in events if isinstance(e, WarningIssued)}


def test_it_denoises_without_training():
    error = np.std(denoise(NOISY) - CLEAN)
    assert error < 0.5 * np.std(NOISY - CLEAN)


@pytest.mark.parametrize(
    ("factor", "offset", "dtype"),
    [
        (1e-12, 0, "float64"),
        (1, 1e6, "float64"),
        (4e9, -1e12, "float64"),
        (1e4, 1e9, "uint64"),
    ],
)
def test_no_unit_changes_the_picture(factor, offset, dtype):
    expected = denoise(NOISY.round(2))
    image = (NOISY.round(2) * factor + offset).round(30 if factor < 1 else 0).astype(dtype)
    found = (denoise(image, dtype="source").astype(np.float64) - offset) / factor
    np.testing.assert_allclose(found, expected, atol=0.6 if factor == 1 else 1e-3)


def test_images_and_channels_are_scaled_each_by_its_own_statistics():
    one, other = denoise(NOISY), denoise(UNSEEN[0])
    pair = CAREamist("built-in").predict([NOISY, UNSEEN[0]])
    np.testing.assert_array_equal(pair[0], one)
    np.testing.assert_array_equal(pair[1], other)
    channels = denoise(np.stack([NOISY, 1000 * NOISY], -1), axes="YXC")
    np.testing.assert_allclose(channels[..., 0], one, rtol=1e-5)
    np.testing.assert_allclose(channels[..., 1], 1000 * one, rtol=1e-5)


def test_two_planes_are_denoised_one_by_one_but_scaled_together():
    stack = np.stack([NOISY, CLEAN])
    found = denoise(stack, axes="ZYX", tile_size=None)
    expected = denoise(np.concatenate(stack))  # far from the seams
    np.testing.assert_allclose(found[0][:4], expected[:4], rtol=1e-4)


def test_planes_above_and_below_are_used():
    noisy = CLEAN + np.random.default_rng(3).normal(0, 30, (7, *CLEAN.shape))
    volume, planes = (denoise(noisy, axes=axes)[3] for axes in ("ZYX", "TYX"))
    assert np.std(volume - CLEAN) < 0.8 * np.std(planes - CLEAN)
    one = CAREamist("built-in").predict(noisy, axes="ZYX", tile_size=(2, 32, 32))[3]
    np.testing.assert_allclose(one, volume, rtol=1e-5)


def test_spread_is_that_within_squares():
    levels = np.repeat(np.repeat([[0.0, 50.0], [7.0, -3.0]], 32, 0), 32, 1)
    rows = np.tile([[0.0], [2.0]], (32, 64))  # 1 from their mean
    values = torch.from_numpy(np.stack([levels, levels + rows, np.full_like(rows, 0.1)]))
    found = within_squares(values).numpy() / rows.size
    np.testing.assert_allclose(found, [0, 1, 0], atol=1e-20)
    odd = within_squares(values[1:2, :39, :45])  # the last squares are of 7 and 13 pixels
    odd_rows = 1 - 1 / 49  # 4 of 7 rows are 0: the variance of their values
    assert odd.item() == pytest.approx(45 * (32 + 7 * odd_rows), rel=1e-9)


def test_a_picture_of_large_flat_squares_is_scaled_all_the_same():
    levels = np.repeat(np.repeat([[1.0, 50.0], [7.0, 3.0]], 32, 0), 32, 1)
    found = denoise(levels)
    assert np.abs(found - levels)[8:24, 8:24].max() < 2


@pytest.mark.parametrize("value", [0.0, 7.0, 1e-200, -3e9])
@pytest.mark.parametrize("dtype", ["float32", "source"])
def test_what_is_constant_stays_constant(value, dtype):
    flat = np.full((2, 32, 32), value)
    flat[1] = NOISY[:32, :32]
    found = denoise(flat, axes="CYX", dtype=dtype)
    np.testing.assert_array_equal(found[0], found.dtype.type(value))
    np.testing.assert_array_equal(denoise(flat[0], dtype=dtype), found[0])
    assert np.isfinite(found).all()


def test_pixels_that_are_not_finite_are_refused():
    with pytest.raises(DataError):
        denoise(np.where(NOISY > 150, np.nan, NOISY))


def test_masked_pixels_do_not_count():
    masked = np.ma.array(NOISY, mask=NOISY > 170)
    found = denoise(masked)
    np.testing.assert_array_equal(found.mask, masked.mask)
    other = np.ma.array(np.where(masked.mask, 1e9, NOISY), mask=masked.mask)
    np.testing.assert_allclose(denoise(other).compressed(), found.compressed(), rtol=1e-6)


def test_lazy_tiles_regions_and_labels():
    whole = denoise(NOISY)
    tiled = denoise(NOISY, tile_size=[16, 32])
    np.testing.assert_allclose(tiled, whole, rtol=1e-5)
    lazy = denoise(da.from_array(NOISY, chunks=16), lazy=True, tile_size=[16, 32])
    np.testing.assert_array_equal(lazy.compute(), tiled)
    part = CAREamist("built-in").predict(
        NOISY, region=np.s_[:, :, :16, :16], tile_size=[16, 32]
    )
    np.testing.assert_array_equal(part[:16, :16], tiled[:16, :16])
    assert not part[32:].any()
    labelled = xarray.DataArray(UNSEEN, dims=("z", "y", "x"))
    assert denoise(labelled).dims == labelled.dims
    config = InferenceConfig(axes="YX", image_means=(0.0,), image_stds=(1.0,))
    module = PredictDataModule(config, NOISY)
    np.testing.assert_array_equal(CAREamist("built-in").predict(module), whole)


def test_axes_that_are_not_named_have_to_be_given():
    assert denoise(UNSEEN[:1]).shape == (1, 40, 52)
    with pytest.raises(DataError):
        denoise(UNSEEN)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images = {"a": (NOISY, "YX"), "b": (UNSEEN, "ZYX"), "c": (UNSEEN * 9, "CYX")}
    (tmp_path / "in").mkdir()
    for name, (pixels, axes) in images.items():
        write_tiff(f"in/{name}.tif", pixels.astype("float32"), axes)
    return images


def test_files_of_any_axes_each_in_its_own(folder, capsys):
    command = ["predict", "built-in", "in", "-o", "out", "--precision", "32"]
    assert main(command) == 0
    for name, (pixels, axes) in folder.items():
        found, _ = read_image(f"out/{name}.tif")
        built_in, image = CAREamist("built-in"), pixels.astype("float32")
        expected = built_in.predict(image, axes=axes, precision="32", check=False)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert read_metadata(f"out/{name}.tif").axes == axes
        record = read_record(f"out/{name}.tif")["model"]
        assert record["sha256"] in built_in_denoiser().hashes
        assert "simulated images, not trained on this image" in record["built_in"]
    assert main(["info", "out/a.tif"]) == 0
    assert "built-in denoiser denoiser-2d" in capsys.readouterr().out
    assert main([*command, "--resume"]) == 0
    assert main(["predict", "built-in", "in/a.tif", "in/b.tif", "-o", "out"]) == 2


def test_an_interrupted_file_is_resumed_with_the_same_bits(folder):
    careamist = CAREamist("built-in", enable_progress_bar=False)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) > 3

    settings = {"tile_size": [16, 16], "prediction_dir": "b.tif"}
    assert careamist.predict_to_disk("in/a.tif", should_stop=stop, **settings) == []
    careamist.predict_to_disk("in/a.tif", **settings)
    expected = careamist.predict(NOISY.astype("float32"), tile_size=[16, 16])
    np.testing.assert_array_equal(read_image("b.tif")[0], expected)


def test_a_saved_file_is_the_same_denoiser(folder, capsys):
    CAREamist("built-in").save("mine.safetensors")
    mine = CAREamist("mine.safetensors")
    np.testing.assert_array_equal(mine.predict(NOISY), denoise(NOISY))
    assert mine.trained.sha256 == built_in_denoiser().sha256
    for model in ("built-in", "mine.safetensors"):
        assert main(["info", model]) == 0
        assert "simulated images" in capsys.readouterr().out


def test_it_is_neither_trained_further_nor_exported(tmp_path):
    careamist = CAREamist("built-in")
    with pytest.raises(ModelFileError, match="train a model on your images"):
        careamist.train(train_source=NOISY)
    for name in ("x.onnx", "x.pt", "x.zip"):
        with pytest.raises(ModelFileError):
            careamist.export(tmp_path / name)


def test_a_custom_reader_needs_axes(folder):
    np.save("a.npy", NOISY)
    settings = {
        "read_source_func": lambda path, *_: np.load(path),
        "extension_filter": "*.npy",
        "data_type": "custom",
    }
    with pytest.raises(ConfigurationError):
        CAREamist("built-in").predict("a.npy", **settings)
    (found,) = CAREamist("built-in").predict("a.npy", axes="YX", **settings)
    np.testing.assert_array_equal(found, denoise(NOISY))


def test_correlated_noise_is_warned_of():
    rng = np.random.default_rng(0)
    shape = (128, 128)
    lines = rng.normal(0, 9, shape) + rng.normal(0, 9, (128, 1))
    assert "structN2V" in warnings_of(lines)["noise"]
    lowpass = np.exp(-90 * np.add.outer(np.fft.fftfreq(128) ** 2, np.fft.fftfreq(128) ** 2))
    smooth = np.fft.ifft2(np.fft.fft2(rng.normal(0, 9, shape)) * lowpass).real
    assert "the noise of neighboring pixels is correlated" in warnings_of(smooth)["noise"]
    assert "noise" not in warnings_of(rng.normal(0, 9, shape))


def test_facts_and_weights_of_each_network():
    networks = built_in_networks()
    assert "denoiser-2d" in networks
    for name, network in networks.items():
        assert network.name == name
        for_volumes = network.config.time_context > 0
        assert name == f"{network.kind}-{3 if for_volumes else 2}d"
        assert has_built_in_layout(network.config)
        assert network.config.n2v2 == (network.kind == "n2v2")
        assert network.steps > 0
        assert "simulated images alone" in network.trained_on
        assert network.license.startswith("BSD-3-Clause")
        assert {"seed", "steps"} <= network.recipe.keys()
        for weights in network.weights().values():
            assert torch.isfinite(weights).all()
            assert weights.dtype in (torch.float32, torch.int64)


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"in_channels": 3, "num_classes": 3}, True),
        ({"independent_channels": False}, True),
        ({"in_channels": 3, "num_classes": 3, "independent_channels": False}, False),
        ({"depth": 3}, False),
        ({"residual": True}, False),
        ({"use_batch_norm": False}, False),
        ({"variant": "careamics"}, False),
        ({"conv_dims": 3, "pool_z": (False, True)}, True),
        ({"n2v2": True}, True),
    ],
)
def test_which_networks_the_weights_fit(changes, fits):
    assert has_built_in_layout(UNetConfig(**changes)) == fits
