"""Every resolution of an OME-Zarr image can be trained on and denoised."""

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import DataConfig, InferenceConfig
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import read_metadata, read_tiff
from napari_hush.lightning import PredictDataModule, TrainDataModule

SHAPES = ((64, 96), (32, 48))


@pytest.fixture
def pyramid(tmp_path):
    """An OME-Zarr image YX of two levels, of quite different intensities."""
    path = tmp_path / "cells.zarr"
    group = zarr.create_group(path)
    rng = np.random.default_rng(0)
    for level, shape in enumerate(SHAPES):
        made = group.create_array(str(level), shape=shape, dtype="float32", chunks=(16, 16))
        made[...] = rng.normal(1000 * (level + 1), 50, shape)
    datasets = [
        {
            "path": str(n),
            "coordinateTransformations": [{"type": "scale", "scale": [0.5 * 2**n] * 2}],
        }
        for n in range(2)
    ]
    axes = [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    known = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs["ome"] = known
    return path


def pixels(path, level):
    return zarr.open_group(path, mode="r")[str(level)][...]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("level", [0, 1])
def test_patches_are_of_the_chosen_level(pyramid, level, in_memory):
    config = DataConfig(data_type="zarr", level=level, patch_size=(16, 16))
    data = TrainDataModule(
        config, pyramid, val_minimum_split=0, val_percentage=0, use_in_memory=in_memory
    )
    data.prepare_data()
    data.setup()
    (mean,), _ = data.get_data_statistics()
    assert mean == pytest.approx(pixels(pyramid, level).mean())


def test_tiles_are_of_the_chosen_level(pyramid):
    config = InferenceConfig.build(
        {"data_type": "zarr", "level": 1, "image_means": (0.0,), "image_stds": (1.0,)}
    )
    data = PredictDataModule(config, pyramid)
    data.setup()
    assert data.images[0].data.shape == SHAPES[1]


def test_the_level_trained_on_is_denoised_unless_another_is_named(tiny_config, pyramid):
    config = tiny_config(data_type="zarr", num_steps=1)
    config = config.replace(data_config=config.data_config.replace(level=1))
    careamist = CAREamist(config)
    careamist.train(train_source=pyramid)
    for level, given in [(1, {}), (0, {"level": 0})]:
        (clean,) = careamist.predict(pyramid, **given)
        expected = careamist.predict(pixels(pyramid, level))
        np.testing.assert_array_equal(clean, expected)


def test_levels_on_the_command_line(pyramid, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    quick = ["--epochs", "1", "--steps", "1", "--filters", "8", "--patch-size", "16", "16"]
    train = ["train", "cells.zarr", *quick, "--quiet"]
    assert main([*train, "--level", "1", "-o", "m.safetensors"]) == 0
    careamist = CAREamist("m.safetensors")
    assert careamist.config.data_config.level == 1
    predict = ["predict", "m.safetensors", "cells.zarr", "--quiet"]
    for level, more in [(1, []), (0, ["--level", "0"])]:
        target = f"{level}.tif"
        assert main([*predict, *more, "-o", target]) == 0
        clean = careamist.predict(pixels(pyramid, level))
        np.testing.assert_array_equal(read_tiff(target).squeeze(), clean)
        scale = read_metadata(target).scale
        assert {a: scale[a] for a in "YX"} == pytest.approx(
            dict.fromkeys("YX", 0.5 * 2**level)
        )
    capsys.readouterr()
    for command in ([*train, "-o", "n.safetensors"], [*predict, "-o", "out"]):
        assert main([*command, "--level", "2"]) == 2
        printed = capsys.readouterr().err
        assert "has the levels 0 to 1, but level 2 was asked for" in printed
    assert not (tmp_path / "n.safetensors").exists()
    assert not (tmp_path / "out").exists()


def test_levels_that_are_not_there(tiny_config, pyramid, noisy):
    config = tiny_config(data_type="zarr", num_steps=1)
    config = config.replace(data_config=config.data_config.replace(level=2))
    with pytest.raises(DataError, match="levels 0 to 1, but level 2"):
        CAREamist(config).train(train_source=pyramid)
    for build, more in [
        (DataConfig.build, {}),
        (InferenceConfig.build, {"image_means": (0.0,), "image_stds": (1.0,)}),
    ]:
        with pytest.raises(ConfigurationError, match="only Zarr and TIFF"):
            build({"data_type": "custom", "level": 1, **more})
        with pytest.raises(ConfigurationError, match="level"):
            build({"data_type": "zarr", "level": -1, **more})
