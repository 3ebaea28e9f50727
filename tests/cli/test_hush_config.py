"""`hush config`, `--set`, configurations given to `hush train`, and unknown settings."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import (
    Configuration,
    create_care_configuration,
    create_n2v_configuration,
    load_configuration,
    save_configuration,
)
from napari_hush.config.base import field_paths
from napari_hush.errors import ConfigurationError
from napari_hush.io import write_tiff


@pytest.fixture(autouse=True)
def _image(noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff("cells.tif", noisy, "YX")


def printed(capsys, *more):
    assert main(["config", *more]) == 0
    return Configuration.build(yaml.safe_load(capsys.readouterr().out))


class TestWhatIsWritten:
    def test_it_is_what_python_makes(self, capsys):
        wanted = create_n2v_configuration("denoiser", "tiff", "YX", (64, 64), 16)
        assert printed(capsys, "n2v") == wanted
        wanted = create_n2v_configuration(
            "denoiser", "tiff", "ZYX", (8, 32, 32), 4, struct_n2v_axis="vertical"
        )
        given = ["structn2v", "--axes", "ZYX", "--patch-size", "8", "32", "32"]
        more = ["--struct-axis", "vertical", "--batch-size", "4"]
        assert printed(capsys, *given, *more) == wanted
        wanted = create_care_configuration("denoiser", "tiff", "YX", (64, 64), 16)
        assert printed(capsys, "care") == wanted
        assert printed(capsys, "n2v2").algorithm_config.model.n2v2
        assert printed(capsys, "n2n").algorithm_config.loss == "mse"

    def test_an_image_says_axes_and_channels(self, capsys):
        write_tiff("stack.tif", np.zeros((2, 5, 9, 9), "f4"), "CZYX")
        config = printed(capsys, "n2v", "stack.tif", "--patch-size", "5", "16", "16")
        assert config.data_config.axes == "ZCYX"
        assert config.algorithm_config.model.in_channels == 2
        assert config.algorithm_config.model.pool_z == (False, False)

    def test_every_setting_has_its_meaning_above_it(self, capsys):
        main(["config", "n2v"])
        text = capsys.readouterr().out
        assert "# Patches per optimizer step.\n  batch_size: 16\n" in text

    def test_a_file_is_not_replaced(self, capsys):
        assert main(["config", "n2v", "--epochs", "7", "-o", "c.yml"]) == 0
        assert "Wrote c.yml" in capsys.readouterr().out
        assert main(["config", "care", "-o", "c.yml"]) == 2
        assert "--overwrite" in capsys.readouterr().err
        assert load_configuration("c.yml").training_config.num_epochs == 7
        assert main(["config", "care", "-o", "c.yml", "--overwrite", "--quiet"]) == 0
        assert load_configuration("c.yml").algorithm_config.algorithm == "care"

    def test_as_json(self, capsys):
        assert main(["config", "n2v", "--json"]) == 0
        values = json.loads(capsys.readouterr().out)
        assert Configuration.build(values).data_config.data_type == "tiff"


class TestSet:
    @pytest.mark.parametrize(
        "text",
        [
            "ema_decay=0.5",
            "training_config.ema_decay=0.5",
            "patch_size=[32, 32]",
            "optimizer.parameters.weight_decay=0.01",
            "lr_scheduler={name: StepLR, step_size: 3}",
            "background.threshold=12.5",
            "experiment_name=cells",
            "transforms=[]",
            "gradient_clip_norm=1",
        ],
    )
    def test_any_setting(self, text, capsys):
        name, _, value = text.partition("=")
        found = printed(capsys, "n2v", "--set", text).model_dump(mode="json")
        path = next(
            p for p in field_paths(Configuration) if f".{p}".endswith(f".{name}")
        ) if "parameters" not in name else f"algorithm_config.{name}"  # fmt: skip
        for key in path.split("."):
            found = found[key]
        wanted = yaml.safe_load(value)
        if isinstance(wanted, dict):
            assert found.items() >= wanted.items()
        else:
            assert found == wanted

    def test_another_kind_of_schedule(self, capsys):
        more = ["--set", "lr_scheduler.name=StepLR", "--set", "step_size=5"]
        schedule = printed(capsys, "n2v", *more).algorithm_config.lr_scheduler
        assert (schedule.name, schedule.step_size) == ("StepLR", 5)

    def test_every_setting_has_a_name_that_is_understood(self):
        for path in field_paths(Configuration):
            values = Configuration().model_dump()
            assert Configuration.model_fields
            from napari_hush.config import set_field

            assert set_field(Configuration, values, path, None) == path

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (["--set", "num_epoch=3"], "did you mean 'training_config.num_epochs'"),
            (["--set", "name=SGD"], "algorithm_config.optimizer.name"),
            (["--set", "num_epochs"], "write --set num_epochs=VALUE"),
            (["--set", "patch_size=[1"], "is not YAML"),
            (["--set", "num_epochs=0"], "greater than or equal to 1 (given: 0)"),
            (["--set", "num_epochs=3", "--epochs", "4"], "--epochs and --set num_epochs"),
            (
                ["--set", "num_epochs=3", "--set", "num_epochs=4"],
                "both set training_config.num_epochs",
            ),
            (["--set", "axes=YX", "--axes", "YX"], "--axes and --set axes both set"),
            (["--set", "step_size=5"], "did you mean"),
            (["-o", "config.json"], "end the name in .yml"),
        ],
    )
    def test_what_is_not_understood(self, given, says, capsys):
        assert main(["config", "n2v", *given]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert says in output.err
        assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"num_epoch": 3}, "'num_epoch'; did you mean 'training_config.num_epochs'"),
        ({"training_config": {"num_epoch": 3}}, "in training_config; did you mean"),
        ({"zzzz": 1}, "there are algorithm_config, data_config"),
        (
            {"algorithm_config": {"lr_scheduler": {"name": "StepLR", "gama": 1}}},
            "no setting 'gama' in algorithm_config.lr_scheduler; did you mean 'gamma'",
        ),
        (
            {"data_config": {"transforms": [{"name": "XYFlip", "flipx": 1}]}},
            "no setting 'flipx' in data_config.transforms; did you mean 'flip_x'",
        ),
    ],
)
def test_unknown_settings_are_named_with_the_nearest_one(values, says, tmp_path):
    (tmp_path / "c.yml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigurationError, match=r"c\.yml") as caught:
        load_configuration(tmp_path / "c.yml")
    assert says in str(caught.value)


class TestTrainFromAFile:
    @pytest.mark.process
    def test_another_process_makes_the_same_bits(self, tiny_config, noisy, tmp_path):
        """What the dock saves (with `save_configuration`) is what `hush train` follows."""
        config = tiny_config(num_epochs=2, num_steps=3)
        training = config.training_config.replace(device="cpu", precision="32")
        config = config.replace(training_config=training.model_dump())
        here = CAREamist(config)
        here.train(train_source=noisy)
        save_configuration(config, tmp_path / "dock.yml")
        command = ["train", "dock.yml", "cells.tif", "-o", "m.safetensors", "--quiet"]
        subprocess.run([sys.executable, "-m", "napari_hush", *command], check=True)
        there = CAREamist("m.safetensors")
        weights = there.model.network.state_dict()
        for name, tensor in here.model.network.state_dict().items():
            assert torch.equal(tensor, weights[name]), name
        assert there.model.normalization == here.model.normalization

    def test_options_change_what_the_file_says(self, tiny_config):
        save_configuration(tiny_config(num_epochs=9), "c.yml")
        command = ["train", "c.yml", "cells.tif", "--epochs", "1", "--set", "num_steps=1"]
        assert main([*command, "-o", "m.safetensors", "--quiet"]) == 0
        config = CAREamist("m.safetensors").config
        assert config.experiment_name == "tiny"
        assert config.training_config.num_epochs == 1

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            (["c.yml", "cells.tif", "--config", "c.yml"], "Two configurations"),
            (["c.yml"], "Give images to train on"),
            (["no.yml", "cells.tif"], "no configuration file 'no.yml'"),
        ],
    )
    def test_what_does_not_go_together(self, given, says, tiny_config, capsys):
        save_configuration(tiny_config(), "c.yml")
        assert main(["train", *given, "-o", "m.safetensors"]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.process
def test_a_former_setting_is_reported_in_one_line(tmp_path):
    file = tmp_path / "new.yml"
    arguments = ["config", "n2v", "--set", "save_state_every=30", "-o", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "napari_hush", *arguments], capture_output=True, text=True
    )
    said = done.stderr.splitlines()
    assert (done.returncode, len(said)) == (0, 1)
    assert said[0].startswith("hush: The setting 'training_config.save_state_every' is now")
    assert load_configuration(file).training_config.checkpoint_every == 30


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "c.yml", "-o", "m.safetensors", "-ts", "noisy"], "images without an"),
        (["train", "c.yml", "--train-target", "clean"], "use --target"),
        (["config", "n2v", "--num-epochs", "3"], "use --epochs"),
        (["config", "n2v", "--epoch_s", "3"], "did you mean --epochs?"),
        (["info", "m.safetensors", "more"], "unrecognized arguments: more"),
    ],
)
def test_unknown_options_are_explained(words, says, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_a_method_is_no_image(capsys):
    assert main(["train", "n2v", "cells.tif", "-o", "m.safetensors"]) == 2
    assert "choose the method with --algorithm n2v" in capsys.readouterr().err
