from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_hush.errors import HushError
from napari_hush.widgets.data import sample_data


@pytest.mark.parametrize("name", ["simulated", "movie"])
def test_simulated_is_noisy_with_ground_truth(name):
    (noisy, first, _), (truth, second, _) = getattr(sample_data, f"{name}_sample")()
    assert noisy.shape == truth.shape
    assert np.std(noisy - truth) > 1
    assert "ground truth" in second["name"]
    assert first["contrast_limits"] == second["contrast_limits"]


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
    assert len(manifest.contributions.sample_data) == 3
