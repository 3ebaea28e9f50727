"""Interrupted runs that are resumed with the same result."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    MissingFileError,
    UnreadableFileError,
    UnwritableFileError,
)
from napari_hush.events import StepsDone, TrainingStarted
from napari_hush.lightning import devices, interrupted_run, load_checkpoint
from napari_hush.lightning.checkpoint import FILE


class Cut(Exception):
    """Stands for whatever ends a run without asking."""


def build(tiny_config, method="n2v", num_epochs=4, num_steps=5, **training):
    changes = {"num_epochs": num_epochs, "num_steps": num_steps}
    if method == "pairs":
        config = create_care_configuration(
            "pairs",
            "array",
            "YX",
            [16, 16],
            4,
            model_params={"num_channels_init": 8},
            optimizer="SGD",
            optimizer_params={"lr": 0.01, "momentum": 0.9},
            lr_scheduler="ReduceLROnPlateau",
            lr_scheduler_params={"patience": 0},
            **changes,
        )
    else:
        config = tiny_config(**changes)
    training = {"checkpoint_every": 0, **training}
    return config.replace(training_config=config.training_config.replace(**training))


def source(noisy, method):
    pairs = {"train_target": noisy * 2} if method == "pairs" else {}
    return {"train_source": noisy, **pairs}


def cut_off(config, folder, at, first=None, **data):
    """Train until step `at` is reported, then fail; continue `first` if given."""

    def fail(event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= at:
            raise Cut

    careamist = CAREamist(config, on_progress=fail)
    careamist.model = first
    with pytest.raises(Cut):
        careamist.train(**data, checkpoint_dir=folder)


def assert_same(one, other):
    states = one.model.network.state_dict(), other.model.network.state_dict()
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
    assert one.get_losses() == other.get_losses()
    assert one.model.normalization == other.model.normalization
    assert one.model.target_normalization == other.model.target_normalization
    assert (one.model.epochs, one.model.steps) == (other.model.epochs, other.model.steps)


@pytest.mark.parametrize("method", ["n2v", "pairs"])
@pytest.mark.parametrize("at", [1, 5, 8])
def test_it_ends_with_the_same_bits(tiny_config, noisy, tmp_path, method, at):
    config = build(tiny_config, method, ema_decay=0.9 if at % 2 else 0)
    data = source(noisy, method)
    whole = CAREamist(config)
    whole.train(**data)
    cut_off(config, tmp_path, at, **data)
    assert interrupted_run(tmp_path) is not None
    events = []
    again = CAREamist(config, on_progress=events.append)
    again.train(**data, resume=tmp_path)
    (started,) = (e for e in events if isinstance(e, TrainingStarted))
    assert at - 2 <= started.resumed_step <= at
    assert_same(again, whole)
    assert interrupted_run(tmp_path) is None


def test_accumulated_batches_and_epochs_without_validation(tiny_config, noisy, tmp_path):
    more = {"accumulate_grad_batches": 2, "check_val_every_n_epoch": 2}
    config = build(tiny_config, "pairs", **more)
    data = source(noisy, "pairs")
    whole = CAREamist(config)
    whole.train(**data)
    assert whole.get_losses()["val_epoch"] == [1, 3]
    cut_off(config, tmp_path, 8, **data)
    again = CAREamist(config)
    again.train(**data, resume=tmp_path)
    assert_same(again, whole)


@pytest.mark.parametrize("begun", ["32", "bf16"])
def test_it_is_resumed_in_its_precision(tiny_config, noisy, tmp_path, monkeypatch, begun):
    config = build(tiny_config, num_epochs=2)
    monkeypatch.setattr(devices, "choose_precision", lambda wish, device: begun)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    cut_off(config, tmp_path, 3, train_source=noisy)
    other = {"32": "bf16", "bf16": "32"}[begun]  # as of another machine
    monkeypatch.setattr(devices, "choose_precision", lambda wish, device: other)
    resumed = CAREamist(config)
    resumed.train(train_source=noisy, resume=tmp_path)
    assert_same(resumed, whole)
    assert resumed.model.provenance.precision == begun


def test_cut_off_again_and_again(tiny_config, noisy, tmp_path):
    config = build(tiny_config, ema_decay=0.99, gradient_clip_norm=1.0)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    cut_off(config, tmp_path, 3, train_source=noisy)
    for at in (7, 8, 16):

        def fail(event, at=at):
            if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= at:
                raise Cut

        with pytest.raises(Cut):
            CAREamist(config, on_progress=fail).train(train_source=noisy, resume=tmp_path)
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert_same(again, whole)


def test_a_run_that_went_on_with_a_model(tiny_config, noisy, tmp_path):
    config = build(tiny_config)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    first = whole.model
    whole.train(train_source=noisy + 50)  # statistics stay those of the model
    cut_off(config, tmp_path, 28, first=first, train_source=noisy + 50)
    again = CAREamist(config)
    again.train(train_source=noisy + 50, resume=tmp_path)
    assert again.model.steps == whole.model.steps == 40
    for name, tensor in whole.model.network.state_dict().items():
        assert torch.equal(tensor, again.model.network.state_dict()[name]), name


def test_batches_that_are_smaller_at_the_end_of_an_epoch(tiny_config, noisy, tmp_path):
    config = tiny_config(num_epochs=3, batch_size=4)  # 14 patches: 4 + 4 + 4 + 2
    config = config.replace(
        training_config=config.training_config.replace(checkpoint_every=0)
    )
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    per_epoch = whole.model.steps // 3
    cut_off(config, tmp_path, per_epoch + 2, train_source=noisy)
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert_same(again, whole)


def test_a_run_that_was_stopped_can_go_on_as_well(tiny_config, noisy, tmp_path):
    config = build(tiny_config)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    stopped = CAREamist(config)

    def stop(event):
        if isinstance(event, StepsDone) and event.first_step >= 6:
            stopped.stop_training()

    stopped.on_progress = stop
    stopped.train(train_source=noisy, checkpoint_dir=tmp_path)
    assert stopped.model.steps < 20
    assert interrupted_run(tmp_path) is None  # it ended as it was asked to
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert_same(again, whole)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_run_that_was_over_gives_its_model(tiny_config, noisy, tmp_path, ema_decay):
    config = build(tiny_config, ema_decay=ema_decay)
    whole = CAREamist(config)
    whole.train(train_source=noisy, checkpoint_dir=tmp_path)
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert_same(again, whole)


def test_nothing_is_written_unless_asked(tiny_config, noisy, tmp_path):
    CAREamist(build(tiny_config), work_dir=tmp_path).train(train_source=noisy)
    assert not list(tmp_path.iterdir())


def test_a_new_run_does_not_replace_one_that_was_cut_off(tiny_config, noisy, tmp_path):
    config = build(tiny_config)
    cut_off(config, tmp_path / "run", 8, train_source=noisy)
    careamist = CAREamist(config, work_dir=tmp_path)
    with pytest.raises(ExistingFileError, match="interrupted after 1 of 4 epochs"):
        careamist.train(train_source=noisy, checkpoint_dir="run")
    careamist.train(train_source=noisy, resume="run")
    careamist.train(train_source=noisy, checkpoint_dir="run")  # the one before is over


def test_what_cannot_be_resumed(tiny_config, noisy, tmp_path):
    config = build(tiny_config)
    cut_off(config, tmp_path, 8, train_source=noisy)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(MissingFileError, match="no run to resume"):
        CAREamist(config).train(train_source=noisy, resume=tmp_path / "nowhere")
    with pytest.raises(DataError, match="not those of the interrupted run"):
        CAREamist(config).train(train_source=noisy + 1, resume=tmp_path)
    with pytest.raises(DataError, match="not those of the interrupted run"):
        CAREamist(config).train(train_source=noisy[:32], resume=tmp_path)
    with pytest.raises(ConfigurationError, match="not that of the interrupted run"):
        CAREamist(tiny_config()).train(train_source=noisy, resume=tmp_path)
    with pytest.raises(ConfigurationError, match="either checkpoint_dir or resume"):
        CAREamist(config).train(
            train_source=noisy, resume=tmp_path, checkpoint_dir=tmp_path / "other"
        )
    assert (tmp_path / FILE).read_bytes() == before


@pytest.mark.parametrize("damage", ["empty", "half", "noise", "format", "key", "pickle"])
def test_a_damaged_state_is_told_and_nothing_is_executed(
    tiny_config, noisy, tmp_path, damage
):
    config = build(tiny_config)
    cut_off(config, tmp_path, 8, train_source=noisy)
    file = tmp_path / FILE
    content = file.read_bytes()
    if damage in ("format", "key"):
        with safetensors.safe_open(file, framework="pt") as opened:
            header = opened.metadata()
        header = {**header, "format": "other"} if damage == "format" else header
        if damage == "key":
            header["position"] = json.dumps({"surprise": 1})
        weights = safetensors.torch.load_file(file)
        safetensors.torch.save_file(weights, file, header)
    elif damage == "pickle":
        torch.save({"network": torch.zeros(1)}, file)
    else:
        file.write_bytes(
            {"empty": b"", "half": content[: len(content) // 2]}.get(
                damage, np.random.default_rng(0).bytes(2000)
            )
        )
    with pytest.raises(UnreadableFileError, match="start a new run"):
        CAREamist(config).train(train_source=noisy, resume=tmp_path)


def test_a_state_that_could_not_be_written_leaves_the_one_before(
    tiny_config, noisy, tmp_path, monkeypatch
):
    config = build(tiny_config)
    cut_off(config, tmp_path, 8, train_source=noisy)
    before = (tmp_path / FILE).read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableFileError, match="the disk is full"):
        CAREamist(config).train(train_source=noisy, resume=tmp_path)
    assert (tmp_path / FILE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


SCRIPT = """
    import sys, numpy as np
    from napari_hush import CAREamist
    from napari_hush.config import load_configuration
    from napari_hush.lightning import interrupted_run
    config, pixels, folder = sys.argv[1:]
    careamist = CAREamist(config)
    found = interrupted_run(folder)
    print("ready", flush=True)
    where = {"resume": folder} if found else {"checkpoint_dir": folder}
    careamist.train(train_source=np.load(pixels), **where)
    careamist.save(folder + "/model.safetensors", overwrite=True)
    """


@pytest.mark.process
def test_killed_at_a_random_moment(tiny_config, noisy, tmp_path, seed):
    """SIGKILL in another process, after a random time."""
    from napari_hush.config import save_configuration

    config = build(tiny_config, num_epochs=6, num_steps=20, ema_decay=0.9)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    save_configuration(config, tmp_path / "config.yml")
    np.save(tmp_path / "noisy.npy", noisy)
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(SCRIPT),
        *map(str, (tmp_path / "config.yml", tmp_path / "noisy.npy", folder)),
    ]
    rng = np.random.default_rng(seed)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        while not (folder / FILE).is_file() and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, capture_output=True)
    found = CAREamist(folder / "model.safetensors").model
    for name, tensor in whole.model.network.state_dict().items():
        assert torch.equal(tensor, found.network.state_dict()[name]), name
    losses = load_checkpoint(folder).losses
    assert losses.as_dict() == whole.get_losses()
