"""Sample data, in File > Open Sample > Hush."""

from __future__ import annotations

from typing import Any

from napari_hush.io import samples

LayerData = tuple[Any, dict[str, Any], str]
"""Pixels, keyword arguments and type of a layer, as in the manifest of npe2."""


def simulated_sample() -> list[LayerData]:
    """A simulated micrograph and, hidden at first, its ground truth."""
    return _with_truth("cells", *samples.simulated())


def movie_sample() -> list[LayerData]:
    """A simulated movie and, hidden at first, its ground truth."""
    return _with_truth("movie", *samples.movie(), axis_labels=("T", "Y", "X"))


def _with_truth(name: str, noisy: Any, ground_truth: Any, **more: Any) -> list[LayerData]:
    limits = [float(ground_truth.min()), float(ground_truth.max())]
    look = {"contrast_limits": limits, **more}
    hidden = {"name": f"{name} (ground truth)", "visible": False, **look}
    return [(noisy, {"name": name, **look}, "image"), (ground_truth, hidden, "image")]


def real_sample() -> list[LayerData]:
    """A micrograph of tissue from scikit-image; nothing is downloaded."""
    return [(samples.real(), {"name": "tissue"}, "image")]
