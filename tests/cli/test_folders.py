"""Folders and patterns as people have them: order, results inside of them, pairs."""

import json

import numpy as np
import pytest

from napari_hush.cli import main
from napari_hush.io import load_images, write_tiff

QUICK = ["--epochs", "1", "--steps", "1", "--batch-size", "2", "--filters", "8"]
QUICK += ["--patch-size", "16", "16", "-o", "m.safetensors", "--overwrite"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder, with images t2, t10 and t1 in the folder noisy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noisy").mkdir()
    rng = np.random.default_rng(0)
    for name in ("t2", "t10", "t1"):
        image = rng.normal(100, 10, (32, 32)).astype("float32")
        write_tiff(f"noisy/{name}.tif", image, "YX")
    return tmp_path


def learned_from(capsys):
    capsys.readouterr()
    assert main(["info", "m.safetensors", "--json"]) == 0
    sources = json.loads(capsys.readouterr().out)["provenance"]["sources"]
    return [source["name"] for source in sources]


@pytest.mark.parametrize("source", ["noisy", "noisy/t*.tif", "no*/**/t*"])
def test_images_are_in_natural_order(folder, source, capsys):
    assert main(["train", source, *QUICK]) == 0
    assert learned_from(capsys) == ["t1.tif", "t2.tif", "t10.tif"]


def test_pattern_without_a_match_is_refused(folder, capsys):
    assert main(["train", "noisy/x*.tif", *QUICK]) == 2
    assert "No file or folder matches 'noisy/x*.tif'" in capsys.readouterr().err


def test_model_does_not_learn_from_results(folder, capsys):
    assert main(["train", "noisy", *QUICK, "--quiet"]) == 0
    predict = ["predict", "m.safetensors", "noisy", "-o", "noisy/clean", "--quiet"]
    assert main(predict) == 0
    results = sorted((folder / "noisy" / "clean").iterdir())
    assert len(results) == 3
    results[0].unlink()
    assert main([*predict, "--resume"]) == 0
    assert sorted((folder / "noisy" / "clean").iterdir()) == results
    capsys.readouterr()
    assert main(["train", "noisy", *QUICK]) == 0
    assert capsys.readouterr().err.count("3 results of napari-hush") == 1
    assert learned_from(capsys) == ["t1.tif", "t2.tif", "t10.tif"]
    assert main(["predict", "m.safetensors", "noisy", "-o", "elsewhere", "--quiet"]) == 0
    assert len([*(folder / "elsewhere").rglob("*.*")]) == 3


def test_info_and_check_take_one_image_by_a_pattern(folder, capsys):
    for command in ("info", "check"):
        assert main([command, "noisy/*0.tif"]) == 0
        assert main([command, "noisy/t*.tif"]) == 2
        assert (
            "has 3 images; give one, for example 'noisy/t1.tif'" in capsys.readouterr().err
        )


def test_results_can_be_targets(folder, capsys):
    assert main(["train", "noisy", *QUICK, "--quiet"]) == 0
    assert main(["predict", "m.safetensors", "noisy", "-o", "noisy/clean", "--quiet"]) == 0
    care = ["train", "noisy", "--target", "noisy/clean", "--algorithm", "care", *QUICK]
    assert main(care) == 0
    assert learned_from(capsys) == ["t1.tif", "t2.tif", "t10.tif"]


def test_pairs_are_shown(folder, capsys):
    for path in (folder / "noisy").iterdir():
        path.rename(path.with_name(f"{path.stem}_low.tif"))
    care = ["train", "noisy/*_low.tif", "--algorithm", "care", *QUICK]
    assert main([*care, "--target", "noisy"]) == 2
    assert "t1_low.tif' is both the image and its target" in capsys.readouterr().err
    for path in [*(folder / "noisy").iterdir()]:
        target = path.with_name(path.name.replace("low", "high"))
        write_tiff(target, load_images(path, "tiff", "YX")[0].data + 1, "YX")
    assert main([*care, "--target", "noisy/*_high.tif"]) == 0
    says = "3 pairs: t1_low.tif -> t1_high.tif, t2_low.tif -> t2_high.tif, t10_low.tif -> "
    assert says in capsys.readouterr().err
