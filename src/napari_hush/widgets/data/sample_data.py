"""Sample data, in File > Open Sample > Hush."""

from __future__ import annotations

from typing import Any

from napari_hush.io import samples

LayerData = tuple[Any, dict[str, Any], str]
"""Pixels, keyword arguments and type of a layer, as in the manifest of npe2."""


def simulated_sample() -> list[LayerData]:
    """A simulated micrograph and, hidden at first, its ground truth."""
    noisy, ground_truth = samples.simulated()
    look = {"contrast_limits": [float(ground_truth.min()), float(ground_truth.max())]}
    hidden = {"name": "cells (ground truth)", "visible": False, **look}
    return [(noisy, {"name": "cells", **look}, "image"), (ground_truth, hidden, "image")]


def real_sample() -> list[LayerData]:
    """A micrograph of tissue from scikit-image; nothing is downloaded."""
    return [(samples.real(), {"name": "tissue"}, "image")]
