"""Losses in logs."""

import csv
import shutil
import sys

import pytest
import yaml

from napari_hush import CAREamist, cli
from napari_hush.errors import ConfigurationError, UnwritableFileError
from napari_hush.events import StepsDone
from napari_hush.io import write_tiff


def configured(tiny_config, **training):
    config = tiny_config(num_epochs=2)
    return config.replace(training_config=config.training_config.replace(**training))


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def numbers(found, column):
    return [float(row[column]) for row in found if row.get(column)]


def test_a_csv_file_holds_all_losses_and_the_settings(tiny_config, noisy, tmp_path):
    config = configured(tiny_config)
    careamist = CAREamist(config, work_dir=tmp_path)
    careamist.train(train_source=noisy, log_dir="logs")
    found, losses = rows(tmp_path / "logs" / "version_0"), careamist.get_losses()
    assert numbers(found, "loss") == pytest.approx(losses["train_step_loss"])
    assert numbers(found, "train_loss") == pytest.approx(losses["train_loss"])
    assert numbers(found, "val_loss") == pytest.approx(losses["val_loss"])
    steps = len(losses["train_step"])
    assert [int(row["step"]) for row in found if row["loss"]] == list(range(steps))
    kept = yaml.safe_load((tmp_path / "logs" / "version_0" / "hparams.yaml").read_text())
    assert kept == config.model_dump(mode="json")


def test_a_later_run_goes_on_counting_in_a_file_of_its_own(tiny_config, noisy, tmp_path):
    careamist = CAREamist(configured(tiny_config))
    for _ in range(2):
        careamist.train(train_source=noisy, log_dir=tmp_path)
    first, second = (rows(tmp_path / f"version_{n}") for n in (0, 1))
    assert int(second[0]["step"]) == int(first[-1]["step"]) + 1


@pytest.mark.parametrize("logger", ["csv", "tensorboard"])
def test_a_folder_that_takes_no_log_is_said_before_training(
    tiny_config, noisy, tmp_path, logger
):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    careamist = CAREamist(configured(tiny_config, logger=logger))
    with pytest.raises(UnwritableFileError, match="Cannot write"):
        careamist.train(train_source=noisy, log_dir=tmp_path / "file")
    assert not careamist.get_losses()["train_step"]


def test_a_log_that_fails_later_costs_no_model(tiny_config, noisy, tmp_path, caplog):
    def fill(event):
        if isinstance(event, StepsDone):
            shutil.rmtree(tmp_path / "logs", ignore_errors=True)
            (tmp_path / "logs").write_text("no folder any more")

    careamist = CAREamist(configured(tiny_config), on_progress=fill)
    careamist.train(train_source=noisy, log_dir=tmp_path / "logs")
    assert careamist.is_trained
    assert careamist.model.epochs == 2
    assert "no longer logged" in caplog.text


def test_tensorboard(tiny_config, noisy, tmp_path):
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    careamist = CAREamist(configured(tiny_config, logger="tensorboard"))
    careamist.train(train_source=noisy, log_dir=tmp_path)
    found = reading.EventAccumulator(str(tmp_path / "version_0")).Reload()
    values = [scalar.value for scalar in found.Scalars("loss")]
    assert values == pytest.approx(careamist.get_losses()["train_step_loss"])


@pytest.mark.parametrize(
    ("kind", "packages"),
    [("tensorboard", ["torch.utils.tensorboard", "tensorboard"]), ("wandb", ["wandb"])],
)
def test_a_missing_package_is_named(
    tiny_config, noisy, tmp_path, monkeypatch, kind, packages
):
    import pytorch_lightning.loggers.wandb as lightning_wandb
    from lightning_fabric.loggers import tensorboard as lightning_tensorboard

    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    for module, name in (
        (lightning_wandb, "_WANDB_AVAILABLE"),
        (lightning_tensorboard, "_TENSORBOARD_AVAILABLE"),
        (lightning_tensorboard, "_TENSORBOARDX_AVAILABLE"),
    ):
        monkeypatch.setattr(module, name, False)
    careamist = CAREamist(configured(tiny_config, logger=kind))
    with pytest.raises(ConfigurationError, match=rf"napari-hush\[{kind}\]"):
        careamist.train(train_source=noisy, log_dir=tmp_path)


def test_nothing_is_logged_unless_asked(tiny_config, noisy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CAREamist(configured(tiny_config)).train(train_source=noisy)
    CAREamist(configured(tiny_config, logger="none")).train(
        train_source=noisy, log_dir=tmp_path / "logs"
    )
    assert not list(tmp_path.iterdir())


def test_the_command_line_logs_beside_the_model(noisy, tmp_path):
    write_tiff(tmp_path / "noisy.tif", noisy, "YX")
    command = ["train", str(tmp_path / "noisy.tif"), "--filters", "8", "--quiet"]
    command += ["-o", str(tmp_path / "cells.safetensors"), "--patch-size", "16", "16"]
    command += ["--epochs", "1", "--steps", "3"]
    assert cli.main(command) == 0
    assert len(numbers(rows(tmp_path / "cells.logs" / "version_0"), "loss")) == 3
