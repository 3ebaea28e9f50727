import numpy as np
import pytest

from napari_hush.careamist import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.widgets.jobs.previewer import Previewer, VisibleRegion


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


def _previewer(noisy, bounds, **settings):
    visible, shown = VisibleRegion(bounds), []
    previewer = Previewer(noisy, "TYX", rgb=False, visible=visible, **settings)
    previewer.report = shown.append
    return previewer, visible, shown


def test_the_preview_matches_the_denoised_image(noisy, model):
    bounds = slice(1, 2), slice(64, 128), slice(32, 160)
    previewer, _, shown = _previewer(noisy, bounds)
    previewer.update(model)
    preview, latest = shown
    assert preview.bounds == bounds
    whole = CAREamist(model).predict(noisy)
    assert preview.pixels.shape == (1, 64, 128)
    # Away from the border of the crop the pooling grid may lie differently by some pixels.
    assert np.allclose(preview.pixels, whole[bounds], atol=0.3 * noisy.std())
    assert latest.model is model


def test_a_large_view_is_previewed_in_its_middle(noisy, model):
    previewer, _, shown = _previewer(noisy, (slice(0, 3), slice(0, 300), slice(0, 260)))
    previewer.update(model)
    preview, _ = shown
    assert [(p.start + p.stop) // 2 for p in preview.bounds] == [1, 150, 130]
    assert preview.pixels.shape == (1, 192, 192)


def test_no_preview_without_a_visible_part(noisy, model):
    previewer, visible, shown = _previewer(noisy, None)
    previewer.update(model)
    visible.bounds = slice(0, 1), slice(5, 5), slice(0, 9)
    previewer.update(model)
    visible.bounds = slice(0, 1), slice(0, 9), slice(0, 9)
    visible.on = False
    previewer.update(model)
    assert [one.model for one in shown] == [model] * 3  # handed on, and no more
