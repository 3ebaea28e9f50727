from __future__ import annotations

import numpy as np
import pytest
from napari.components import LayerList
from napari.layers import Image
from npe2 import PluginManifest

from napari_hush.errors import HushError
from napari_hush.io.samples import SAMPLES
from napari_hush.widgets.data import sample_data
from napari_hush.widgets.data.helper_layers import bare
from napari_hush.widgets.data.layer_field import LayerChooser

SIMULATED = {
    "simulated_sample": ["cells (ground truth)", "cells"],
    "hot_pixels_sample": ["hot (ground truth)", "hot"],
    "line_noise_sample": ["lines (ground truth)", "lines"],
    "two_exposures_sample": ["pairs (ground truth)", "pairs (target)", "pairs"],
    "short_and_long_sample": ["care (target)", "care"],
    "movie_sample": ["movie (ground truth)", "movie"],
}


@pytest.mark.parametrize("name", SIMULATED)
def test_the_noisy_image_is_last_and_the_only_visible_one(name):
    layers = getattr(sample_data, name)()
    assert [shown["name"] for _, shown, _ in layers] == SIMULATED[name]
    assert [shown.get("visible", True) for _, shown, _ in layers[:-1]] == [False] * (
        len(layers) - 1
    )
    (noisy, look, _), (clean, other, _) = layers[-1], layers[0]
    assert look.get("visible", True)
    assert noisy.shape == clean.shape
    assert np.std(noisy - clean) > 1
    assert look["contrast_limits"] == other["contrast_limits"]


@pytest.mark.parametrize("name", SIMULATED)
def test_the_noisy_image_is_what_is_selected_and_denoised(name, qtbot):
    layers = LayerList()
    chooser = None
    for data, shown, _ in getattr(sample_data, name)():
        layers.append(Image(data, **shown))
        if chooser is None:  # the dock is open
            chooser = LayerChooser(layers)
            qtbot.addWidget(chooser)
    assert layers.selection.active is layers[-1]
    assert chooser.value() is bare(layers[-1])
    chooser.follow(bare(layers[0]))  # as when a person selects the ground truth
    assert chooser.value() is bare(layers[-1])
    chooser.setValue(bare(layers[0]))
    assert chooser.value() is bare(layers[0])


def test_real_needs_no_download():
    try:
        ((image, _, kind),) = sample_data.real_sample()
    except HushError:
        pytest.skip("scikit-image is not installed")
    assert kind == "image"
    assert image.ndim == 2


def test_the_manifest_is_valid_and_its_commands_exist():
    manifest = PluginManifest.from_distribution("napari-hush")
    manifest.validate_imports()
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == ["Denoise", "Denoise files"]
    assert len(manifest.contributions.sample_data) == len(SAMPLES)


@pytest.mark.parametrize(
    ("key", "layer", "method"),
    [("simulated", "cells", 0), ("hot", "hot", 1), ("lines", "lines", 2)],
)
def test_a_sample_opened_in_napari_is_chosen_and_checked(viewer, hand, key, layer, method):
    viewer.open_sample("napari-hush", key)
    assert viewer.layers.selection.active.name == layer
    assert hand.find("noisy_layer").currentText() == layer
    # The check of the noise chooses the method of the tutorial.
    hand.until(hand.find(f"method_{method}").isChecked)
    hand.until_ready("denoise_now")


@pytest.mark.parametrize(("key", "method"), [("pairs", 3), ("care", 4)])
def test_a_pair_can_be_trained_on(viewer, hand, key, method):
    viewer.open_sample("napari-hush", key)
    hand.click(f"method_{method}")
    assert not hand.find("train").isEnabled()
    hand.find("target_layer").setCurrentText(f"{key} (target)")
    hand.until_ready("train")
    assert hand.find("noisy_layer").currentText() == key
