"""Sample data, in File > Open Sample > Hush."""

from __future__ import annotations

from typing import Any

from napari_hush.io.samples import SAMPLES
from napari_hush.widgets.data.layers import REFERENCE

LayerData = tuple[Any, dict[str, Any], str]
"""Pixels, keyword arguments and type of a layer, as in the manifest of npe2."""

_WORDS = {"": "{}", "target": "{} (target)", "ground_truth": "{} (ground truth)"}
"""Names of layers, by the kind of image."""


def simulated_sample() -> list[LayerData]:
    """Cells with independent noise and, hidden, their ground truth."""
    return _layers("cells")


def hot_pixels_sample() -> list[LayerData]:
    """Cells with hot pixels and, hidden, their ground truth."""
    return _layers("hot")


def line_noise_sample() -> list[LayerData]:
    """Cells with noise along lines and, hidden, their ground truth."""
    return _layers("lines")


def two_exposures_sample() -> list[LayerData]:
    """An exposure of cells and, hidden, a second one and the ground truth."""
    return _layers("pairs")


def short_and_long_sample() -> list[LayerData]:
    """Short exposures of two scenes and, hidden, long ones."""
    return _layers("care")


def movie_sample() -> list[LayerData]:
    """A simulated movie and, hidden, its ground truth."""
    return _layers("movie")


def real_sample() -> list[LayerData]:
    """A micrograph of tissue from scikit-image; nothing is downloaded."""
    return _layers("tissue")


def _layers(name: str) -> list[LayerData]:
    """The images of a sample; the noisy one is the last, which napari selects."""
    images = SAMPLES[name].images()
    look: dict[str, Any] = {}
    clean = images.target if images.ground_truth is None else images.ground_truth
    if clean is not None:
        look["contrast_limits"] = [float(clean.min()), float(clean.max())]
    if len(images.axes) > 2:
        look["axis_labels"] = tuple(images.axes)
    layers: list[LayerData] = []
    for kind, pixels in reversed(images.named().items()):
        shown = {"name": _WORDS[kind].format(name), **look}
        if kind:
            shown |= {"visible": False, "metadata": {REFERENCE: kind}}
        layers.append((pixels, shown, "image"))
    return layers
