"""Default patch sizes of ``hush train`` for images of any size."""

import re

import numpy as np
import pytest
import tifffile

from napari_hush.cli import main, settings
from napari_hush.io import write_tiff
from napari_hush.models import load_model

QUICK = ["--epochs", "1", "--steps", "1", "--batch-size", "1", "--filters", "8"]


@pytest.fixture
def train(tmp_path, monkeypatch, capsys):
    """Train on new images; returns what is printed, and patch size and levels of Z."""
    monkeypatch.chdir(tmp_path)

    def run(shapes, axes, *options):
        for number, shape in enumerate(shapes):
            pixels = np.random.default_rng(number).normal(100, 10, shape)
            tifffile.imwrite(
                f"{number}.tif",
                pixels.astype("float32"),
                photometric="minisblack",
                metadata={"axes": axes},
            )
        names = [f"{number}.tif" for number in range(len(shapes))]
        code = main(["train", *names, *QUICK, *options, "-o", "m.safetensors"])
        printed = capsys.readouterr().err
        if code:
            return printed, None, None
        config = load_model("m.safetensors").config
        return printed, config.data_config.patch_size, config.algorithm_config.model.pool_z

    return run


@pytest.mark.parametrize(
    ("shape", "axes", "patch", "pool_z"),
    [
        ((5, 72, 72), "ZYX", (5, 64, 64), (False, False)),
        ((3, 40, 40), "ZYX", (3, 40, 40), (False, False)),
        ((1, 32, 32), "ZYX", (1, 32, 32), (False, False)),
        ((12, 17, 17), "ZYX", (12, 16, 16), (False, True)),
        ((40, 40), "YX", (40, 40), None),
        ((17, 300), "YX", (16, 64), None),
        ((9, 9), "YX", (8, 8), None),
        ((2, 3, 9, 20), "TZYX", (3, 8, 20), (False, False)),
    ],
)
def test_patches_are_the_largest_that_fit(train, shape, axes, patch, pool_z):
    printed, *found = train([shape], axes)
    assert found == [patch, pool_z]
    size = " x ".join(map(str, patch))
    assert printed.count("atch size") == 1
    assert f"Patch size {size}: the image is smaller than the default" in printed


def test_the_smallest_of_several_images_decides(train):
    printed, patch, _ = train([(70, 70), (20, 90), (90, 33)], "YX")
    assert patch == (20, 32)
    assert "Patch size 20 x 32: the smallest image is smaller than the default" in printed


def test_validation_images_count(train, tmp_path):
    write_tiff(tmp_path / "val.tif", np.eye(24, dtype="float32"), "YX")
    assert train([(70, 70)], "YX", "--val", "val.tif")[1] == (24, 24)


def test_nothing_is_said_where_the_default_fits(train):
    printed, patch, _ = train([(64, 70)], "YX")
    assert patch == (64, 64)
    assert "atch size" not in printed


def test_of_many_files_only_some_are_opened(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(7):
        write_tiff(f"{number}.tif", np.eye(20, dtype="float32"), "YX")
    opened = []
    monkeypatch.setattr(settings, "MEASURED", 3)
    original = settings.open_images
    monkeypatch.setattr(
        settings,
        "open_images",
        lambda files, *more, **most: opened.extend(files) or original(files, *more, **most),
    )
    assert main(["config", "n2v", "."]) == 0
    assert [file.name for file in opened] == ["0.tif", "3.tif", "6.tif"]
    printed = capsys.readouterr()
    assert "patch_size:\n  - 20\n  - 20\n" in printed.out
    assert "Patch size 20 x 20: the smallest image is smaller" in printed.err


@pytest.mark.parametrize(
    ("shape", "axes", "options", "says"),
    [
        ((5, 40, 40), "ZYX", ["--patch-size", "16", "64", "64"], "of at most 5 40 40,"),
        ((41, 40), "YX", ["--patch-size", "64", "32"], "of at most 40 32,"),
        ((41, 40), "YX", ["--depth", "3", "--patch-size", "64", "64"], "most 40 40,"),
        ((7, 40), "YX", [], "Only 7 pixels along Y .* at least 8;"),
        ((9, 40), "YX", ["--depth", "4"], "Only 9 .* at least 16; .* downsamples less"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_largest_that_does(
    train, shape, axes, options, says
):
    printed, patch, _ = train([shape], axes, *options)
    assert patch is None
    assert re.search(says, printed)


def test_a_3d_network_for_single_planes_is_said(train):
    said = "for a single plane, leave Z out of the axes and train in 2D"
    printed, size, _ = train([(64, 64), (48, 64)], "YX", "--axes", "ZYX")
    assert size == (1, 48, 64)
    assert said in printed
    printed, *_ = train([(20, 64, 64)], "ZYX", "--overwrite")
    assert said not in printed
