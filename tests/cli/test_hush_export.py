"""`hush export` from a model file to a file of another program."""

import json

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.cli import ExitCode, main


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
    # What lies beyond the border is mirrored by hush; ONNX users do that themselves.
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
    assert capsys.readouterr().out == "wrote m.pt\n"
    assert main(["export", model, "-o", "m.pt"]) == ExitCode.REFUSED
    assert "--overwrite" in capsys.readouterr().err
    assert main(["export", model, "-o", "m.pt", "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
