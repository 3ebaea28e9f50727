import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile

from napari_hush import CAREamist
from napari_hush.cli import Bars, main
from napari_hush.config import save_configuration
from napari_hush.events import PixelsClipped
from napari_hush.io import read_image, write_tiff

QUICK = ["--epochs", "1", "--steps", "2", "--batch-size", "2", "--filters", "8"]


@pytest.fixture
def image(noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff("cells.tif", noisy, "YX")
    return noisy


def train(*more):
    return main(["train", "cells.tif", *QUICK, "--patch-size", "16", "16", *more])


def test_train_and_predict(image, capsys):
    assert train("--axes", "YX", "-o", "m.safetensors") == 0
    assert main(["predict", "m.safetensors", "cells.tif", "-o", "clean.tif"]) == 0
    clean, axes = read_image("clean.tif")
    assert axes == "YX"
    np.testing.assert_array_equal(clean, CAREamist("m.safetensors").predict(image))
    printed = capsys.readouterr()
    assert "Saved m.safetensors" in printed.out
    assert "Wrote clean.tif" in printed.out
    assert "Training on cpu" in printed.err
    assert "2/2" in printed.err


def test_quiet_is_quiet(image, capsys):
    train("-o", "m.safetensors", "--quiet")
    main(["predict", "m.safetensors", "cells.tif", "-o", "clean.tif", "--quiet"])
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""


def test_folders(image, tmp_path):
    train("-o", "m.safetensors", "--quiet")
    (tmp_path / "in").mkdir()
    for name in ("a.tif", "b.tif"):
        write_tiff(tmp_path / "in" / name, image, "YX")
    main(["predict", "m.safetensors", "in", "-o", "out", "--quiet"])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.tif", "b.tif"]


def test_folder_of_zarr_stores(image, tmp_path, capsys):
    zarr = pytest.importorskip("zarr")
    for name in ("a.zarr", "b.zarr"):
        zarr.save_array(tmp_path / "in" / name, image)
    train = ["train", "in", *QUICK, "--patch-size", "16", "16", "--axes", "YX"]
    assert main([*train, "-o", "m.safetensors", "--quiet"]) == 0
    assert CAREamist("m.safetensors").config.data_config.data_type == "zarr"
    assert main(["predict", "m.safetensors", "in", "-o", "out", "--quiet"]) == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["a.zarr", "b.zarr"]

    write_tiff(tmp_path / "in" / "c.tif", image, "YX")
    assert main([*train, "-o", "n.safetensors"]) == 2
    assert "2 of type 'zarr' and 1 of type 'tiff'" in capsys.readouterr().err
    chosen = ["--set", "data_type=tiff", "-o", "n.safetensors", "--quiet"]
    assert main([*train, *chosen]) == 0
    assert CAREamist("n.safetensors").config.data_config.data_type == "tiff"


def test_axes_and_channels_come_from_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stack = np.random.default_rng(0).normal(9, 2, (2, 8, 16, 16)).astype("float32")
    write_tiff("cells.tif", stack, "CZYX")
    patch = ["--patch-size", "8", "16", "16"]
    assert main(["train", "cells.tif", *QUICK, *patch, "-o", "m.safetensors"]) == 0
    config = CAREamist("m.safetensors").config
    assert config.data_config.axes == "ZCYX"  # as ImageJ has it
    assert config.algorithm_config.model.in_channels == 2


def test_a_configuration_file_with_changes(image, tiny_config):
    save_configuration(tiny_config(num_epochs=9), "c.yml")
    assert train("--config", "c.yml", "-o", "m.safetensors", "--quiet") == 0
    config = CAREamist("m.safetensors").config
    assert config.experiment_name == "tiny"
    assert config.training_config.num_epochs == 1


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["train", "no.tif", "-o", "m.safetensors"], "no file or folder 'no.tif'"),
        (["train", "cells.tif", "-o", "m.pt"], "end the name in .safetensors"),
        (["train", "cells.tif", "-o", "there.safetensors"], "already exists"),
        (["train", "cells.tif", "--axes", "XY", "-o", "m.safetensors"], "given as 'XY'"),
        (["train", "cells.tif", "--epochs", "0", "-o", "m.safetensors"], "num_epochs"),
        (
            ["train", "cells.tif", "--patch-size", "64", "32", "-o", "m.safetensors"],
            "has only 48; use a patch size of at most 48 32",
        ),
        (["train", "empty", "-o", "m.safetensors"], "has no file that matches"),
        (["predict", "there.safetensors", "cells.tif", "-o", "out"], "is not a model file"),
        (["predict", "no.safetensors", "cells.tif", "-o", "out"], "no model file"),
    ],
)
def test_bad_input_is_one_sentence_and_code_2(image, tmp_path, capsys, command, says):
    (tmp_path / "there.safetensors").touch()
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert main(command) == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert printed.startswith("hush: ")
    assert says in printed
    assert sorted(tmp_path.rglob("*")) == before


