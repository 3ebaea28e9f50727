"""Garbage collections of napari do not block the window, and still free what goes."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from qtpy.QtTest import QTest

from napari_hush.widgets.dock.short_collections import LOOK_MS
from napari_hush.widgets.jobs.tasks import LOADER
from napari_hush.widgets.results.pairing import result_mark


class Pixels(np.ndarray):
    """Pixels that can be watched."""


def _pixels() -> tuple[np.ndarray, weakref.ref]:
    pixels = np.zeros((32, 32), np.float32).view(Pixels)
    return pixels, weakref.ref(pixels)


@pytest.fixture
def frozen(viewer, hand):
    """The dock with a pair of layers, once the objects are frozen."""
    import napari_hush.careamist  # noqa: F401

    noisy = np.random.default_rng(0).poisson(50, (256, 256)).astype(np.uint16)
    before = viewer.add_image(noisy, name="cells")
    viewer.add_image(noisy.astype(np.float32), metadata=result_mark(str(before.unique_id)))
    hand.until(lambda: gc.get_freeze_count() > 200_000, 60)
    return hand


@pytest.mark.parametrize("view", ["swipe", "side_by_side", "residual", "blink"])
def test_a_comparison_is_closed_in_150_ms(viewer, frozen, view):
    best = np.inf
    for _ in range(3):  # others use the processor, too
        frozen.compare(view)
        started = time.thread_time()
        frozen.compare(view)
        best = min(best, time.thread_time() - started)
    assert best < 0.15


def test_layers_that_are_removed_can_be_freed(viewer, frozen):
    later, is_later_there = _pixels()
    viewer.add_image(later, name="later")
    del later
    viewer.layers.remove("later")
    assert gc.get_freeze_count() > 200_000
    gc.collect()
    assert is_later_there() is None


def test_layers_that_were_open_before_are_freed_as_well(viewer, hand):
    import napari_hush.careamist  # noqa: F401

    early, is_early_there = _pixels()
    viewer.add_image(early, name="early")
    del early
    hand.until(lambda: gc.get_freeze_count() > 200_000, 60)
    viewer.layers.remove("early")
    hand.until(lambda: is_early_there() is None, 20)
    assert gc.get_freeze_count() > 200_000


def test_nothing_is_frozen_while_a_task_runs(viewer, frozen, noisy, quick):
    early, is_early_there = _pixels()
    viewer.add_image(early, name="early")
    del early
    viewer.layers.selection = {viewer.layers["cells"]}
    gc.freeze()  # as if it had been there before
    frozen.dock.setValue(quick(num_epochs=10_000))
    frozen.until_ready("train")
    frozen.click("train")
    frozen.until(lambda: frozen.dock.state.done > 0, 120)
    viewer.layers.remove(viewer.layers[1])
    viewer.layers.remove("early")
    frozen.until(lambda: is_early_there() is None, 20)
    QTest.qWait(3 * LOOK_MS)
    assert frozen.dock.state.busy
    assert gc.get_freeze_count() == 0
    frozen.click("stop")
    frozen.until(lambda: gc.get_freeze_count() > 200_000, 20)


def test_training_and_denoising_wait_for_the_engine(viewer, hand, noisy, quick):
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick())
    for button in ("train", "denoise"):
        hand.until_ready(button)
        loaded = threading.Event()
        threading.Thread(target=loaded.wait, name=LOADER).start()
        hand.click(button)
        QTest.qWait(500)
        state = hand.dock.state
        assert (state.busy, state.total) == (True, 0)  # nothing is planned yet
        loaded.set()
        hand.until(lambda: not hand.dock.state.busy)
    assert [layer.name for layer in viewer.layers] == ["cells", "cells denoised"]


def test_everything_is_thawed_with_the_dock(viewer, frozen):
    viewer.window.remove_dock_widget(frozen.dock)
    assert gc.get_freeze_count() == 0


def test_views_that_were_closed_leave_nothing(viewer, frozen):
    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    counts = []
    for _ in range(4):
        for view in ("swipe", "residual", "blink"):
            frozen.compare(view)
            frozen.compare(view)
        counts.append(objects())
    assert counts[-1] - counts[1] < 300
