"""`hush train --resume`."""

import errno
import json
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from napari_hush import CAREamist, cli
from napari_hush.events import StepsDone
from napari_hush.io import write_tiff
from napari_hush.system.atomic_write import locked

SETTINGS = [
    "--patch-size",
    "16",
    "16",
    "--filters",
    "8",
    "--batch-size",
    "4",
    "--steps",
    "6",
    "--device",
    "cpu",
]


@pytest.fixture
def image(tmp_path):
    noisy = np.random.default_rng(0).normal(100, 9, (48, 48)).astype("float32")
    write_tiff(tmp_path / "noisy.tif", noisy, "YX")
    return tmp_path / "noisy.tif"


def train(image, output, *more):
    return cli.main(
        [
            "train",
            str(image),
            "-o",
            str(output),
            "--epochs",
            "2",
            "--quiet",
            *SETTINGS,
            *more,
        ]
    )


class PowerCut(BaseException):
    pass


@pytest.fixture
def cut_off(image, tmp_path, monkeypatch):
    """Leave behind what a run leaves that is killed in its second epoch."""

    def cut(self, event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) > 6:
            raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(cli.Bars, "__call__", cut)
        with pytest.raises(PowerCut):
            train(image, tmp_path / "model.safetensors")
    return tmp_path / "model.run"


def test_a_run_that_was_cut_off_ends_as_it_would_have(
    cut_off, image, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
    assert cli.main(["train", "--resume", cut_off.name, "--quiet"]) == 0
    assert train(image, tmp_path / "whole.safetensors") == 0
    found, wanted = (
        CAREamist(tmp_path / f"{name}.safetensors").model for name in ("model", "whole")
    )
    assert found.steps == wanted.steps == 12
    for name, tensor in wanted.network.state_dict().items():
        assert torch.equal(tensor, found.network.state_dict()[name])
    assert not list(tmp_path.glob("*.run"))


def test_a_new_run_does_not_replace_it_silently(cut_off, image, tmp_path, capsys):
    before = sorted(path.name for path in cut_off.iterdir())
    assert train(image, tmp_path / "model.safetensors") == 2
    assert "was interrupted after" in capsys.readouterr().err
    assert sorted(path.name for path in cut_off.iterdir()) == before
    assert train(image, tmp_path / "model.safetensors", "--overwrite") == 0
    assert not cut_off.exists()


def test_nothing_else_goes_with_it(cut_off, image, capsys):
    assert cli.main(["train", str(image), "--resume", str(cut_off)]) == 2
    assert r"(images)" in capsys.readouterr().err
    assert cli.main(["train", "--resume", str(cut_off), "--epochs", "9"]) == 2
    assert "(--epochs)" in capsys.readouterr().err


def test_what_cannot_be_resumed(tmp_path, cut_off, capsys):
    assert cli.main(["train", "--resume", str(tmp_path / "nowhere")]) == 2
    assert "no run to resume" in capsys.readouterr().err
    (cut_off / "command.json").write_text("{")
    assert cli.main(["train", "--resume", str(cut_off)]) == 2
    assert "damaged" in capsys.readouterr().err
    assert cli.main(["train"]) == 2
    assert "--resume FOLDER" in capsys.readouterr().err


def test_a_run_that_never_began_leaves_nothing(image, tmp_path):
    assert train(image, tmp_path / "model.safetensors", "--patch-size", "64", "64") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["noisy.tif"]


def test_it_may_go_on_with_another_number_of_devices(cut_off, tmp_path, capsys):
    command = json.loads((cut_off / "command.json").read_text())
    command["configuration"]["training_config"]["devices"] = 2
    (cut_off / "command.json").write_text(json.dumps(command))
    assert cli.main(["resume", str(cut_off), "--devices", "9", "--quiet"]) == 2
    assert "batch_size is 4 but 9 processes" in capsys.readouterr().err
    assert cli.main(["resume", str(cut_off), "--devices", "1", "--quiet"]) == 0
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("more", [(), ("--overwrite",)])
def test_another_run_for_the_same_model_is_refused(image, tmp_path, capsys, more):
    model = tmp_path / "model.safetensors"
    with locked(model):
        assert train(image, model, *more) == 2
        assert "is being written by another process" in capsys.readouterr().err
        assert not model.with_suffix(".run").exists()
    (tmp_path / ".model.safetensors.lock").touch()  # left by a process that died
    assert train(image, model, *more) == 0
    assert not list(tmp_path.glob(".*"))


def test_a_run_is_not_resumed_beside_itself(cut_off, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in cut_off.iterdir()}
    with locked(tmp_path / "model.safetensors"):
        assert cli.main(["resume", str(cut_off)]) == 2
    assert "is being written by another process" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in cut_off.iterdir()} == before


def test_a_model_that_exists_is_found_before_training(cut_off, tmp_path, capsys):
    (tmp_path / "model.safetensors").touch()
    assert cli.main(["resume", str(cut_off)]) == 2
    assert "move it away, then resume" in capsys.readouterr().err
    assert cut_off.exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks"), NotImplementedError])
def test_training_runs_where_nothing_can_be_locked(image, tmp_path, monkeypatch, error):
    monkeypatch.setattr("filelock.FileLock.acquire", Mock(side_effect=error))
    assert train(image, tmp_path / "model.safetensors") == 0
