"""The task that denoises a layer: tiles, and the model in training."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from napari_hush.careamist import CAREamist
from napari_hush.events import ImageStarted
from napari_hush.models import built_in_denoiser
from napari_hush.models.file import BuiltInShare
from napari_hush.widgets.data.layers import Origin
from napari_hush.widgets.jobs.denoising_task import Denoising
from napari_hush.widgets.jobs.task_events import CanvasReady
from napari_hush.widgets.jobs.tasks import StopRequest


@pytest.fixture
def model(quick, noisy):
    engine = CAREamist(quick())
    engine.train(train_source=noisy)
    return engine.model


@pytest.fixture
def task(model, noisy):
    return Denoising(model, noisy, "YX", False, Origin("cells", {}))


def _run(task):
    events = []
    canvas = task(events.append, StopRequest())
    (started,) = (e for e in events if isinstance(e, ImageStarted))
    return canvas, started.num_tiles, events


def test_tile_and_batch_size_change_no_pixel(task, model, noisy):
    whole, few, _ = _run(task)
    tiled, many, _ = _run(replace(task, tile_side=16, batch_size=3))
    assert many == 4 * 5 > few  # 64 x 72 pixels
    assert np.allclose(tiled.out, whole.out, rtol=1e-5)
    assert np.allclose(whole.out, CAREamist(model).predict(noisy), rtol=1e-5)


def test_the_model_in_training_is_awaited_and_recorded(task, model):
    newer: Future = Future()
    threading.Timer(0.05, newer.set_result, [replace(model, steps=123)]).start()
    _, _, events = _run(replace(task, newer=newer))
    (ready,) = (e for e in events if isinstance(e, CanvasReady))
    assert ready.record["model"]["steps"] == 123


def test_cancel_ends_the_wait_for_the_model(task):
    stop = StopRequest()
    threading.Timer(0.05, stop.set).start()
    assert replace(task, newer=Future())(print, stop) is None


def test_the_output_of_the_network_alone_is_recorded_as_such(task, model, noisy):
    share = BuiltInShare((0.5,), built_in_denoiser().provenance.built_in_sha256)
    curve = ((0.0, 0.25, 1e9),)
    mixed = replace(model, own_value=(curve,), built_in_share=share)
    both = replace(task, model=mixed)
    alone, _, events = _run(replace(both, network_alone=True))
    np.testing.assert_array_equal(alone.out, _run(task)[0].out)
    assert np.any(alone.out != _run(both)[0].out)
    (ready,) = (e for e in events if isinstance(e, CanvasReady))
    assert ready.record["settings"]["own_value"] == "off"
    expected = CAREamist(mixed).predict(noisy, own_value="off")
    np.testing.assert_array_equal(alone.out, expected)
