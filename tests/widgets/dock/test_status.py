"""The bar in napari's activity dock."""

from __future__ import annotations

from dataclasses import replace

from napari.utils import progress

from napari_hush.widgets.dock.status import ActivityBar
from napari_hush.widgets.jobs.run_state import Activity, begin, finish


def test_a_bar_follows_the_run_and_goes_with_it(qtbot):
    bar = ActivityBar()
    bar._timer.setInterval(1)
    before = set(progress._all_instances)
    state = replace(begin(Activity.TRAINING, "cells", 0.0), total=10)
    bar.show(state)
    qtbot.waitUntil(lambda: len(progress._all_instances) > len(before))
    (shown,) = set(progress._all_instances) - before
    assert shown.desc.startswith("Training: cells")
    bar.show(replace(state, done=4))
    qtbot.waitUntil(lambda: shown.n == 4)
    bar.show(finish(state, "Trained."))
    qtbot.waitUntil(lambda: set(progress._all_instances) == before)
