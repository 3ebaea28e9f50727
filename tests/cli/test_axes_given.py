"""Axes from the file, from ``--axes`` and from the model."""

import json

import numpy as np
import pytest
import tifffile

from napari_hush.cli import main
from napari_hush.io import read_image
from napari_hush.models import load_model

QUICK = ["--epochs", "1", "--steps", "1", "--batch-size", "1", "--filters", "8"]
PIXELS = np.random.default_rng(0).normal(100, 10, (9, 24, 24)).astype("float32")


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack of 9 planes that ImageJ calls channels, and one of planes."""
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("stack.tif", PIXELS, imagej=True)
    tifffile.imwrite("planes.tif", PIXELS, imagej=True, metadata={"axes": "ZYX"})


def train(*options):
    return main(["train", *options, *QUICK, "-o", "m.safetensors"])


def test_axes_that_are_given_override_the_file(stack, capsys):
    assert train("stack.tif", "--axes", "ZYX", "--json") == 0
    printed = capsys.readouterr()
    said = [one["message"] for one in json.loads(printed.out)["warnings"]]
    (said,) = [message for message in said if "axes" in message]
    assert said.endswith("stack.tif' are CYX; read as ZYX, as given.")
    assert load_model("m.safetensors").config.data_config.axes == "ZYX"


def test_axes_of_a_model_do_not(stack, capsys):
    assert train("planes.tif") == 0
    predict = ["predict", "m.safetensors", "stack.tif", "-o", "out.tif"]
    assert main(predict) == 2
    assert "are 'CYX' (C = 9, Y = 24, X = 24) but those of the" in capsys.readouterr().err
    assert main([*predict, "--axes", "ZYX"]) == 0
    assert "read as ZYX, as given" in capsys.readouterr().err
    clean, axes = read_image("out.tif")
    assert (clean.shape, axes) == (PIXELS.shape, "ZYX")


@pytest.mark.parametrize("patch", [[], ["--patch-size", "4", "16", "16"]])
def test_nor_do_axes_of_the_first_image(stack, capsys, patch):
    assert train("planes.tif", "stack.tif", *patch) == 2
    assert "stack.tif' are 'CYX'" in capsys.readouterr().err
    assert train("planes.tif", "stack.tif", "--axes", "ZYX", *patch) == 0
