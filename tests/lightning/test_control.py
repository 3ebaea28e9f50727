"""Pausing, resuming and stopping a run from other threads."""

import queue
import threading
import time

import pytest

from napari_hush import CAREamist
from napari_hush.events import (
    PreviewFailed,
    StepsDone,
    TrainingDone,
    TrainingPaused,
    TrainingResumed,
    TrainingStarted,
)
from napari_hush.lightning.control import RunClock, RunControl

PATIENCE = 60


@pytest.fixture
def run(tiny_config, noisy):
    """Train in a thread; `act(careamist, event)` gets every event, in it."""

    class Run:
        def __init__(self, act, **config):
            self.events = []
            self.paused = threading.Event()
            self.careamist = CAREamist(tiny_config(**config), on_progress=self.take)
            self.act = act
            self.thread = threading.Thread(
                target=self.careamist.train, kwargs={"train_source": noisy}
            )
            self.thread.start()

        def take(self, event):
            self.events.append(event)
            self.act(self.careamist, event)
            if isinstance(event, TrainingPaused):
                self.paused.set()

        def end(self):
            self.thread.join(PATIENCE)
            assert not self.thread.is_alive()
            return self.events

    return Run


def pause_at_start(careamist, event):
    if isinstance(event, TrainingStarted):
        careamist.pause_training()


def weights(careamist):
    return careamist.model.network.state_dict()


def test_a_pause_begins_after_the_step_in_hand_and_ends_when_resumed(run):
    it = run(pause_at_start, num_steps=6)
    assert it.paused.wait(PATIENCE)
    assert it.careamist.is_paused
    (paused,) = (e for e in it.events if isinstance(e, TrainingPaused))
    assert paused.step == 1
    reported = [e for e in it.events if isinstance(e, StepsDone)]
    assert (
        sum(len(e.losses) for e in reported) == 1
    )  # nothing is held back during the pause
    assert it.thread.is_alive()
    it.careamist.resume_training()
    assert not it.careamist.is_paused
    events = it.end()
    (resumed,) = (e for e in events if isinstance(e, TrainingResumed))
    assert resumed.step == 1
    assert it.careamist.model.steps == 6
    assert not events[-1].stopped


def test_a_pause_changes_no_bit(run, tiny_config, noisy):
    it = run(pause_at_start, num_steps=4)
    assert it.paused.wait(PATIENCE)
    it.careamist.resume_training()
    it.end()
    other = CAREamist(tiny_config(num_steps=4))
    other.train(train_source=noisy)
    same = (
        a.equal(b)
        for a, b in zip(
            weights(it.careamist).values(), weights(other).values(), strict=True
        )
    )
    assert all(same)


def test_a_paused_run_gives_the_model_of_its_step_and_changes_no_bit(
    run, tiny_config, noisy
):
    it = run(pause_at_start, num_steps=4)
    assert it.paused.wait(PATIENCE)
    taken = queue.Queue()
    for _ in range(2):
        it.careamist.request_model(taken.put)
        assert taken.get(timeout=PATIENCE).steps == 1
    it.careamist.request_model(lambda model: 1 / 0)
    it.careamist.resume_training()
    failed = [e for e in it.end() if isinstance(e, PreviewFailed)]
    assert [e.step for e in failed] == [1]
    other = CAREamist(tiny_config(num_steps=4))
    other.train(train_source=noisy)
    for a, b in zip(weights(it.careamist).values(), weights(other).values(), strict=True):
        assert a.equal(b)


def test_a_running_training_gives_its_model_after_the_current_step(run):
    taken = queue.Queue()

    def act(careamist, event):
        if isinstance(event, TrainingStarted):
            careamist.request_model(taken.put)

    run(act, num_steps=3).end()
    assert taken.get(timeout=PATIENCE).steps == 1
    assert taken.empty()


def test_a_paused_run_can_be_stopped(run):
    it = run(pause_at_start, num_epochs=1000)
    assert it.paused.wait(PATIENCE)
    it.careamist.stop_training()
    events = it.end()
    assert not any(isinstance(e, TrainingResumed) for e in events)
    assert isinstance(events[-1], TrainingDone)
    assert events[-1].stopped
    assert it.careamist.model.steps == 1
    assert not it.careamist.is_paused


def test_a_wish_to_pause_does_not_outlive_the_run(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=1))

    def at_the_end(event):
        if isinstance(event, TrainingDone):
            careamist.pause_training()

    careamist.on_progress = at_the_end
    careamist.train(train_source=noisy)
    careamist.train(train_source=noisy)  # would wait for ever
    assert careamist.model.steps == 2


def test_pausing_and_resuming_from_many_threads_never_hangs():
    control = RunControl()
    over = threading.Event()

    def work():
        while not control.should_stop:
            control.wait()
        over.set()

    def fiddle():
        for _ in range(300):
            control.pause()
            control.resume()

    others = [threading.Thread(target=fiddle) for _ in range(4)]
    for thread in (threading.Thread(target=work), *others):
        thread.start()
    for thread in others:
        thread.join(PATIENCE)
    control.pause()
    control.stop()
    assert over.wait(PATIENCE)


def test_the_clock_leaves_pauses_out(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = RunClock()
    first = clock()
    now[0] += 1
    with clock.stopped():
        now[0] += 100
    now[0] += 2
    assert clock() - first == 3


def test_time_left_and_speed_leave_pauses_out(tiny_config, noisy, monkeypatch):
    """A pause of an hour by the clock on the wall shows in none of the figures."""
    ahead = [0.0]
    real = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: real() + ahead[0])
    events = []
    careamist = CAREamist(tiny_config(num_steps=5))

    def act(event):
        events.append(event)
        if isinstance(event, TrainingStarted):
            careamist.pause_training()

    def wait_an_hour(control):
        ahead[0] += 3600
        control.resume()

    monkeypatch.setattr(RunControl, "wait", wait_an_hour)
    careamist.on_progress = act
    careamist.train(train_source=noisy)
    (resumed,) = (e for e in events if isinstance(e, TrainingResumed))
    assert resumed.seconds > 3599
    assert events[-1].seconds < 1800
    for event in events:
        if isinstance(event, StepsDone):
            assert event.seconds_left < 1800
            assert event.patches_per_second > 4 / 1800
