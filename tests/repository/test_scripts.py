"""The scripts: demo, set-up and chores."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_hush.errors import HushError
from napari_hush.io import write_tiff

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "scripts"
CHORES = (
    *("demo", "docs", "docs_pictures", "lint", "lowest", "notebooks"),
    *("pretrain", "release", "screenshots", "test"),
)
SHELL = [*(SCRIPTS / name for name in (*CHORES, "setup.sh")), ROOT / ".ci/run"]

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash"),
]


def bash(*arguments, **options):
    return subprocess.run(
        ["bash", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        **options,
    )


@pytest.fixture
def demo_path(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shell_syntax(script):
    assert bash("-n", script).stderr == ""


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_started_without_a_bash_in_front(script):
    runs = script.name != "setup.sh"
    assert os.access(script, os.X_OK) == runs
    assert script.read_text().startswith("#!/usr/bin/env bash\n") == runs


# --- the demo's arguments -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.tif"], "There is no file nowhere.tif"),
        (["--fast"], "There is no option --fast"),
        (["--epochs"], "--epochs takes a whole number"),
        (["--epochs", "0"], "--epochs takes a whole number"),
        (["--epochs", "many"], "--epochs takes a whole number"),
        ([ROOT / "README.md", ROOT / "LICENSE"], "was given two"),
    ],
)
def test_demo_refuses_with_one_sentence(arguments, said):
    done = bash(SCRIPTS / "demo", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_demo_help():
    done = bash(SCRIPTS / "demo", "--help")
    assert done.returncode == 0
    assert "[IMAGE] [--headless] [--epochs N]" in done.stdout


def test_demo_passes_the_sentence_of_the_engine_on(tmp_path):
    letter = tmp_path / "letter.tif"
    letter.write_text("Dear Sir,")
    done = subprocess.run(
        [sys.executable, SCRIPTS / "demo_headless.py", letter],
        capture_output=True, text=True, timeout=120, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "letter.tif" in done.stderr
    assert not (tmp_path / "hush-demo").exists()


# --- the demo's image ---------------------------------------------------------------------


@pytest.mark.usefixtures("demo_path")
class TestDemoImage:
    def test_without_a_name_it_says_that_it_is_simulated(self):
        from demo_image import load

        said = []
        image = load(None, said.append)
        assert image.axes == "YX"
        assert image.ground_truth is not None
        assert "simulated" in said[0]

    def test_tiff_comes_with_its_axes(self, tmp_path):
        from demo_image import load

        pixels = np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9)
        write_tiff(tmp_path / "a.b.tif", pixels, "ZYX")
        image = load(tmp_path / "a.b.tif")
        assert (image.name, image.axes) == ("a.b", "ZYX")
        np.testing.assert_array_equal(image.data, pixels)

    @pytest.mark.parametrize(
        ("shape", "axes", "kept"),
        [((8, 9), "YX", 0), ((8, 9, 3), "YXC", 3), ((8, 9, 4), "YXC", 3)],
    )
    def test_picture(self, tmp_path, shape, axes, kept):
        imageio = pytest.importorskip("imageio.v3")
        from demo_image import load

        pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
        imageio.imwrite(tmp_path / "a.png", pixels)
        said = []
        image = load(tmp_path / "a.png", said.append)
        assert image.axes == axes
        np.testing.assert_array_equal(image.data, pixels[..., :kept] if kept else pixels)
        assert len(said) == (shape[-1] == 4)  # transparency is not left out silently

    def test_what_cannot_be_used_is_refused(self, tmp_path):
        from demo_image import load

        (tmp_path / "text.png").write_text("no picture")
        tifffile.imwrite(
            tmp_path / "line.tif", np.zeros(5, np.uint8), metadata={"axes": "X"}
        )
        (tmp_path / "folder").mkdir()
        for name in ("nowhere.tif", "text.png", "line.tif", "folder"):
            with pytest.raises(HushError) as caught:
                load(tmp_path / name)
            assert "\n" not in str(caught.value)


# --- the demo without a screen ------------------------------------------------------------


def test_demo_writes_what_it_says_and_says_what_it_replaces(tmp_path):
    pytest.importorskip("matplotlib")
    pixels = np.random.default_rng(0).poisson(20, (2, 72, 80)).astype(np.uint16)
    write_tiff(tmp_path / "cells.tif", pixels, "ZYX")
    results = tmp_path / "hush-demo"
    results.mkdir()
    (results / "cells_denoised.tif").write_text("of an earlier run")
    (results / "mine.txt").write_text("nothing of the demo's")
    done = subprocess.run(
        [sys.executable, SCRIPTS / "demo_headless.py", "--epochs", "1", "cells.tif"],
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Replacing" in done.stdout
    written = {path.name for path in results.iterdir()} - {"mine.txt"}
    assert written == {
        "cells_before_after.png",
        "cells_denoised.tif",
        "cells_loss.png",
        "cells_model.safetensors",
    }
    assert all(name in done.stdout for name in written)
    assert "Residual    std" in done.stdout
    with tifffile.TiffFile(results / "cells_denoised.tif") as file:
        assert file.series[0].axes == "ZYX"
        assert file.series[0].shape == pixels.shape


# --- set-up -------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path):
    """A checkout that was set up: with a Python that says so if it is started."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "bin").mkdir()
    for name in ("scripts/setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    write_program(tmp_path / ".venv/bin/python", "echo started; exit 1")
    run_setup(tmp_path, 'setup_key >"$stamp"')
    return tmp_path


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def run_setup(checkout, commands, **options):
    return bash(
        "-c",
        f'set -euo pipefail; source "{checkout}/scripts/setup.sh"; {commands}',
        **options,
    )


def with_programs(checkout, **programs):
    """The environment of a machine with the shell's tools and these programs."""
    for name in ("bash", "cat", "cksum", "dirname", "env", "grep", "id", "sh"):
        (checkout / "bin" / name).symlink_to(shutil.which(name))
    for name, text in programs.items():
        write_program(checkout / "bin" / name, text)
    return {"PATH": str(checkout / "bin"), "HOME": str(checkout)}


def test_set_up_once(checkout):
    done = run_setup(checkout, "setup; echo ready")
    assert (done.stdout, done.stderr) == ("ready\n", "")


@pytest.mark.parametrize("change", ["pyproject.toml", "scripts/setup.sh", "move", "python"])
def test_set_up_again_when_something_changed(checkout, change):
    if change == "move":
        checkout = checkout.rename(checkout.with_name("moved"))
    elif change == "python":
        (checkout / ".venv/bin/python").unlink()
    else:
        with (checkout / change).open("a") as file:
            file.write("# changed\n")
    assert run_setup(checkout, "is_ready").returncode == 1


def test_the_environment_of_another_checkout_is_not_emptied(checkout, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / ".venv"
    (checkout / ".venv").rename(other)
    (checkout / ".venv").symlink_to(other)
    (other / ".setup-stamp").unlink()
    done = run_setup(checkout, "setup")
    assert done.returncode == 1
    assert ".venv is a link; remove it" in done.stderr
    assert (other / "bin/python").is_file()


def test_no_python_is_said_in_one_sentence(checkout):
    (checkout / ".venv/bin/python").unlink()
    done = run_setup(checkout, "setup", env=with_programs(checkout, python3="exit 1"))
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert done.stderr.count("\n") == 1


def test_python_without_venv_names_the_package(checkout):
    """As on Debian and Ubuntu, where venv is a separate package."""
    (checkout / ".venv/bin/python").unlink()
    python = 'case "$*" in *ensurepip*) exit 1;; *print*) echo python3.12-venv;; esac'
    done = run_setup(checkout, "setup", env=with_programs(checkout, python3=python))
    assert done.returncode == 1
    assert "sudo apt-get install python3.12-venv" in done.stderr
    assert done.stderr.count("\n") == 1


def test_newest_python_is_taken(checkout):
    env = with_programs(
        checkout, **{"python3": "exit 0", "python3.12": "exit 0", "python3.13": "exit 1"}
    )
    done = run_setup(checkout, 'find_python; echo "$base_python"', env=env)
    assert done.stdout == "python3.12\n"


def test_missing_debian_packages_are_named(checkout):
    known = "echo libEGL.so.1; echo libGL.so.1"
    env = with_programs(checkout, ldconfig=known)
    missing = run_setup(checkout, "missing_for_window", env=env).stdout.split()
    assert "libxcb-cursor0" in missing
    assert "libegl1" not in missing


@pytest.mark.parametrize("gpu", [True, False])
def test_gpu_is_asked_of_its_driver(checkout, gpu):
    text = "echo 'GPU 0: NVIDIA'" if gpu else "echo 'no driver'; exit 9"
    env = with_programs(checkout, **{"nvidia-smi": text})
    assert (run_setup(checkout, "has_nvidia_gpu", env=env).returncode == 0) == gpu
