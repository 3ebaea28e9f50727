"""Options of predict and train that set what otherwise only Python can."""

import json

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.io import read_image, write_tiff

QUICK = ["--epochs", "1", "--steps", "1", "--batch-size", "2", "--filters", "8"]
SMALL = [*QUICK, "--depth", "1", "--patch-size", "16", "16", "--quiet"]


@pytest.fixture
def pixels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return np.random.default_rng(0).normal(100, 10, (3, 40, 44)).astype(np.float32)


def test_settings_of_predict(pixels):
    write_tiff("cells.tif", pixels[0], "YX")
    assert main(["train", "cells.tif", *SMALL, "-o", "m.safetensors"]) == 0
    careamist = CAREamist("m.safetensors")
    for number, (options, settings) in enumerate(
        [
            (["--tta"], {"tta": 8}),
            (["--tta", "2"], {"tta": 2}),
            (["--tile-size", "24", "24", "--tile-overlap", "12", "12"], {}),
            (["--batch-size", "3", "--precision", "32"], {}),
        ]
    ):
        out = f"clean{number}.tif"
        line = ["predict", "m.safetensors", "cells.tif", "-o", out, *options, "--quiet"]
        assert main(line) == 0
        clean, _ = read_image(out)
        expected = careamist.predict(pixels[0], **settings)
        np.testing.assert_allclose(clean, expected, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [["--tta", "3"], ["--tile-overlap", "a"], ["--batch-size", "1.5"]],
)
def test_wrong_settings_of_predict_are_refused(options):
    with pytest.raises(SystemExit):
        main(["predict", "m.safetensors", "cells.tif", "-o", "clean.tif", *options])


@pytest.mark.parametrize("name", ["--val-share", "--val-percentage"])
def test_settings_of_training(name, capsys):
    line = ["config", "n2v", name, "0.25", "--steps", "0.5", "--precision", "32", "--json"]
    assert main(line) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data_config"]["val_percentage"] == 0.25
    assert found["training_config"]["num_steps"] == 0.5


@pytest.mark.parametrize(
    ("noisy", "clean", "expected"),
    [
        ("CYX", "YX", ("YX", 3, 1)),
        ("YX", "CYX", ("CYX", 1, 3)),
        ("CYX", "CYX", (None, 3, 3)),
        ("YX", "YX", (None, 1, 1)),
    ],
)
def test_axes_and_channels_of_targets_are_read(pixels, noisy, clean, expected):
    for name, axes in (("noisy.tif", noisy), ("clean.tif", clean)):
        image = pixels if "C" in axes else pixels[0]
        write_tiff(name, image + (name == "clean.tif"), axes)
    line = ["train", "noisy.tif", "--target", "clean.tif", "--algorithm", "care", *SMALL]
    assert main([*line, "-o", "m.safetensors"]) == 0
    config = CAREamist("m.safetensors").config
    network = config.algorithm_config.model
    found = config.data_config.target_axes, network.in_channels, network.num_classes
    assert found == expected


def test_target_axes_are_given(pixels, capsys):
    """Without names in the file, of which the last axis may be channels."""
    import tifffile

    tifffile.imwrite("noisy.tif", pixels[0])
    tifffile.imwrite(
        "clean.tif", np.moveaxis(pixels, 0, -1).copy(), photometric="minisblack"
    )
    line = ["train", "noisy.tif", "--axes", "YX", *SMALL, "-o", "m.safetensors"]
    more = ["--target", "clean.tif", "--algorithm", "n2n", "--target-axes", "YXC"]
    assert main([*line, *more]) == 0
    assert CAREamist("m.safetensors").config.algorithm_config.model.num_classes == 3
    assert main([*line, "--target-axes", "YXC", "--overwrite"]) == 2
    assert "--target-axes is for methods that learn from pairs" in capsys.readouterr().err


def test_frames_before_and_after(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    movie = np.random.default_rng(0).normal(100, 9, (6, 32, 32)).astype("float32")
    write_tiff("movie.tif", movie, "TYX")
    write_tiff("short.tif", movie[:4], "TYX")
    few = ["--epochs", "1", "--steps", "2", "--filters", "8", "--patch-size", "16", "16"]
    train = ["train", "movie.tif", *few, "--time-context", "2", "-o", "m.safetensors"]
    assert main(train) == 0
    assert main(["info", "m.safetensors"]) == 0
    assert "time context 2" in " ".join(capsys.readouterr().out.split())
    assert main(["predict", "m.safetensors", "movie.tif", "-o", "clean.tif"]) == 0
    assert read_image("clean.tif")[0].shape == movie.shape
    assert main(["info", "clean.tif"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "method n2v time context 2" in said
    assert main(["predict", "m.safetensors", "short.tif", "-o", "no.tif"]) != 0
    assert "needs 5 frames along T or more" in capsys.readouterr().err
    assert main(["export", "m.safetensors", "-o", "m.onnx"]) != 0
    assert "2 frames before and after" in capsys.readouterr().err
    assert main(["check", "movie.tif", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"]["time_context"] == 0
