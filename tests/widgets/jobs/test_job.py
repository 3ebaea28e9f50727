from __future__ import annotations

import gc
import sys
import threading
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QCoreApplication, QEvent

from napari_hush.errors import DataError
from napari_hush.events import Event, ImageStarted
from napari_hush.widgets.jobs.job import QUICKEST_MS, SLOWEST_MS, Job, StoppableWorker
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture
def job(qtbot):
    owner = Job()
    yield owner
    owner.stop()
    qtbot.waitUntil(lambda: not owner.is_running)


@pytest.fixture
def story(job):
    """What the job told, in order."""
    told = []
    job.progressed.connect(lambda events: told.extend(event.index for event in events))
    job.returned.connect(lambda value: told.append(("returned", value)))
    job.refused.connect(lambda sentence: told.append(("refused", sentence)))
    job.crashed.connect(lambda error: told.append(("crashed", str(error))))
    return told


def numbered(index: int) -> Event:
    return ImageStarted("", index, 0, 0)


def test_all_events_in_order_then_the_result(qtbot, job, story):
    threads = []

    def task(report, stop):
        threads.append(threading.current_thread())
        for index in range(1000):
            report(numbered(index))
        return "result"

    with qtbot.waitSignal(job.returned):
        job.start(task)
    assert story == [*range(1000), ("returned", "result")]
    assert threads[0] is not threading.main_thread()
    assert not job.is_running


def test_a_refusal_is_no_crash(qtbot, job, story, notifications):
    def task(report, stop):
        report(numbered(0))
        raise DataError("The image is empty.")

    with qtbot.waitSignal(job.refused):
        job.start(task)
    assert story == [0, ("refused", "The image is empty.")]
    assert notifications() == []


def test_a_crash_reaches_napari_once_and_the_next_job_runs(
    qtbot, job, story, notifications
):
    def crash(report, stop):
        raise ZeroDivisionError("unforeseen")

    with qtbot.waitSignal(job.crashed):
        job.start(crash)
    assert notifications() == ["unforeseen"]
    with qtbot.waitSignal(job.returned):
        job.start(lambda report, stop: 1)
    assert story == [("crashed", "unforeseen"), ("returned", 1)]


def test_stopping_still_delivers_the_result(qtbot, job, story):
    def task(report, stop):
        report(numbered(0))
        woken = threading.Event()
        stop.when_set(woken.set)
        assert woken.wait(10)
        return "so far"

    with qtbot.waitSignal(job.progressed):
        job.start(task)
    with qtbot.waitSignal(job.returned):
        job.stop()
    assert story == [0, ("returned", "so far")]


@pytest.mark.parametrize(
    ("seconds", "interval"), [(0.001, QUICKEST_MS), (0.04, 1000), (9.0, SLOWEST_MS)]
)
def test_news_come_as_often_as_the_window_can_show_them(job, seconds, interval):
    job.setCostOfNews(seconds)
    assert job._timer.interval() == interval


def test_one_at_a_time(qtbot, job):
    with qtbot.waitSignal(job.returned):
        job.start(lambda report, stop: None)
        with pytest.raises(RuntimeError, match="running"):
            job.start(lambda report, stop: None)


def test_a_job_whose_owner_is_destroyed_is_asked_to_stop(qtbot):
    stopped = threading.Event()
    started = threading.Event()

    def task(report, stop):
        stop.when_set(stopped.set)
        started.set()
        stopped.wait(10)

    owner = Job()
    owner.start(task)
    qtbot.waitUntil(started.is_set)
    owner.deleteLater()
    qtbot.waitUntil(stopped.is_set)


@pytest.mark.parametrize("ending", [None, DataError("no"), ZeroDivisionError("no")])
def test_memory_of_a_gpu_is_given_back_after_each_job(qtbot, job, monkeypatch, ending):
    given_back = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        empty_cache=lambda: given_back.append(True),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    def task(report, stop):
        if ending is not None:
            raise ending

    job.start(task)
    qtbot.waitUntil(lambda: not job.is_running)
    assert given_back == [True]


def test_a_worker_whose_window_has_gone_ends_quietly(qtbot):
    done = []

    def task(report, stop):
        worker.signals.deleteLater()
        QCoreApplication.sendPostedEvents(worker.signals, QEvent.Type.DeferredDelete.value)
        done.append(True)

    worker = StoppableWorker(task, print, StopRequest())
    worker.run()
    assert done == [True]


def test_a_job_that_is_over_is_forgotten(qtbot, job):
    """napari lists all workers there ever were; they must not hold images and models."""

    class Precious:
        pass

    def run():
        data, model = Precious(), Precious()

        def task(report, stop, data=data):
            stop.when_set(partial(getattr, model, "stop", None))
            return 1

        with qtbot.waitSignal(job.returned):
            job.start(task)
        return weakref.ref(data), weakref.ref(model)

    held = run()
    gc.collect()
    assert [one() for one in held] == [None, None]
