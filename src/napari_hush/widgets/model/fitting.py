"""Whether a model fits a layer and the settings, in the words of the dock. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.config.methods import METHODS, method_of
from napari_hush.errors import HushError, counted
from napari_hush.widgets.data.layers import engine_axes, pixel_shape
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.settings.labels import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Image

    from napari_hush.config import Configuration
    from napari_hush.models import Model
    from napari_hush.quality import DataReport

_NETWORK = (
    "depth",
    "num_channels_init",
    "use_batch_norm",
    "residual",
    "n2v2",
    "time_context",
    "independent_channels",
)
"""Settings of the network that a model keeps when it is trained further."""


def axes_for(model: Model, axes: str) -> str:
    """Axes in which `model` denoises a layer with `axes`.

    A 2D model denoises the planes of a stack one by one, so Z becomes S or T.
    """
    free = _free(axes)
    planes = _dims(model) == 2 and "Z" in axes and free
    return axes.replace("Z", free[0]) if planes else axes


def note_for(model: Model, layer: Image, axes: str) -> str:
    """How `model` denoises `layer` where that is not as its axes say; mostly empty."""
    if axes_for(model, axes) == axes:
        return ""
    return f"The model is 2D, so it denoises “{layer.name}” plane by plane."


def why_not_for(model: Model, layer: Image, axes: str) -> str:
    """Why `model` cannot denoise `layer`, and what to do; empty if it can.

    Reads no pixels.
    """
    # loaded with the model by now
    from napari_hush.io import Image as Pixels
    from napari_hush.io import select_channels
    from napari_hush.io.frames import check_frames

    used = engine_axes(axes_for(model, axes))
    try:
        pixels = Pixels.from_array(whole_of(layer), used, f"“{layer.name}”")
        pixels = select_channels(pixels, model.config.data_config.channels)
    except HushError as error:
        return str(error)
    name, (_, channels, *sizes) = pixels.name, pixels.axes.canonical_shape
    if len(sizes) > _dims(model):
        return (
            f"The model denoises single planes, but {name} has S, T and Z; right-click it "
            "in the layer list, choose Split Stack, and denoise the parts."
        )
    if len(sizes) < _dims(model):
        return (
            f"The model denoises stacks, but {name} has the axes {used}; "
            f"{_if_depth(axes)}{_OTHER}."
        )
    wanted = model.config.algorithm_config.model.in_channels
    if channels != wanted:
        sizes_of = dict(zip(axes, pixel_shape(layer), strict=True))
        return (
            f"The model denoises images of {counted(wanted, 'channel')}, but {name} has "
            f"{channels}; {_if_channels(wanted, axes, sizes_of)}{_OTHER}."
        )
    try:
        check_frames(pixels, model.config.algorithm_config.model.time_context)
    except HushError as error:
        return str(error)
    return ""


def why_not_train_more(model: Model, configuration: Configuration) -> str:
    """Why `model` cannot be trained further with `configuration`; empty if it can.

    The configuration is that for the chosen layer, with its axes and channels.
    """
    theirs, ours = (one.algorithm_config.model for one in (configuration, model.config))
    axes = configuration.data_config.axes
    if theirs.conv_dims > ours.conv_dims:
        free = _free(axes)
        how = f"click Z in the axes and choose {free[0]}, or " if free else ""
        return f"The model is for planes, but the axes are {axes}; {how}{_NEW}."
    if theirs.conv_dims < ours.conv_dims:
        return f"The model is for stacks, but the axes are {axes}; {_if_depth(axes)}{_NEW}."
    for name, noun in (("in_channels", "channel"), ("num_classes", "target channel")):
        has, given = getattr(ours, name), getattr(theirs, name)
        if has != given:
            return f"The model has {counted(has, noun)}, but the data have {given}; {_NEW}."
    return why_other_settings(model, configuration)


def why_other_settings(model: Model, configuration: Configuration) -> str:
    """In what method or network `model` differs from `configuration`; empty if in none.

    Whatever the axes and channels are, which come from the image.
    """
    theirs, ours = (one.algorithm_config.model for one in (configuration, model.config))
    used, chosen = (method_of(one).label for one in (model.config, configuration))
    if used != chosen and {used, chosen} != _MASKINGS:
        return (
            f"The model was trained with {used}; choose {used} to train it further, or "
            f"press Train for a new model with {chosen}."
        )
    for name in _NETWORK[: None if ours.in_channels > 1 else -1]:
        has, given = (_said(getattr(one, name)) for one in (ours, theirs))
        if has != given:
            return (
                f"“{words_of(name)}” of the model is {has}, but {given} is set; set {has} "
                f"to train it further, or {_NEW}."
            )
    return ""


def trained_on_other_unit(model: Model, report: DataReport | None) -> bool:
    """Whether over 5 % of the pixels of the image of `report` are beyond those in training.

    Those that are darker, or those that are brighter.
    """
    from napari_hush.prediction.progress import unseen_intensities

    if report is None or len(report.channels) != len(model.normalization.means):
        return False
    most = [channel.most for channel in report.channels]
    return unseen_intensities(model).excludes(most)


_MASKINGS = {METHODS["n2v"].label, METHODS["structn2v"].label}
"""Methods that differ in the masked pixels only, so that a model can change from one to
the other."""
_OTHER = "press Denoise now for a new model, or load another one"
_NEW = "press Train for a new model"


def _dims(model: Model) -> int:
    return model.config.algorithm_config.model.conv_dims


def _free(axes: str) -> str:
    """Letters for images that are denoised one by one, without those in use."""
    return "".join(letter for letter in "ST" if letter not in axes)


def _if_depth(axes: str) -> str:
    """Advice for stacks whose depth has another letter; empty if there is none."""
    letter = next((letter for letter in "TS" if letter in axes), "")
    return f"if {letter} is depth, click it in the axes and choose Z, else " * bool(letter)


def _if_channels(wanted: int, axes: str, sizes: Mapping[str, int]) -> str:
    """Advice for images whose channels are others than those of a model."""
    if "C" in axes:
        free = _free(axes) if wanted == 1 else ""
        how = f"click C in the axes and choose {free[:1]} to denoise them one by one, else "
        return how * bool(free)
    letter = next((letter for letter in "TSZ" if sizes.get(letter) == wanted), "")
    how = f"if {letter} are the channels, click it in the axes and choose C, else "
    return how * bool(letter)


def _said(value: bool | int) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)
