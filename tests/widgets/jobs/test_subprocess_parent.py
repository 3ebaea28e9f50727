"""A training in a process of its own: the same model, steered alike, and it may die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from napari_hush.errors import DataError, HushError, SourceTypeError, TrainingError
from napari_hush.events import StepsDone, TrainingPaused, TrainingResumed
from napari_hush.widgets.data.training_data import TrainingData
from napari_hush.widgets.jobs import subprocess_parent
from napari_hush.widgets.jobs.previewer import Previewer, VisibleRegion
from napari_hush.widgets.jobs.subprocess_child import Wire
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


class Heard:
    """Keeps events, and does something about the first of a kind."""

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


def test_the_model_is_that_of_the_thread_bit_by_bit(task):
    here = task(lambda event: None, StopRequest())
    heard = Heard()
    there = SubprocessTraining(task)(heard, StopRequest())
    for name, weights in here.model.network.state_dict().items():
        assert np.array_equal(weights, there.model.network.state_dict()[name]), name
    assert there.get_losses() == here.get_losses()
    assert [s.steps for s in there.snapshots] == [s.steps for s in here.snapshots]
    assert sum(len(event.losses) for event in heard.of(StepsDone)) == 6
    assert heard.of(DeviceMemory)


def test_it_goes_on_from_a_model_and_can_be_gone_on_from(task, noisy):
    first = SubprocessTraining(task)(lambda event: None, StopRequest())
    again = Training(task.configuration, task.data, "cells", model=first)
    second = SubprocessTraining(again)(lambda event: None, StopRequest())
    assert second.model.steps == 12
    assert second.get_losses()["train_step"] == list(range(12))
    second.train(train_source=noisy)
    assert second.model.steps == 18


def test_it_waits_goes_on_and_stops(quick, noisy):
    stop = StopRequest()
    heard = Heard(
        EngineReady=lambda event: engines.append(event.engine),
        StepsDone=lambda event: engines[0].pause_training(),
        TrainingPaused=lambda event: engines[0].resume_training(),
        TrainingResumed=lambda event: stop.set(),
    )
    engines: list = []
    engine = SubprocessTraining(_endless(quick, noisy))(heard, stop)
    assert engine.is_trained
    assert heard.of(TrainingPaused)
    assert heard.of(TrainingResumed)


def test_a_refusal_comes_over_as_it_is(quick, noisy):
    bad = noisy.astype(np.float32)
    bad[3, 4] = np.nan
    task = Training(quick(), TrainingData((bad,)), "cells")
    with pytest.raises(HushError) as here:
        task(lambda event: None, StopRequest())
    with pytest.raises(DataError) as there:
        SubprocessTraining(task)(lambda event: None, StopRequest())
    assert str(there.value) == str(here.value)


def _shoot(process_ids):
    return lambda event: os.kill(process_ids[-1], signal.SIGKILL)


@pytest.fixture
def started(monkeypatch):
    """Ids of the processes that were started."""
    ids: list[int] = []
    popen = subprocess.Popen

    def noted(*args, **settings):
        process = popen(*args, **settings)
        ids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess_parent.subprocess, "Popen", noted)
    return ids


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_a_death_is_told_and_the_next_run_is_good(quick, noisy, task, started):
    heard = Heard(StepsDone=_shoot(started))
    with pytest.raises(TrainingError, match=r"signal 9.*memory.*napari goes on"):
        SubprocessTraining(_endless(quick, noisy))(heard, StopRequest())
    assert SubprocessTraining(task)(lambda event: None, StopRequest()).is_trained


@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")
def test_the_last_preview_survives_the_death_of_the_process(
    quick, noisy, started, monkeypatch
):
    visible = VisibleRegion()
    visible.set((slice(0, 32), slice(0, 32)), None)
    previewer = Previewer(noisy, "YX", rgb=False, visible=visible)
    heard = Heard(LatestModel=_shoot(started))
    engine = SubprocessTraining(_endless(quick, noisy, previewer))(heard, StopRequest())
    (latest,) = heard.of(LatestModel)
    (preview,) = heard.of(PreviewReady)
    assert preview.pixels.shape == (32, 32)
    (died,) = heard.of(ProcessDied)
    assert f"{latest.model.steps:,} steps is kept" in died.reason
    assert engine.predict(noisy).shape == noisy.shape


def test_pixels_that_cannot_leave_are_refused_in_a_sentence(quick, noisy):
    class Stuck(np.ndarray):
        def __reduce_ex__(self, protocol):
            raise TypeError("it is open here")

    task = Training(quick(), TrainingData((noisy.view(Stuck),)), "cells")
    with pytest.raises(SourceTypeError, match=r"“cells” cannot be handed.*open here"):
        SubprocessTraining(task)(lambda event: None, StopRequest())


def test_the_process_loads_neither_qt_nor_napari():
    lines = (
        "import sys, napari_hush.widgets.jobs.subprocess_child as p, napari_hush.careamist",
        "heavy = {'qtpy', 'napari', 'superqt', 'PyQt6'} & set(sys.modules)",
        "sys.exit(f'loaded {heavy}' if heavy else 0)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_a_wire_brings_arrays_that_can_be_written_to_and_ends_with_its_pipe():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as read, os.fdopen(writing, "wb") as write:
        wire = Wire(read, write)
        sent = {"big": np.arange(300_000), "turned": np.arange(6).reshape(2, 3).T}
        thread = threading.Thread(target=wire.send, args=[sent])
        thread.start()
        got = wire.receive()
        thread.join()
        for name, array in sent.items():
            assert np.array_equal(got[name], array)
        got["big"][0] = 1
        write.close()
        with pytest.raises(EOFError):
            wire.receive()


def test_the_dock_trains_apart_when_asked_to(viewer, hand, noisy, quick):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    hand.find("apart").setChecked(True)
    hand.train()
    assert "Trained" in hand.status
    assert hand.find("loss_plot").history.steps == [1, 2, 3, 4, 5, 6]
    assert "GB in use" in hand.find("footer").text()
    hand.denoise()
    assert viewer.layers["cells denoised"].data.shape == noisy.shape
