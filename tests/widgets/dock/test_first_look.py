"""The result of the built-in denoiser, which is there before training ends."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.jobs import denoising_plan, run_state

FIRST = "cells denoised (before training)"


@pytest.fixture
def ready(viewer, hand, noisy, quick):
    """The dock with a layer to train on, for longer than the built-in denoiser takes."""
    viewer.add_image(noisy, name="cells")
    hand.dock.setValue(quick(num_epochs=100, num_steps=200))
    return hand


def names(viewer) -> list[str]:
    return [layer.name for layer in viewer.layers]


def test_a_first_look_gives_way_only_to_a_result_that_is_no_worse(
    viewer, ready, noisy, quick, monkeypatch
):
    monkeypatch.setattr(run_state, "FEW", 10**6)  # the steps are fast
    ready.click("denoise_now")
    ready.until(lambda: FIRST in viewer.layers)
    ready.until(lambda: np.std(viewer.layers[FIRST].data) < np.std(noisy))
    assert viewer.layers[FIRST].data.shape == noisy.shape
    assert ready.find("stop").isVisible()
    ready.until(lambda: "before training on this image" in ready.find("verdict").toolTip())
    ready.until(lambda: "step" in ready.status)
    ready.click("stop")
    ready.until_ready("denoise_now")
    assert "Stopped early" in ready.status
    assert "trains the model further" in ready.status
    assert names(viewer) == ["cells", FIRST]
    steps = ready.dock.model.steps
    ready.dock.setValue(quick())
    assert "was stopped early; Denoise now trains it further" in ready.status
    ready.click("denoise_now")
    ready.until(lambda: "cells denoised" in viewer.layers)
    ready.until(lambda: f"“{FIRST}” is better" in ready.find("verdict").text())
    assert ready.dock.model.steps == steps + 6
    assert names(viewer) == ["cells", FIRST, "cells denoised"]
    # one that was found no better gives way to the next result
    viewer.layers[FIRST].metadata["napari_hush"]["quality"]["verdict"] = "structure lost"
    ready.until_ready("denoise_now")
    ready.click("denoise_now")
    ready.until(lambda: "cells denoised 2" in viewer.layers)
    ready.until(lambda: FIRST not in viewer.layers)
    assert ready.dock.model.steps == 6  # a new one, as that before lost structure


def test_after_a_few_steps_the_status_names_the_share_of_the_built_in_denoiser(
    viewer, hand, quick
):
    rng = np.random.default_rng(0)
    blobs = 60 + 40 * np.sin(np.mgrid[:256, :256] / 9).prod(0)
    viewer.add_image(rng.poisson(blobs).astype(np.float32), name="cells")
    hand.dock.setValue(quick())
    hand.train()
    hand.denoise()
    share = hand.dock.model.built_in_share
    assert f"Denoised into “cells denoised”; {share.in_words}." in hand.status
    assert share.shares[0] > 0.5
    card = hand.find("model_card").text()
    assert f"{share.percent} of results: built-in denoiser" in card


def test_of_a_long_movie_only_the_visible_frame_is_looked_at(
    viewer, hand, noisy, quick, monkeypatch
):
    monkeypatch.setattr(denoising_plan, "FIRST_LOOK_PIXELS", noisy.size)
    movie = np.stack([noisy] * 8)
    viewer.add_image(movie, name="cells", axis_labels=("t", "y", "x"))
    hand.dock.setValue(quick("TYX", num_epochs=100, num_steps=200))
    viewer.dims.set_current_step(0, 3)
    hand.click("denoise_now")
    name = "cells denoised (slice, before training)"
    hand.until(lambda: name in viewer.layers)
    hand.until(lambda: "the rest is denoised after training" in hand.status)
    result = viewer.layers[name].data
    changed = [not np.array_equal(plane, noisy) for plane in result]
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
    hand.until(
        lambda: "There is no first look, because the noise is correlated." in hand.status
    )
    hand.until(lambda: "lines denoised" in viewer.layers)
    hand.until_ready("denoise_now")
    assert names(viewer) == ["lines", "lines denoised"]
