"""The result of the built-in denoiser, which is there before training ends."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.jobs import denoising_plan

FIRST = "cells denoised (before training)"


@pytest.fixture
def ready(viewer, hand, noisy, quick):
    """The dock with a layer to train on, for longer than the built-in denoiser takes."""
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick(num_epochs=100, num_steps=200))
    return hand


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_a_first_look_gives_way_to_the_result_of_training(viewer, ready, noisy):
    ready.click("denoise_now")
    ready.until(lambda: FIRST in viewer.layers)
    ready.until(lambda: np.std(viewer.layers[FIRST].data) < np.std(noisy))
    assert viewer.layers[FIRST].data.shape == noisy.shape
    assert ready.find("stop").isVisible()
    ready.until(lambda: "before training on this image" in ready.find("verdict").toolTip())
    ready.click("stop")
    ready.until_ready("denoise_now")
    assert names(viewer) == ["cells", FIRST]
    ready.click("denoise_now")
    ready.until(lambda: names(viewer) == ["cells", "cells denoised"])


def test_of_a_long_movie_only_the_visible_frame_is_looked_at(
    viewer, hand, noisy, quick, monkeypatch
):
    monkeypatch.setattr(denoising_plan, "FIRST_LOOK_PIXELS", noisy.size)
    movie = np.stack([noisy] * 8)
    viewer.add_image(movie, name="cells", axis_labels=("t", "y", "x"))
    hand.dock.setValue(quick("TYX", num_epochs=100, num_steps=200))
    viewer.dims.set_current_step(0, 3)
    hand.click("denoise_now")
    hand.until(lambda: FIRST in viewer.layers)
    hand.until(lambda: not np.array_equal(viewer.layers[FIRST].data[3], noisy))
    changed = [not np.array_equal(plane, noisy) for plane in viewer.layers[FIRST].data]
    assert changed == [frame == 3 for frame in range(8)]
    hand.click("stop")
    hand.until_ready("denoise_now")


def test_correlated_noise_gets_no_first_look(viewer, hand):
    noise = np.random.default_rng(0).normal(0, 10, (128, 130))
    along_x = noise[:, 1:-1] + 0.9 * noise[:, :-2] + 0.9 * noise[:, 2:]
    viewer.add_image((100 + along_x).astype(np.float32), name="lines")
    for name in ("num_epochs", "num_steps", "batch_size"):
        hand.find(name).setValue(1)
    hand.click("denoise_now")
    hand.until(lambda: "lines denoised" in viewer.layers)
    hand.until_ready("denoise_now")
    assert names(viewer) == ["lines", "lines denoised"]
