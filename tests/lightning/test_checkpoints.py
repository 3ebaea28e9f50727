"""The best, the last and every n-th model of a run, in memory and in files."""

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import MissingFileError, TrainingError
from napari_hush.events import BestRestored, EarlyStopped, EpochDone
from napari_hush.io import read_image, write_tiff
from napari_hush.quality import psnr


@pytest.fixture(scope="module")
def scene():
    """Clean stripes, noisy ones, and the same of another place."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:48, :64]
    clean = 100 + 40 * np.sin(x / 3 + np.sin(y / 7)).astype("float32")
    noisy = (clean + rng.normal(0, 30, clean.shape)).astype("float32")
    return noisy[:16, :16], clean[:16, :16], noisy[16:], clean[16:]


def paired(create=create_care_configuration, **training):
    config = create(
        "pairs",
        "array",
        "YX",
        [16, 16],
        2,
        num_steps=8,
        augmentations=[],
        model_params={"num_channels_init": 8},
        optimizer_params={"lr": 0.03},
    )
    kept = {"device": "cpu", "precision": "32", "ema_decay": 0.5, "num_epochs": 8}
    training = {**kept, **training}
    return config.replace(training_config=config.training_config.replace(**training))


def trained(config, scene, work_dir=None, callbacks=None, **more):
    noisy, clean, val, val_clean = scene
    if config.algorithm_config.needs_targets:
        more = {"train_target": clean, "val_target": val_clean, **more}
    events = []
    careamist = CAREamist(config, work_dir, callbacks, events.append)
    careamist.train(train_source=noisy, val_source=val, **more)
    return careamist, events


def same(one, other):
    mine, theirs = one.network.state_dict(), other.network.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.fixture(scope="module")
def overfit(scene, tmp_path_factory):
    """CARE on a single patch, with more steps than it can bear."""
    folder = tmp_path_factory.mktemp("overfit")
    keep = [ModelCheckpoint(dirpath=folder, filename="mine", monitor="val_loss")]
    config = paired(checkpoint_every_n_epochs=4)
    return *trained(config, scene, folder, keep), folder


def test_the_best_is_that_of_the_lowest_validation_loss(overfit, scene):
    careamist, events, _ = overfit
    losses = careamist.get_losses()["val_loss"]
    best, last = (careamist.get_checkpoints()[name] for name in ("best", "last"))
    assert best.epochs == 1 + int(np.argmin(losses)) < last.epochs == 8
    assert best.steps == 8 * best.epochs
    assert careamist.model is best
    (restored,) = (e for e in events if isinstance(e, BestRestored))
    assert (restored.epoch, restored.val_loss) == (best.epochs - 1, min(losses))


def test_the_best_denoises_better_than_the_last(overfit, scene):
    """Where nothing was trained: the lower part of the scene."""
    careamist, _, _ = overfit
    _, _, noisy, clean = scene
    best, last = (
        psnr(careamist.predict(noisy, checkpoint=name), clean, data_range=80)
        for name in ("best", "last")
    )
    assert best > last + 0.2
    by_default, by_name = (careamist.predict(noisy, checkpoint=it) for it in (None, "best"))
    assert np.array_equal(by_default, by_name)


def test_files_of_every_fourth_epoch_the_best_and_the_last(overfit, scene):
    careamist, _, folder = overfit
    names = ["best", "epoch-0004", "epoch-0008", "last"]
    files = sorted((folder / "checkpoints").iterdir())
    assert [file.stem for file in files] == sorted(careamist.get_checkpoints()) == names
    opened = {file.stem: CAREamist(file).model for file in files}
    assert [opened[name].epochs for name in names[1:]] == [4, 8, 8]
    assert same(opened["best"], careamist.model)
    assert same(opened["last"], opened["epoch-0008"])
    by_name, by_path = (
        careamist.predict(scene[0], checkpoint=it) for it in ("epoch-0008", files[2])
    )
    assert np.array_equal(by_name, by_path)


def test_a_model_checkpoint_of_lightning_opens_and_holds_the_averaged_weights(overfit):
    careamist, _, folder = overfit
    model = CAREamist(folder / "mine.ckpt").model
    best = careamist.get_checkpoints()["best"]
    assert same(model, best)
    assert (model.epochs, model.steps) == (best.epochs, best.steps)
    assert model.normalization == best.normalization
    assert model.target_normalization == best.target_normalization
    assert model.config == careamist.config


def test_early_stopping_restores_the_best(scene):
    careamist, events = trained(paired(early_stopping_epochs=2, num_epochs=40), scene)
    losses = [e.val_loss for e in events if isinstance(e, EpochDone)]
    assert any(isinstance(e, EarlyStopped) for e in events)
    assert careamist.model.epochs == len(losses) - 2 == 1 + int(np.argmin(losses))


@pytest.mark.parametrize(
    ("create", "wish", "kept"),
    [
        (create_n2v_configuration, "auto", "last"),
        (create_n2v_configuration, "best", "best"),
        (create_care_configuration, "last", "last"),
    ],
)
def test_what_the_run_ends_with(scene, create, wish, kept):
    careamist, _ = trained(paired(create, num_epochs=2, final_model=wish), scene)
    assert careamist.model is careamist.get_checkpoints()[kept]


def test_a_resumed_run_remembers_the_best(scene, tmp_path):
    class Cut(Exception):
        pass

    def cut(event):
        if isinstance(event, EpochDone) and event.epoch == 6:
            raise Cut

    config = paired(checkpoint_every=0)
    whole, _ = trained(config, scene)
    assert whole.model.epochs < 6
    noisy, clean, val, val_clean = scene
    data = {"train_source": noisy, "train_target": clean}
    data |= {"val_source": val, "val_target": val_clean}
    with pytest.raises(Cut):
        CAREamist(config, on_progress=cut).train(**data, checkpoint_dir=tmp_path)
    resumed = CAREamist(config)
    resumed.train(**data, resume=tmp_path)
    for name, model in whole.get_checkpoints().items():
        found = resumed.get_checkpoints()[name]
        assert same(found, model)
        assert (found.epochs, found.steps) == (model.epochs, model.steps)
    again = CAREamist(config)
    again.train(**data, resume=tmp_path)  # it was complete
    assert same(again.model, whole.model)


def test_what_there_is_not(overfit, scene, tmp_path):
    careamist = CAREamist(overfit[0].model)
    assert careamist.get_checkpoints() == {}
    with pytest.raises(TrainingError, match="no checkpoint 'best'"):
        careamist.predict(scene[0], checkpoint="best")
    with pytest.raises(MissingFileError):
        careamist.predict(scene[0], checkpoint=tmp_path / "none.safetensors")


def test_the_command_line_finds_them_beside_the_model(scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tiff("noisy.tif", scene[0], "YX")
    write_tiff("clean.tif", scene[1], "YX")
    size = ["--filters", "8", "--patch-size", "16", "16", "--epochs", "2", "--steps", "2"]
    every = ["--set", "checkpoint_every_n_epochs=1", "--quiet", "-o", "care.safetensors"]
    pair = ["noisy.tif", "--algorithm", "care", "--target", "clean.tif"]
    assert main(["train", *pair, *size, *every]) == 0
    for name in ("epoch-0001", "last"):
        predict = ["predict", "care.safetensors", "noisy.tif", "--checkpoint", name]
        assert main([*predict, "-o", f"{name}.tif", "--precision", "32", "--quiet"]) == 0
        direct = CAREamist(f"care.checkpoints/{name}.safetensors")
        expected = direct.predict(scene[0], precision="32")
        np.testing.assert_array_equal(read_image(f"{name}.tif")[0], expected)
