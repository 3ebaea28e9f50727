"""Signals that end a run: it can be resumed, and the exit code says so."""

import json
import os
import signal

import pytest

from napari_hush import CAREamist, cli
from napari_hush.events import ImageStarted, StepsDone
from napari_hush.io import write_tiff
from napari_hush.lightning import HushModule, interrupted_run, load_checkpoint
from napari_hush.system.signals import OnTermination, Terminated


@pytest.fixture(autouse=True)
def nothing_ignored():
    """Tests may be started with nohup, which ignores SIGHUP, or by &: SIGINT."""
    names = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in names}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def at_step(number, name):
    """A function for on_progress that sends the signal once this step is reported."""

    def send(event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= number:
            os.kill(os.getpid(), getattr(signal, name))

    return send


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
@pytest.mark.parametrize("step", [2, 5])  # within an epoch, and its last one
def test_the_state_is_kept_at_the_signal(tiny_config, noisy, tmp_path, name, step):
    config = tiny_config(num_epochs=3, num_steps=5)
    whole = CAREamist(config)
    whole.train(train_source=noisy)
    before = signal.getsignal(getattr(signal, name))
    cut = CAREamist(config, on_progress=at_step(step, name))
    with pytest.raises(Terminated) as ended:
        cut.train(train_source=noisy, checkpoint_dir=tmp_path)
    assert ended.value.code == 128 + getattr(signal, name)
    assert signal.getsignal(getattr(signal, name)) is before
    assert not cut.is_trained
    assert interrupted_run(tmp_path) is not None
    assert load_checkpoint(tmp_path).position.steps >= step
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert again.model.sha256 == whole.model.sha256
    assert again.get_losses() == whole.get_losses()


def test_a_second_ctrl_c_ends_the_step_and_the_run_can_be_resumed(
    tiny_config, noisy, tmp_path, monkeypatch
):
    """Within a step, where Lightning would end the process with code 1."""
    step = HushModule.training_step

    def interrupted(module, *arguments):
        if module.global_step == 2:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return step(module, *arguments)

    before = signal.getsignal(signal.SIGINT)
    config = tiny_config(num_epochs=2, num_steps=4)
    monkeypatch.setattr(HushModule, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        CAREamist(config).train(train_source=noisy, checkpoint_dir=tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    monkeypatch.undo()
    again = CAREamist(config)
    again.train(train_source=noisy, resume=tmp_path)
    assert again.model.steps == 8


def test_a_handler_of_the_program_decides_itself(tiny_config, noisy):
    received = []
    before = signal.signal(signal.SIGTERM, lambda *_: received.append(1))
    try:
        careamist = CAREamist(tiny_config(num_steps=4), on_progress=at_step(1, "SIGTERM"))
        careamist.train(train_source=noisy)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received
    assert careamist.model.steps == 4


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with OnTermination(pytest.fail):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def reporting(monkeypatch):
    """Have `act` called with each event of a command, before it is shown."""

    def use(act, module):
        from napari_hush.system.progress_bars import Bars

        class Acting(Bars):
            def __call__(self, event):
                super().__call__(event)
                act(event)

        monkeypatch.setattr(f"napari_hush.cli.{module}.Bars", Acting)

    return use


def test_hush_train_says_what_continues_it(noisy, tmp_path, reporting, capsys):
    image, model = tmp_path / "noisy.tif", tmp_path / "m.safetensors"
    write_tiff(image, noisy, "YX")
    command = f"train {image} --epochs 2 --steps 4 --patch-size 16 16 --batch-size 4"
    command += f" --depth 1 --filters 8 --device cpu --json -o {model}"
    reporting(at_step(1, "SIGTERM"), "train")
    assert cli.main(command.split()) == 143
    answer = json.loads(capsys.readouterr().out)
    assert answer["model"] is None
    assert answer["stopped"]
    assert not model.exists()
    reporting(lambda event: None, "train")
    assert cli.main(["resume", answer["resume"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 8


def test_hush_predict_says_what_is_done(noisy, tmp_path, reporting, capsys, tiny_config):
    careamist = CAREamist(tiny_config())
    careamist.train(train_source=noisy)
    careamist.save(tmp_path / "m.safetensors")
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", noisy, "YX")

    def act(event):
        if isinstance(event, ImageStarted) and event.name.startswith("b"):
            os.kill(os.getpid(), signal.SIGTERM)

    reporting(act, "predict")
    images = [str(tmp_path / f"{name}.tif") for name in "ab"]
    model, out = str(tmp_path / "m.safetensors"), tmp_path / "out"
    assert cli.main(["predict", model, *images, "-o", str(out), "--json"]) == 143
    captured = capsys.readouterr()
    assert json.loads(captured.out)["files"] == [str(out / "a.tif")]
    assert "ended by SIGTERM" in captured.err
    reporting(lambda event: None, "predict")
    assert cli.main(["predict", model, *images, "-o", str(out), "--resume"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["a.tif", "b.tif"]