def test_results_never_collide(image, tmp_path, capsys):
    train("-o", "m.safetensors", "--quiet")
    (tmp_path / "a").mkdir()
    write_tiff("a/cells.tif", image, "YX")
    for command, says in [
        (["cells.tif", "./cells.tif", "-o", "out"], "would both be written"),
        (["cells.tif", "a/cells.tif", "-o", "out.tif"], "cannot go into the one file"),
        (["cells.tif", "-o", "cells.tif", "--overwrite"], "would replace it"),
        (["a/cells.tif", "-o", "cells.tif"], "already exists"),
    ]:
        assert main(["predict", "m.safetensors", *command]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    command = ["predict", "m.safetensors", "cells.tif", "a/cells.tif", "-o", "out"]
    assert main([*command, "--quiet"]) == 0
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.tif")) == ["cells.tif"] * 2


def test_without_a_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2


@pytest.mark.process
@pytest.mark.parametrize("command", [[], ["train"], ["predict"]])
def test_help(command):
    result = subprocess.run(
        [sys.executable, "-m", "napari_hush", *command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0
    assert "usage: hush" in result.stdout


class TestCheck:
    def test_advice_as_text(self, image, capsys):
        assert main(["check", "cells.tif"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith("Use N2V.\n")
        for what in ("along X", "along Y", "noise level", "hot", "background", "saturated"):
            assert what in printed

    def test_advice_as_json(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        lines = np.random.default_rng(0).normal(size=(2, 64, 65))
        write_tiff("lines.tif", (lines[:, :, 1:] + lines[:, :, :-1]).astype("f4"), "CYX")
        assert main(["check", "lines.tif", "--json"]) == 0
        tree = json.loads(capsys.readouterr().out)
        assert (tree["suggestion"], tree["axis"]) == ("structn2v", "horizontal")
        assert len(tree["channels"]) == 2
        assert main(["check", "lines.tif"]) == 0
        printed = capsys.readouterr().out
        assert "Channel 1: structN2V, axis horizontal" in printed
        command = printed.rstrip().rpartition("\n")[2]
        assert command.startswith(
            "hush train lines.tif --algorithm structn2v --struct-axis"
        )
        small = "--epochs 1 --steps 1 --patch-size 32 32 --filters 8 --device cpu --quiet"
        assert main([*command.split()[1:], *small.split()]) == 0
        method = CAREamist("model.safetensors").config.algorithm_config
        assert method.n2v_config.struct_mask_axis == "horizontal"

    def test_the_command_keeps_axes_and_names_frames(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        frame = 50 * np.sin(np.arange(64) / 5) * np.cos(np.arange(64)[:, None] / 4)
        noise = np.random.default_rng(0).normal(100, 20, (9, 64, 64))
        tifffile.imwrite("my movie.tif", (frame + noise).astype("f4"))
        assert main(["check", "my movie.tif", "--axes", "TYX"]) == 0
        command = capsys.readouterr().out.rstrip().rpartition("\n")[2]
        assert command.startswith("hush train 'my movie.tif' --axes TYX")
        assert "--time-context " in command

    def test_axes_can_be_named(self, tmp_path, capsys):
        tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).random((5, 32, 32)))
        assert main(["check", str(tmp_path / "a.tif"), "--axes", "ZYX"]) == 0
        assert "along Z" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["nowhere.tif"], "nowhere.tif"),
            (["unnamed.tif"], "--axes"),
            (["unnamed.tif", "--axes", "YX"], "dimensions"),
            (["flat.tif"], "constant"),
            ([], "'.' has 2 images; give one"),
        ],
    )
    def test_one_sentence_for_what_cannot_be_judged(
        self, arguments, said, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.chdir(tmp_path)
        tifffile.imwrite("unnamed.tif", np.ones((5, 32, 32)))
        write_tiff("flat.tif", np.ones((32, 32), "u1"), "YX")
        assert main(["check", *(arguments or ["."])]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert said in printed.err
        assert printed.err.count("\n") == 1

    @pytest.mark.process
    def test_it_needs_no_torch(self, image):
        code = "import sys; from napari_hush.cli import main; main(['check', 'cells.tif'])"
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; print('torch' in sys.modules)"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    ("method", "options", "network"),
    [
        ("n2v", [], ("n2v", False, "none")),
        ("n2v2", [], ("n2v", True, "none")),
        ("structn2v", ["--struct-axis", "vertical"], ("n2v", False, "vertical")),
        ("structn2v", ["--struct-span", "7"], ("n2v", False, "horizontal")),
        ("n2n", ["--target", "target.tif"], ("n2n", False, "none")),
        ("care", ["--target", "target.tif"], ("care", False, "none")),
    ],
)
def test_every_method_is_at_hand(image, method, options, network):
    write_tiff("target.tif", image * 2, "YX")
    given = ["--algorithm", method, *options, "-o", "m.safetensors", "--quiet"]
    assert train(*given) == 0
    config = CAREamist("m.safetensors").config.algorithm_config
    masking = config.n2v_config
    assert (config.algorithm, config.model.n2v2, masking.struct_mask_axis) == network
    assert masking.struct_mask_span == (7 if "--struct-span" in options else 5)
    assert main(["predict", "m.safetensors", "cells.tif", "-o", "out", "--quiet"]) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--target", "cells.tif"], "add --algorithm n2n or care"),
        (["--algorithm", "care"], "give train_target"),
        (["--struct-axis", "horizontal"], "for the method structn2v only"),
        (["--algorithm", "structn2v", "--struct-axis", "z"], "extends along Z"),
        (["--channels", "0"], "have no C"),
    ],
)
def test_options_that_do_not_go_together_are_refused(image, capsys, options, says):
    assert train(*options, "-o", "m.safetensors", "--quiet") == 2
    assert says in capsys.readouterr().err


def test_results_in_the_type_of_their_source(image, capsys):
    pixels = np.interp(image, (image.min(), image.max()), (0, 255)).astype("uint8")
    write_tiff("cells.tif", pixels, "YX", overwrite=True)
    train("-o", "m.safetensors", "--quiet")
    command = ["predict", "m.safetensors", "cells.tif", "-o", "clean.tif"]
    assert main([*command, "--dtype", "source"]) == 0
    clean, _ = read_image("clean.tif")
    assert clean.dtype == np.uint8
    capsys.readouterr()
    for clipped, printed in (
        (0, ""),
        (2, "2 of 9 pixels of a.tif were outside the range of uint8 and were clipped\n"),
    ):
        Bars()(PixelsClipped("a.tif", clipped, 9, "uint8"))
        assert capsys.readouterr().out == printed


def test_some_channels_of_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stack = np.random.default_rng(0).normal(9, 2, (3, 32, 32)).astype("float32")
    write_tiff("cells.tif", stack, "CYX")
    more = ["--channels", "2", "0", "-o", "m.safetensors", "--quiet"]
    assert train(*more) == 0
    assert main(["predict", "m.safetensors", "cells.tif", "-o", "out.tif", "--quiet"]) == 0
    clean, axes = read_image("out.tif")
    assert (clean.shape, axes) == ((2, 32, 32), "CYX")


def test_constant_alpha_is_left_out(noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    colors = np.stack([noisy, noisy + 20, noisy - 20], -1) / 8
    rgba = np.concatenate([colors, np.full((*noisy.shape, 1), 255)], -1).astype("u1")
    tifffile.imwrite("a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    command = ["train", "a.tif", *QUICK, "--patch-size", "16", "16"]
    assert main([*command, "-o", "m.safetensors"]) == 0
    assert "is 255 everywhere, so it is left out as alpha" in capsys.readouterr().err
    careamist = CAREamist("m.safetensors")
    assert careamist.config.data_config.channels == (0, 1, 2)
    assert careamist.config.algorithm_config.model.in_channels == 3
    assert main(["predict", "m.safetensors", "a.tif", "-o", "clean.tif"]) == 0
    clean, axes = read_image("clean.tif")
    assert clean.shape[axes.index("C")] == 3
    assert main([*command, "-o", "4.safetensors", "--channels", "0", "1", "2", "3"]) == 2
    assert "leave it out with channels=[0, 1, 2]" in capsys.readouterr().err


def test_alpha_that_varies_is_a_channel(noisy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rgba = np.stack([noisy] * 4, -1)
    tifffile.imwrite("a.tif", (rgba / 8).astype("u1"), photometric="rgb")
    assert main(["config", "n2v", "a.tif", "-o", "a.yml"]) == 0
    assert "in_channels: 4" in (tmp_path / "a.yml").read_text()


def test_dimensions_of_size_1_that_a_file_does_not_name(noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("a.tif", noisy[None, None], metadata=None)
    assert main(["train", "a.tif", *QUICK, "--axes", "YX", "-o", "m.safetensors"]) == 0
    assert main(["predict", "m.safetensors", "a.tif", "-o", "clean.tif"]) == 0
    clean, axes = read_image("clean.tif")
    assert axes == "YX"
    assert clean.shape == noisy.shape
