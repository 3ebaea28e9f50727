"""Checks, before a run, whether a layer, its axes and the settings fit together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import HushError
from napari_hush.widgets.data.layers import (
    channel_count,
    engine_axes,
    engine_shape,
    pixel_shape,
)

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.widgets.data.chosen_files import ImageOnDisk
    from napari_hush.widgets.settings.settings_form import SettingsForm


@dataclass(frozen=True)
class Readiness:
    """Why a run cannot start, each reason in one sentence or empty."""

    training: str = ""
    """Why training cannot start."""
    denoising: str = ""
    """Why the layer cannot be denoised."""
    training_more: str = ""
    """Why the current model cannot be trained further, if a new one can be trained."""
    other_settings: str = ""
    """In what method or network the current model differs from the settings."""
    note: str = ""
    """How the current model denoises the layer, where that is not obvious."""
    axes_wrong: bool = False
    """Whether the axes are the reason."""
    waiting: str = ""
    """Work that has to end before anything can start, such as reading a file."""
    facts: str = ""
    """Size and pixel size of the layer."""


def check_inputs(
    layer: Image | ImageOnDisk | None, axes: str, settings: SettingsForm, facts: str = ""
) -> Readiness:
    """Check the inputs together, and adapt `settings` to the axes and channels of `layer`.

    Reads no pixels; the engine refuses those that cannot be trained on. `facts` describe
    the image.
    """
    shape = () if layer is None else pixel_shape(layer)
    try:
        known = validate_axes(engine_axes(axes))
        if layer is not None:
            AxesMap(known, engine_shape(axes, shape))
    except HushError as error:
        return Readiness(str(error), str(error), axes_wrong=True, facts=facts)
    settings.setImage(known, None if layer is None else channel_count(axes, shape))
    if layer is None:
        nothing = "Open an image to begin."
        return Readiness(nothing, nothing)
    try:
        settings.value()
    except HushError as error:
        return Readiness(without_path(str(error)), facts=facts)
    return Readiness(facts=facts)


def without_path(sentence: str) -> str:
    """The sentence without the name of the field in the configuration."""
    _, _, rest = sentence.rpartition("config: ")
    plain = rest.removeprefix("the configuration: ")
    return plain[:1].upper() + plain[1:]
