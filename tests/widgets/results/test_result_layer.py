"""The layer of a result: added first, shown a moment later."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.data.layers import Origin
from napari_hush.widgets.results.canvas import Canvas
from napari_hush.widgets.results.result_layer import ResultLayer


def made(viewer, noisy) -> ResultLayer:
    return result_of(viewer, viewer.add_image(noisy, name="cells"))


def result_of(viewer, layer, **settings) -> ResultLayer:
    canvas = Canvas(layer.data, "YX", rgb=False)
    return ResultLayer(viewer, Origin.of(layer), canvas, **settings)


@pytest.fixture
def result(viewer, noisy):
    return made(viewer, noisy)


def shown(viewer):
    return viewer.layers["cells denoised"].visible


def test_the_layer_is_shown_after_the_event_that_adds_it(viewer, noisy, qtbot):
    result = made(viewer, noisy)  # not a fixture: events are handled after those
    assert (result.is_seen, shown(viewer)) == (False, False)
    qtbot.waitUntil(lambda: result.is_seen)
    assert shown(viewer)


def test_a_layer_that_the_user_hides_stays_hidden(viewer, result, qtbot):
    qtbot.waitUntil(lambda: result.is_seen)
    viewer.layers["cells denoised"].visible = False
    result.finish()
    assert not shown(viewer)


@pytest.mark.parametrize("tiles", [None, 1])
def test_the_layer_is_shown_at_the_end_of_a_fast_run(viewer, result, tiles):
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


def test_a_first_look_gives_way_to_the_next_unless_it_was_renamed(viewer, noisy):
    layer = viewer.add_image(noisy, name="cells")
    result_of(viewer, layer, before_training=True).finish()
    result_of(viewer, layer, part="slice", before_training=True).finish()
    name = "cells denoised (slice, before training)"
    assert [one.name for one in viewer.layers] == ["cells", name]
    viewer.layers[name].name = "mine"
    result_of(viewer, layer, before_training=True).finish()
    first = "cells denoised (before training)"
    assert [one.name for one in viewer.layers] == ["cells", "mine", first]


def test_a_result_covers_a_first_look_once_a_tile_is_done(viewer, noisy, qtbot):
    layer = viewer.add_image(noisy, name="cells")
    result_of(viewer, layer, before_training=True).finish()
    result = result_of(viewer, layer)
    qtbot.wait(60)
    assert not shown(viewer)
    result.show([(slice(0, 1), slice(0, 1), slice(0, 8), slice(0, 8))])
    assert shown(viewer)
