"""The layer of a result: made first, shown a moment later."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.data.layers import Origin
from napari_hush.widgets.results.canvas import Canvas
from napari_hush.widgets.results.result_layer import ResultLayer


@pytest.fixture
def result(viewer, noisy):
    layer = viewer.add_image(noisy, name="cells")
    canvas = Canvas(noisy, "YX", rgb=False)
    return ResultLayer(viewer, Origin.of(layer), canvas)


def shown(viewer):
    return viewer.layers["cells denoised"].visible


def test_it_is_made_in_one_turn_of_the_event_loop_and_shown_in_another(
    viewer, result, qtbot
):
    assert (result.is_seen, shown(viewer)) == (False, False)
    qtbot.waitUntil(lambda: result.is_seen)
    assert shown(viewer)


def test_one_that_is_hidden_by_hand_stays_hidden(viewer, result, qtbot):
    qtbot.waitUntil(lambda: result.is_seen)
    viewer.layers["cells denoised"].visible = False
    result.finish()
    assert not shown(viewer)


@pytest.mark.parametrize("tiles", [None, 1])
def test_a_quick_end_does_not_wait(viewer, result, tiles):
    if tiles is None:
        result.finish()
        assert shown(viewer)
    else:
        result.finish_partial(tiles)
        assert viewer.layers["cells denoised (partial)"].visible


def test_removed_before_it_was_seen(viewer, result, qtbot):
    viewer.layers.remove("cells denoised")
    qtbot.wait(60)
    assert not result.is_there
    np.testing.assert_equal([layer.name for layer in viewer.layers], ["cells"])
