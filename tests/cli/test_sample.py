"""`hush sample`: sample images as files."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_hush.cli import ExitCode, main
from napari_hush.io import read_image, read_metadata, samples

FILES = {
    "cells": ["a.tif", "a_ground_truth.tif"],
    "hot": ["a.tif", "a_ground_truth.tif"],
    "lines": ["a.tif", "a_ground_truth.tif"],
    "pairs": ["a.tif", "a_ground_truth.tif", "a_target.tif"],
    "care": ["a.tif", "a_target.tif"],
    "movie": ["a.tif", "a_ground_truth.tif"],
}


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_all_images_of_a_sample_are_written(name, tmp_path, capsys):
    assert main(["sample", name, "-o", "a.tif", "--json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)["files"]) == FILES[name]
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES[name]
    images = samples.SAMPLES[name].images()
    for kind, pixels in images.named().items():
        written, axes = read_image(f"a_{kind}.tif" if kind else "a.tif")
        np.testing.assert_array_equal(written, pixels)
        assert axes == images.axes.replace("S", "T")  # ImageJ has no S
        assert written.dtype == pixels.dtype


def test_files_have_the_pixel_size(capsys):
    main(["sample", "cells", "-o", "a.tif"])
    assert capsys.readouterr().out == "Wrote a.tif\nWrote a_ground_truth.tif\n"
    for name in ("a.tif", "a_ground_truth.tif"):
        found = read_metadata(Path(name))
        assert found.scale == pytest.approx({"Y": 0.065, "X": 0.065})
        assert {found.units[axis] for axis in "YX"} == {"micrometer"}


def test_tissue_has_no_pixel_size():
    pytest.importorskip("skimage")
    assert main(["sample", "tissue", "-o", "a.tif"]) == 0
    assert read_metadata(Path("a.tif")).scale == {}


def test_names_that_end_in_ome(tmp_path):
    assert main(["sample", "cells", "-o", "there/b.ome.tif", "--quiet"]) == 0
    names = sorted(path.name for path in (tmp_path / "there").iterdir())
    assert names == ["b.ome.tif", "b_ground_truth.ome.tif"]


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_the_list_names_each_sample_on_a_line(arguments, capsys):
    assert main(["sample", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(samples.SAMPLES)
    for method in ("N2V", "N2V2", "structN2V", "Noise2Noise", "CARE"):
        assert sum(bool(re.search(rf"\b{method}\b", line)) for line in lines) == 1
    assert main(["sample", *arguments, "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["samples"]) == list(samples.SAMPLES)


@pytest.mark.parametrize("there", FILES["pairs"])
def test_nothing_is_replaced_unless_that_is_asked_for(there, tmp_path, capsys):
    (tmp_path / there).touch()
    command = ["sample", "pairs", "-o", "a.tif"]
    assert main(command) == ExitCode.REFUSED
    assert f"'{there}' already exists" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert main([*command, "--overwrite"]) == 0
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["cells"], "-o cells.tif"), (["cells", "-o", "a.png"], "end the name in .tif")],
)
def test_bad_input_is_one_sentence(arguments, says, tmp_path, capsys):
    assert main(["sample", *arguments]) == ExitCode.REFUSED
    printed = capsys.readouterr().err
    assert says in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_is_answered_with_the_known_ones(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["sample", "cats", "-o", "a.tif"])
    assert caught.value.code == ExitCode.REFUSED
    assert "'cells'" in capsys.readouterr().err


@pytest.mark.process
def test_it_loads_neither_torch_nor_pydantic():
    code = "import sys; from napari_hush.cli import main; main(['sample', '-o', 'a.tif',"
    code += " 'cells']); print(sorted({'torch', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("[]\n")
