"""Sample data, in File > Open Sample > Hush."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_hush.io import samples

if TYPE_CHECKING:
    LayerData = tuple[Any, dict[str, Any], str]


def simulated_sample() -> list[LayerData]:
    """A simulated micrograph and, hidden at first, its ground truth."""
    noisy, ground_truth = samples.simulated()
    limits = [float(ground_truth.min()), float(ground_truth.max())]
    return [
        (noisy, {"name": "cells", "contrast_limits": limits}, "image"),
        (
            ground_truth,
            {"name": "cells (ground truth)", "contrast_limits": limits, "visible": False},
            "image",
        ),
    ]


def real_sample() -> list[LayerData]:
    """A micrograph of tissue from scikit-image; nothing is downloaded."""
    return [(samples.real(), {"name": "tissue"}, "image")]
