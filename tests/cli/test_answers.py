"""Exit codes, logs, JSON, `hush info`, `hush resume` and `hush completion`."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import tifffile
import torch

from napari_hush import CAREamist, cli
from napari_hush.cli import Bars, ExitCode, main
from napari_hush.events import StepsDone, TrainingDone, TrainingStarted
from napari_hush.io import write_tiff

QUICK = ["--epochs", "2", "--steps", "2", "--batch-size", "2", "--filters", "8"]
QUICK += ["--patch-size", "16", "16"]


@pytest.fixture
def model(noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiff("cells.tif", noisy, "YX")
    assert main(["train", "cells.tif", *QUICK, "-o", "m.safetensors", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["model"] == str(tmp_path / "m.safetensors")
    assert (answer["epochs"], answer["steps"], answer["stopped"]) == (2, 4, False)
    assert answer["train_loss"] > 0
    return "m.safetensors"


def test_predictions_as_json(model, capsys):
    assert main(["predict", model, "cells.tif", "-o", "out", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["files"] == ["out/cells.tif"]
    assert answer["clipped"] == {}
    assert {"about", "message"} == set(answer["warnings"][0])  # a model of one step
    assert answer["cautions"] == answer["warnings"]  # the former key
    assert answer["failed"] == {}


def test_files_that_cannot_be_read_have_an_exit_code(model, noisy, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    write_tiff("in/a.tif", noisy, "YX")
    (tmp_path / "in" / "broken.tif").write_bytes(b"no image")
    command = ["predict", model, "in", "-o", "out", "--json"]
    assert main(command) == ExitCode.SOME_FAILED
    output = capsys.readouterr()
    answer = json.loads(output.out)
    assert answer["files"] == ["out/a.tif"]
    assert [*answer["failed"]] == ["in/broken.tif"]
    assert "1 image could not be denoised, 1 done" in output.err
    assert main([*command, "--resume"]) == ExitCode.SOME_FAILED
    assert main(["predict", model, "in/broken.tif", "-o", "out2"]) == ExitCode.REFUSED


def test_zarr_in_zarr_out(model, noisy, tmp_path, capsys):
    zarr = pytest.importorskip("zarr")
    zarr.create_array("cells.zarr", data=noisy, dimension_names=["y", "x"])
    assert main(["predict", model, "cells.zarr", "-o", "clean.ome.zarr", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["clean.ome.zarr"]
    clean = zarr.open_group("clean.ome.zarr", mode="r")
    assert clean.attrs["ome"]["version"] == "0.5"
    expected = CAREamist(model).predict(noisy)
    assert (clean["0"][...] == expected).all()


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_predict_in_a_precision(model, noisy, capsys, precision):
    words = ["predict", model, "cells.tif", "-o", "clean.tif", "--precision", precision]
    assert main([*words, "--quiet"]) == 0
    expected = CAREamist(model).predict(noisy, precision=precision)
    assert (tifffile.imread("clean.tif") == expected).all()
    assert main(["info", "clean.tif", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["precision"] == precision


def test_info(model, capsys):
    assert main(["info", model]) == 0
    text = capsys.readouterr().out
    said = " ".join(text.split())
    for line in ("method n2v initial weights random", "axes YX", "epochs 2"):
        assert line in said
    assert main(["info", model, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    config = CAREamist(model).config
    assert values["configuration"] == json.loads(config.model_dump_json())
    assert values["steps"] == 4
    assert values["means"] == list(CAREamist(model).model.normalization.means)
    assert main(["info", "cells.tif"]) == ExitCode.DONE
    assert "axes" in capsys.readouterr().out


class PowerCut(BaseException):
    pass


def test_resume_is_train_resume(model, capsys):
    def cut(self, event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) > 2:
            raise PowerCut

    train = ["train", "cells.tif", *QUICK, "-o", "other.safetensors", "--quiet"]
    with patch.object(cli.Bars, "__call__", cut), pytest.raises(PowerCut):
        main(train)
    assert main(["resume", "other.run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 4
    one, other = (
        CAREamist(f"{name}.safetensors").model.network.state_dict()
        for name in ("m", "other")
    )
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    assert main(["resume", "other.run"]) == ExitCode.REFUSED
    assert "no run to resume" in capsys.readouterr().err


@pytest.mark.parametrize("given", [[], ["--overwrite"], ["--resume"]])
def test_ctrl_c_has_a_code_of_its_own_and_says_how_to_resume(model, capsys, given):
    predict = ["predict", model, "cells.tif", "-o", "out", *given]
    with patch(
        "napari_hush.careamist.CAREamist.predict_to_disk", side_effect=KeyboardInterrupt
    ):
        assert main(predict) == ExitCode.INTERRUPTED
    instead = " instead of --overwrite" if "--overwrite" in given else ""
    assert capsys.readouterr().err.endswith(
        f"hush: interrupted; the same command with --resume{instead} continues.\n"
    )
    assert main([*predict[:5], "--resume"]) == 0


def test_ctrl_c_twice_in_training_names_the_command_that_resumes(model, capsys):
    train = ["train", "cells.tif", *QUICK, "-o", "stopped.safetensors"]
    with patch("napari_hush.careamist.CAREamist.train", side_effect=KeyboardInterrupt):
        assert main(train) == ExitCode.INTERRUPTED
    found = re.search(r"hush: interrupted; hush (.*) continues\.", capsys.readouterr().err)
    assert main([*shlex.split(found[1]), "--quiet"]) == 0
    assert Path("stopped.safetensors").is_file()


def test_ctrl_c_in_a_command_with_nothing_to_resume(model, capsys):
    with patch("napari_hush.cli.info.run", side_effect=KeyboardInterrupt):
        assert main(["info", model]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err == "hush: interrupted.\n"


def test_a_log_has_lines_and_a_terminal_a_bar(monkeypatch):
    events = [
        TrainingStarted(2, 5, 10, 0, "cpu", "32"),
        StepsDone(0, 0, (0.5,) * 4, 1e-3, 100.0, 1.0),
        TrainingDone(False, 1.0),
    ]

    def log(terminal):
        stream = io.StringIO()
        stream.isatty = lambda: terminal
        with patch.object(sys, "stderr", stream):
            bars = Bars()
            for event in events:
                bars(event)
        return stream.getvalue()

    monkeypatch.setattr("napari_hush.system.progress_bars._LINE_EVERY", 0.0)
    lines = log(False)
    assert "\r" not in lines
    first, second, last = lines.splitlines()
    assert first == "Training on cpu: 0/10 steps"
    assert second.startswith("Training on cpu: 4/10 steps, 00:00 elapsed, 00:00 left, loss")
    assert last.startswith("Training on cpu: 4/10 steps")
    assert "\rTraining on cpu" in log(True)


def test_the_time_left_of_a_resumed_run(monkeypatch, capsys):
    clock = iter([100.0, 100.0, 140.0, 140.0])
    monkeypatch.setattr(
        "napari_hush.system.progress_bars.time.monotonic", lambda: next(clock)
    )
    bars = Bars()
    bars(TrainingStarted(2, 50, 10, 0, "cpu", "32", resumed_step=60))
    bars(StepsDone(0, 0, (0.5,) * 20, 1e-3, 100.0, 1.0))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Training on cpu: 60/100 steps"
    assert second.startswith("Training on cpu: 80/100 steps, 00:40 elapsed, 00:40 left")


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_help_has_examples_and_exit_codes(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  hush {command}" in text
    assert "exit codes: 0 success" in text


def test_examples_are_understood(capsys):
    import shlex
    from importlib import import_module

    from napari_hush.cli.main import build_parser

    for name in cli.COMMANDS:
        parser, _ = build_parser([name])
        for example in import_module(f"napari_hush.cli.{name}").EXAMPLES:
            words = shlex.split(example.split(" > ")[0])
            assert parser.parse_args(words[1:]).command == name


@pytest.mark.process
def test_a_shell_completes(capsys, tmp_path):
    assert main(["completion", "bash"]) == 0
    script = tmp_path / "hush.bash"
    script.write_text(capsys.readouterr().out)
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    ask = (
        f"source {script}; COMP_WORDS=(hush pre); COMP_CWORD=1; _shtab_hush;"
        " echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["predict"]


def test_completion_without_its_package(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == ExitCode.REFUSED
    assert "napari-hush[completion]" in capsys.readouterr().err
