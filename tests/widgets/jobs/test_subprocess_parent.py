"""Training in a separate process: same model, same controls, and it may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest

from napari_hush.errors import DataError, HushError, SourceTypeError, TrainingError
from napari_hush.events import StepsDone, TrainingPaused, TrainingResumed
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs import subprocess_parent
from napari_hush.widgets.jobs.previewer import Previewer, VisibleRegion
from napari_hush.widgets.jobs.subprocess_child import Channel
from napari_hush.widgets.jobs.subprocess_parent import SubprocessTraining
from napari_hush.widgets.jobs.task_events import (
    DeviceMemory,
    LatestModel,
    PreviewReady,
    ProcessDied,
)
from napari_hush.widgets.jobs.tasks import StopRequest, Training

pytestmark = pytest.mark.process


@pytest.fixture
def task(noisy, quick):
    return Training(quick(), TrainingData((noisy,)), "cells")


def _endless(quick, noisy, previewer=None):
    data = TrainingData((noisy,))
    return Training(quick(num_epochs=100_000), data, "cells", previewer=previewer)


class Recorder:
    """Keeps events, and reacts to the first of a kind."""

    def __init__(self, **reactions) -> None:
        self.events: list = []
        self._reactions = reactions

    def __call__(self, event) -> None:
        self.events.append(event)
        reaction = self._reactions.pop(type(event).__name__, None)
        if reaction is not None:
            reaction(event)

    def of(self, kind) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def test_the_model_has_the_same_bits_as_in_the_thread(task):
    here = task(lambda event: None, StopRequest())
    recorder = Recorder()
    there = SubprocessTraining(task)(recorder, StopRequest())
    for name, weights in here.model.network.state_dict().items():
        assert np.array_equal(weights, there.model.network.state_dict()[name]), name
    assert there.get_losses() == here.get_losses()
    assert [s.steps for s in there.snapshots] == [s.steps for s in here.snapshots]
    assert sum(len(event.losses) for event in recorder.of(StepsDone)) == 6
    assert recorder.of(DeviceMemory)


def test_the_length_is_fitted_before_the_run_is_sent(task):
    def one_epoch(configuration):  # cannot be sent itself
        training = configuration.training_config.replace(num_epochs=1)
        return configuration.replace(training_config=training)

    engine = SubprocessTraining(replace(task, fit=one_epoch))(
        lambda event: None, StopRequest()
    )
    assert (task.configuration.training_config.num_epochs, engine.model.epochs) == (2, 1)


def test_a_model_is_trained_on_before_and_after(task, noisy):
    first = SubprocessTraining(task)(lambda event: None, StopRequest())
    again = Training(task.configuration, task.data, "cells", model=first)
    second = SubprocessTraining(again)(lambda event: None, StopRequest())
    assert second.model.steps == 12
    assert second.get_losses()["train_step"] == list(range(12))
    second.train(train_source=noisy)
    assert second.model.steps == 18


def test_it_pauses_resumes_and_stops(quick, noisy):
    stop = StopRequest()
    recorder = Recorder(
        EngineReady=lambda event: engines.append(event.engine),
        StepsDone=lambda event: engines[0].pause_training(),
        TrainingPaused=lambda event: engines[0].resume_training(),
        TrainingResumed=lambda event: stop.set(),
    )
    engines: list = []
    engine = SubprocessTraining(_endless(quick, noisy))(recorder, stop)
    assert engine.is_trained
    assert recorder.of(TrainingPaused)
    assert recorder.of(TrainingResumed)


def test_while_paused_it_gives_its_model_and_previews_what_is_shown(quick, noisy):
    """Without a previewer at first, and with the model of the step of the pause."""
    stop = StopRequest()
    shown = VisibleRegion((slice(10, 30), slice(20, 44)))
    recorder = Recorder(
        EngineReady=lambda event: engines.append(event.engine),
        StepsDone=lambda event: engines[0].pause_training(),
        TrainingPaused=lambda event: engines[0].request_model(),
        LatestModel=lambda event: engines[0].look(shown),
        PreviewReady=lambda event: stop.set(),
    )
    engines: list = []
    previewer = Previewer(noisy, "YX", rgb=False, visible=VisibleRegion())
    engine = SubprocessTraining(_endless(quick, noisy, previewer))(recorder, stop)
    (paused,) = recorder.of(TrainingPaused)
    assert recorder.of(LatestModel)[-1].model.steps == paused.step == engine.model.steps
    (preview,) = recorder.of(PreviewReady)
    assert (preview.step, preview.pixels.shape) == (paused.step, (20, 24))


def test_an_error_is_the_same_as_in_the_thread(quick, noisy):
    bad = noisy.astype(np.float32)
    bad[3, 4] = np.nan
    task = Training(quick(), TrainingData((bad,)), "cells")
    with pytest.raises(HushError) as here:
        task(lambda event: None, StopRequest())
    with pytest.raises(DataError) as there:
        SubprocessTraining(task)(lambda event: None, StopRequest())
    assert str(there.value) == str(here.value)


def _kill(process_ids):
    return lambda event: os.kill(process_ids[-1], signal.SIGKILL)


@pytest.fixture
def started(monkeypatch):
    """Ids of the started processes."""
    ids: list[int] = []
    popen = subprocess.Popen

    def noted(*args, **settings):
        process = popen(*args, **settings)
        ids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess_parent.subprocess, "Popen", noted)
    return ids


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_death_is_reported_and_the_next_training_succeeds(quick, noisy, task, started):
    recorder = Recorder(StepsDone=_kill(started))
    with pytest.raises(TrainingError, match=r"signal 9.*memory"):
        SubprocessTraining(_endless(quick, noisy))(recorder, StopRequest())
    assert SubprocessTraining(task)(lambda event: None, StopRequest()).is_trained


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_the_latest_model_survives_the_death_of_the_process(
    quick, noisy, started, monkeypatch
):
    visible = VisibleRegion((slice(0, 32), slice(0, 32)))
    previewer = Previewer(noisy, "YX", rgb=False, visible=visible)
    recorder = Recorder(PreviewReady=_kill(started))
    engine = SubprocessTraining(_endless(quick, noisy, previewer))(recorder, StopRequest())
    latest = recorder.of(LatestModel)[-1]
    (preview,) = recorder.of(PreviewReady)
    assert preview.pixels.shape == (32, 32)
    (died,) = recorder.of(ProcessDied)
    assert f"{latest.model.steps:,} steps is kept" in died.reason
    assert engine.predict(noisy).shape == noisy.shape


def test_pixels_that_cannot_be_pickled_are_refused(quick, noisy):
    class Stuck(np.ndarray):
        def __reduce_ex__(self, protocol):
            raise TypeError("it is open here")

    task = Training(quick(), TrainingData((noisy.view(Stuck),)), "cells")
    with pytest.raises(SourceTypeError, match=r"“cells” cannot be sent.*open here"):
        SubprocessTraining(task)(lambda event: None, StopRequest())


def test_the_process_loads_neither_qt_nor_napari():
    lines = (
        "import sys, napari_hush.widgets.jobs.subprocess_child as p, napari_hush.careamist",
        "heavy = {'qtpy', 'napari', 'superqt', 'PyQt6'} & set(sys.modules)",
        "sys.exit(f'loaded {heavy}' if heavy else 0)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_channel_sends_writable_arrays_and_ends_with_its_pipe():
    ours, theirs = (Channel(pipe) for pipe in Pipe())
    sent = {"big": np.arange(300_000), "turned": np.arange(6).reshape(2, 3).T}
    thread = threading.Thread(target=ours.send, args=[sent])
    thread.start()
    got = theirs.receive()
    thread.join()
    for name, array in sent.items():
        assert np.array_equal(got[name], array)
    got["big"][0] = 1
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_training_process_ends_with_napari(tmp_path):
    """The model is saved, though nobody is left to take it."""
    script = tmp_path / "napari_dies.py"
    script.write_text(DYING_PARENT, "utf-8")
    env = os.environ | {"HUSH_DATA_DIR": str(tmp_path)}
    parent = subprocess.run([sys.executable, script], env=env, capture_output=True)
    assert parent.returncode == -signal.SIGKILL, parent.stderr.decode()
    child = int(parent.stdout)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()
    assert [path.suffix for path in (tmp_path / "recovered").iterdir()] == [".safetensors"]


DYING_PARENT = """
import os, signal, subprocess
import numpy as np
from napari_hush.config import create_n2v_configuration
from napari_hush.events import StepsDone
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs.subprocess_parent import SubprocessTraining
from napari_hush.widgets.jobs.tasks import StopRequest, Training

popen, children = subprocess.Popen, []
subprocess.Popen = lambda *a, **k: children.append(popen(*a, **k)) or children[-1]

def report(event):
    if isinstance(event, StepsDone):
        print(children[0].pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

noisy = np.random.default_rng(0).poisson(20, (64, 72)).astype(np.uint16)
config = create_n2v_configuration(
    "quick", "array", "YX", patch_size=[16, 16], batch_size=2, num_epochs=100_000,
    num_steps=3, model_params={"num_channels_init": 8},
)
SubprocessTraining(Training(config, TrainingData((noisy,)), "cells"))(report, StopRequest())
"""


def test_the_dock_trains_in_a_separate_process(viewer, hand, noisy, quick):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    hand.find("apart").setChecked(True)
    hand.train()
    assert "Trained" in hand.status
    assert hand.find("loss_plot").history.steps == [1, 2, 3, 4, 5, 6]
    assert "GB in use" in hand.find("footer").text()
    hand.denoise()
    assert viewer.layers["cells denoised"].data.shape == noisy.shape
