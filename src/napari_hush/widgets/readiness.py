"""Whether a layer, its axes and the settings go together, said before anything starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_hush.axes import AxesMap, spatial_axes, validate_axes
from napari_hush.errors import HushError
from napari_hush.widgets.layers import channel_count, describe, pixel_shape

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.config import Configuration
    from napari_hush.widgets.settings_form import SettingsForm

__all__ = ["Readiness", "judge", "patch_problem"]


@dataclass(frozen=True)
class Readiness:
    """What stands in the way, each in one sentence; empty where nothing does."""

    training: str = ""
    """Why training cannot start."""
    denoising: str = ""
    """Why the layer cannot be denoised, whatever the model."""
    axes_wrong: bool = False
    """Whether it is the axes."""
    facts: str = ""
    """The layer's size in words."""


def judge(layer: Image | None, axes: str, settings: SettingsForm) -> Readiness:
    """Judge the inputs together. Tells `settings` what image they are for.

    Nothing is read: pixels that cannot be trained on are found out by the engine.
    """
    facts = "" if layer is None else describe(layer)
    shape = () if layer is None else pixel_shape(layer)
    try:
        validate_axes(axes)
        if layer is not None:
            AxesMap(axes, shape)
    except HushError as error:
        return Readiness(str(error), str(error), axes_wrong=True, facts=facts)
    settings.setImage(axes, None if layer is None else channel_count(axes, shape))
    if layer is None:
        nothing = "Open or add an image to begin."
        return Readiness(nothing, nothing)
    try:
        problem = patch_problem(settings.value(), shape)
    except HushError as error:
        problem = _plainly(str(error))
    return Readiness(problem, facts=facts)


def patch_problem(configuration: Configuration, shape: tuple[int, ...]) -> str:
    """Why patches do not fit into data of `shape`, in one sentence; empty if they do."""
    data = configuration.data_config
    for letter, patch in zip(spatial_axes(data.axes), data.patch_size, strict=True):
        size = shape[data.axes.index(letter)]
        if size < patch:
            return (
                f"The image is {size} pixels along {letter} but the patches are {patch}; "
                "use smaller patches or a larger image."
            )
    return ""


def _plainly(sentence: str) -> str:
    """The sentence without the place in the file that it would name for a programmer."""
    _, _, rest = sentence.rpartition("config: ")
    plain = rest.removeprefix("the configuration: ")
    return plain[:1].upper() + plain[1:]
