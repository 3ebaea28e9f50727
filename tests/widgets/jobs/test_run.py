from __future__ import annotations

import gc
import sys
import threading
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
from qtpy.QtCore import QCoreApplication, QEvent
from qtpy.QtWidgets import QWidget

from napari_hush.errors import DataError
from napari_hush.events import Event, ImageStarted
from napari_hush.widgets.jobs.run import LONGEST_MS, SHORTEST_MS, Run, StoppableWorker
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture
def run(qtbot, results):
    owner = Run(on_result=lambda value: results.append(value) or "Done.")
    yield owner
    owner.stop()
    qtbot.waitUntil(lambda: not owner.state.busy)


@pytest.fixture
def results():
    """Results of tasks, in order."""
    return []


@pytest.fixture
def log(run):
    """Indices of events and messages of errors, in order."""
    entries = []
    run.progressed.connect(lambda events: entries.extend(event.index for event in events))
    run.refused.connect(lambda message: entries.append(f"refused: {message}"))
    run.ended.connect(lambda: entries.append(run.state.phase))
    return entries


def start(run, task):
    run.start(Activity.CHECKING, "cells", task)


def numbered(index: int) -> Event:
    return ImageStarted("", index, 0, 0)


def test_all_events_in_order_then_the_result(qtbot, run, results, log):
    threads = []

    def task(report, stop):
        threads.append(threading.current_thread())
        for index in range(1000):
            report(numbered(index))
        return "result"

    with qtbot.waitSignal(run.ended):
        start(run, task)
    assert log == [*range(1000), Phase.DONE]
    assert results == ["result"]
    assert run.state.message == "Done."
    assert threads[0] is not threading.main_thread()
    assert not run.state.busy


def test_a_hush_error_is_not_a_crash(qtbot, run, results, log, notifications):
    def task(report, stop):
        report(numbered(0))
        raise DataError("The image is empty.")

    with qtbot.waitSignal(run.ended):
        start(run, task)
    assert log == [0, "refused: The image is empty.", Phase.FAILED]
    assert run.state.message == "The image is empty."
    assert notifications() == []


def test_a_crash_reaches_napari_once_and_the_next_task_runs(
    qtbot, run, results, log, notifications
):
    def crash(report, stop):
        raise ZeroDivisionError("unforeseen")

    with qtbot.waitSignal(run.ended):
        start(run, crash)
    assert notifications() == ["unforeseen"]
    assert run.state.message == "ZeroDivisionError: unforeseen"
    with qtbot.waitSignal(run.ended):
        start(run, lambda report, stop: 1)
    assert log == [Phase.FAILED, Phase.DONE]
    assert results == [1]


def test_stopping_still_delivers_the_result(qtbot, run, results, log):
    def task(report, stop):
        report(numbered(0))
        woken = threading.Event()
        stop.when_set(woken.set)
        assert woken.wait(10)
        return "so far"

    with qtbot.waitSignal(run.progressed):
        start(run, task)
    with qtbot.waitSignal(run.ended):
        run.stop()
        assert run.state.phase is Phase.STOPPING
    assert log == [0, Phase.DONE]
    assert results == ["so far"]


@pytest.mark.parametrize(
    ("seconds", "interval"), [(0.001, SHORTEST_MS), (0.04, 1000), (9.0, LONGEST_MS)]
)
def test_events_are_delivered_as_often_as_the_window_can_paint(run, seconds, interval):
    run.setPaintTime(seconds)
    assert run._timer.interval() == interval


def test_one_task_at_a_time(qtbot, run):
    with qtbot.waitSignal(run.ended):
        start(run, lambda report, stop: None)
        with pytest.raises(RuntimeError, match="running"):
            start(run, lambda report, stop: None)


def test_destroying_the_run_stops_its_task(qtbot):
    stopped = threading.Event()
    started = threading.Event()

    def task(report, stop):
        stop.when_set(stopped.set)
        started.set()
        stopped.wait(10)

    owner = Run()
    start(owner, task)
    qtbot.waitUntil(started.is_set)
    owner.deleteLater()
    qtbot.waitUntil(stopped.is_set)


@pytest.mark.parametrize("destroy", [True, False], ids=["destroyed", "collected"])
def test_a_dock_that_is_gone_stops_its_task(qtbot, destroy):
    stopped = threading.Event()
    started = threading.Event()

    class Dock(QWidget):
        def __init__(self):
            super().__init__()
            self.run = Run(self, self.message)  # refers back to the dock: a cycle
            self.run.ended.connect(self.message)

        def message(self, result=None):
            return ""

    def task(report, stop):
        stop.when_set(stopped.set)
        started.set()
        stopped.wait(10)

    dock = Dock()
    start(dock.run, task)
    qtbot.waitUntil(started.is_set)
    gone = weakref.ref(dock)
    if destroy:
        dock.deleteLater()
    del dock
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        gc.collect()
    assert gone() is None
    assert stopped.is_set()
    qtbot.wait(50)  # the end of the task reaches nobody
    gc.collect()


@pytest.mark.parametrize("ending", [None, DataError("no"), ZeroDivisionError("no")])
def test_gpu_memory_is_released_after_each_task(qtbot, run, monkeypatch, ending):
    released = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        empty_cache=lambda: released.append(True),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))

    def task(report, stop):
        if ending is not None:
            raise ending

    start(run, task)
    qtbot.waitUntil(lambda: not run.state.busy)
    assert released == [True]


def test_a_worker_of_a_closed_window_ends_without_error(qtbot):
    done = []

    def task(report, stop):
        worker.signals.deleteLater()
        QCoreApplication.sendPostedEvents(worker.signals, QEvent.Type.DeferredDelete.value)
        done.append(True)

    worker = StoppableWorker(task, print, StopRequest())
    worker.run()
    assert done == [True]


def test_an_ended_task_is_released(qtbot, run):
    """napari keeps all workers; they must not keep images and models alive."""

    class Data:
        pass

    def run_once():
        data, model = Data(), Data()

        def task(report, stop, data=data):
            stop.when_set(partial(getattr, model, "stop", None))
            return 1

        with qtbot.waitSignal(run.ended):
            start(run, task)
        return weakref.ref(data), weakref.ref(model)

    held = run_once()
    gc.collect()
    assert [one() for one in held] == [None, None]
