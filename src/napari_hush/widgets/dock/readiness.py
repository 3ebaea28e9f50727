"""Whether a layer, its axes and the settings go together, said before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import HushError
from napari_hush.widgets.data.layers import channel_count, describe, pixel_shape

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.widgets.settings.settings_form import SettingsForm

__all__ = ["Readiness", "judge"]


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

    def but(self, training: str) -> Readiness:
        """The same, but training cannot start for another reason."""
        return replace(self, training=training)


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
        settings.value()
    except HushError as error:
        return Readiness(_plainly(str(error)), facts=facts)
    return Readiness(facts=facts)


def _plainly(sentence: str) -> str:
    """The sentence without the place in the file that it would name for a programmer."""
    _, _, rest = sentence.rpartition("config: ")
    plain = rest.removeprefix("the configuration: ")
    return plain[:1].upper() + plain[1:]
