"""Live previews: pixels, place and size, and when they are made."""

import queue
import time
from dataclasses import replace

import numpy as np
import pytest

from napari_hush.careamist import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.widgets.jobs.previewer import (
    Previewer,
    PreviewThread,
    VisibleRegion,
    has_levelled,
)
from napari_hush.widgets.jobs.task_events import LatestModel, PreviewReady


@pytest.fixture(scope="module")
def noisy():
    return np.random.default_rng(0).normal(20, 3, (3, 300, 260)).astype(np.float32)


@pytest.fixture(scope="module")
def model(noisy):
    config = create_n2v_configuration(
        "quick", "array", "TYX", patch_size=[16, 16], batch_size=2, num_epochs=1,
        num_steps=1, model_params={"num_channels_init": 8},
    )  # fmt: skip
    engine = CAREamist(config)
    engine.train(train_source=noisy)
    return engine.model


def _previewer(noisy, **settings):
    return Previewer(noisy, "TYX", rgb=False, visible=VisibleRegion(), **settings)


def test_the_preview_matches_the_denoised_image(noisy, model):
    bounds = slice(1, 2), slice(64, 128), slice(32, 160)
    preview = _previewer(noisy).preview(model, VisibleRegion(bounds))
    assert preview.bounds == bounds
    assert preview.step == 1
    whole = CAREamist(model).predict(noisy)
    assert preview.pixels.shape == (1, 64, 128)
    # Away from the border of the crop the pooling grid may lie differently by some pixels.
    assert np.allclose(preview.pixels, whole[bounds], atol=0.3 * noisy.std())


@pytest.mark.parametrize("frame", [0, 1, 2, 4])
def test_a_preview_sees_the_frames_around(noisy, frame):
    movie = np.concatenate([noisy, noisy])[:5, :96, :96]
    config = create_n2v_configuration(
        "movie", "array", "TYX", patch_size=[16, 16], batch_size=2, num_epochs=1,
        num_steps=1, model_params={"num_channels_init": 8}, time_context=1,
    )  # fmt: skip
    engine = CAREamist(config)
    engine.train(train_source=movie)
    bounds = slice(frame, frame + 1), slice(0, 96), slice(0, 96)
    preview = _previewer(movie).preview(engine.model, VisibleRegion(bounds))
    whole = engine.predict(movie)[bounds]
    np.testing.assert_allclose(preview.pixels, whole, atol=1e-3)


def test_a_large_view_is_previewed_in_its_middle(noisy, model):
    everything = VisibleRegion((slice(0, 3), slice(0, 300), slice(0, 260)))
    preview = _previewer(noisy).preview(model, everything)
    assert [(p.start + p.stop) // 2 for p in preview.bounds] == [1, 150, 130]
    assert preview.pixels.shape == (1, 192, 192)


@pytest.mark.parametrize(
    ("shown", "pixels", "sides"),
    [
        ((100, 300, 260), 40**3, (40, 40, 40)),
        ((10, 300, 260), 40**3, (10, 80, 80)),
        ((1, 300, 260), 90**2, (1, 90, 90)),
        ((1, 30, 20), 90**2, (1, 30, 20)),
    ],
)
def test_a_preview_of_a_volume_has_no_more_pixels_than_one_of_a_plane(shown, pixels, sides):
    """In 3D, 192 pixels along each side would take a minute."""
    previewer = Previewer(None, "ZYX", rgb=False, visible=VisibleRegion(), pixels=pixels)
    limited = previewer._limited(tuple(slice(0, size) for size in shown))
    assert tuple(part.stop - part.start for part in limited) == sides


def test_no_preview_without_a_visible_part(noisy, model):
    previewer = _previewer(noisy)
    shown = slice(0, 1), slice(0, 9), slice(0, 9)
    empty = slice(0, 1), slice(5, 5), slice(0, 9)
    for visible in (
        VisibleRegion(),
        VisibleRegion(empty),
        VisibleRegion(shown, on=False),
    ):
        assert previewer.preview(model, visible) is None


def test_a_paused_training_is_previewed_where_the_view_moves(noisy, model):
    """Without a new model, and within two seconds each time."""
    events = queue.Queue()
    with PreviewThread(_previewer(noisy), events.put) as thread:
        thread.give(model)
        assert events.get(timeout=60).model is model
        for frame in (2, 0, 1):
            thread.look(
                VisibleRegion((slice(frame, frame + 1), slice(0, 32), slice(0, 40)))
            )
            started = time.monotonic()
            preview = events.get(timeout=60)
            assert preview.bounds[0] == slice(frame, frame + 1)
            assert time.monotonic() - started < 2
        thread.look(VisibleRegion(on=False))
    assert events.empty()


def test_new_models_are_previewed_with_pauses_between(noisy, model, monkeypatch):
    """At 3 % of the time, the second preview of a run comes after 32 times the first."""
    events = []
    previewer = _previewer(noisy)
    visible = VisibleRegion((slice(0, 1), slice(0, 32), slice(0, 40)))
    with PreviewThread(previewer, events.append) as thread:
        thread.look(visible)
        deadline = time.monotonic() + 60
        while not any(isinstance(e, PreviewReady) for e in events):
            thread.give(replace(model))
            assert time.monotonic() < deadline
        thread.give(replace(model))
    assert len([e for e in events if isinstance(e, PreviewReady)]) == 1
    assert len([e for e in events if isinstance(e, LatestModel)]) >= 2


def test_a_failing_preview_is_reported_once_and_models_go_on(noisy, model):
    events = []
    with PreviewThread(_previewer(noisy[..., 0]), events.append) as thread:
        thread.look(VisibleRegion((slice(0, 1), slice(0, 32), slice(0, 40))))
        thread.give(model)
        _until(lambda: len(events) == 2)
        thread.give(model)
    assert [type(e).__name__ for e in events].count("PreviewFailed") == 1
    assert [type(e).__name__ for e in events].count("LatestModel") == 2


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_loss_has_levelled_once_it_falls_slowly():
    """Loss curves as of Noise2Void: 1 at first, then the noise floor, with scatter."""
    rng = np.random.default_rng(0)
    steps = np.arange(300)
    falling = (0.3 + 0.7 * np.exp(-steps / 30)) * rng.normal(1, 0.03, 300)
    first = next(n for n in steps if has_levelled(falling[:n]))
    assert 60 < first < 150
    assert not has_levelled(falling[:20])
    assert has_levelled(np.full(300, 0.3))
