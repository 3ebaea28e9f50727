"""`hush export` from a model file to a file of another program."""

import json
import zipfile

import numpy as np
import pytest
import yaml

from napari_hush import CAREamist
from napari_hush.cli import ExitCode, main
from napari_hush.io import read_tiff, write_tiff


@pytest.fixture
def model(noisy, tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = tiny_config(num_steps=2)
    exact = config.training_config.replace(precision="32")
    careamist = CAREamist(config.replace(training_config=exact))
    careamist.train(train_source=noisy)
    return str(careamist.save("m.safetensors"))


def test_onnx_denoises_like_predict(model, noisy, capsys):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert main(["export", model, "-o", "m.onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": "m.onnx"}
    # hush pads images by reflection; ONNX users do that themselves.
    padded = np.pad(noisy, 28, mode="reflect")
    session = runtime.InferenceSession("m.onnx", providers=["CPUExecutionProvider"])
    result = session.run(None, {"raw": padded[None, None]})[0][0, 0, 28:-28, 28:-28]
    expected = CAREamist(model).predict(noisy)
    error = np.mean((result - expected) ** 2)
    assert 10 * np.log10(np.ptp(expected) ** 2 / error) > 70


def test_refusals(model, capsys):
    assert main(["export", model, "-o", "m.tif"]) == ExitCode.REFUSED
    assert "end the name in" in capsys.readouterr().err
    assert main(["export", model, "-o", "m.pt"]) == 0
    assert capsys.readouterr().out == "Wrote m.pt\n"
    assert main(["export", model, "-o", "m.pt"]) == ExitCode.REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", model, "-o", "m.pt", "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_a_package_is_a_model(model, noisy, tmp_path, capsys):
    pytest.importorskip("onnx")
    write_tiff("cells.tif", noisy, "YX")
    about = [
        "--image",
        "cells.tif",
        "--author",
        "A",
        "--author",
        "B",
        "--name",
        "Cells (x)",
    ]
    assert main(["export", model, "-o", "m.zip", *about, "--license", "MIT"]) == 0
    with zipfile.ZipFile("m.zip") as pack:
        rdf = yaml.safe_load(pack.read("rdf.yaml"))
    assert [author["name"] for author in rdf["authors"]] == ["A", "B"]
    assert (rdf["name"], rdf["license"]) == ("Cells (x)", "MIT")
    capsys.readouterr()
    answers = []
    for name in (model, "m.zip"):
        assert main(["info", name, "--json"]) == 0
        answers.append(capsys.readouterr().out)
        assert main(["predict", name, "cells.tif", "-o", f"{name}.tif", "--quiet"]) == 0
    assert answers[0] == answers[1]
    first, second = (read_tiff(f"{name}.tif") for name in (model, "m.zip"))
    assert np.array_equal(first, second)


def test_what_only_a_package_says(model, capsys):
    assert main(["export", model, "-o", "m.onnx", "--author", "A"]) == ExitCode.REFUSED
    assert "--author is for packages" in capsys.readouterr().err
    assert main(["export", model, "-o", "m.zip", "--image", "no.tif"]) == ExitCode.REFUSED
    assert "no.tif" in capsys.readouterr().err
