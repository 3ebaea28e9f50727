"""A training run as text: a Python script or a command line that makes the same model."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from napari_hush import io
from napari_hush.errors import SourceTypeError
from napari_hush.widgets.data.chosen_files import ImageOnDisk
from napari_hush.widgets.data.layers import pixel_shape
from napari_hush.widgets.data.regions import Extent

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

    from napari_hush.boxes import Box
    from napari_hush.config import Configuration
    from napari_hush.widgets.data.chosen_data import ChosenData


def as_python(
    configuration: Configuration, data: ChosenData, viewer: napari.viewer.Viewer
) -> str:
    """A script that trains and saves the same model as the dock.

    It reads layers that are whole files from there, and takes the pixels of others from
    ``viewer``, for the console of napari.
    """
    needs_targets = configuration.algorithm_config.needs_targets
    roles = _roles(data, needs_targets)
    data_type = _data_type(data, roles)
    if data_type is not None:
        configuration = _of_type(configuration, data_type)
        sources = {
            role: repr([str(path) for path in _paths(layers)])
            for role, layers in roles.items()
        }
    else:
        windows = data.windows(viewer)
        sources = {
            role: _arrays(layers, windows if role in _CUT else None)
            for role, layers in roles.items()
        }
    arguments = "".join(f"    {name}={source},\n" for name, source in sources.items())
    values = pprint.pformat(configuration.model_dump(), width=88, sort_dicts=False)
    return (
        "from napari_hush import CAREamist\n"
        "from napari_hush.config import Configuration\n"
        "from napari_hush.lightning import TrainDataModule\n\n"
        f"config = Configuration.build(\n{_indented(values)}\n)\n"
        "data = TrainDataModule(\n"
        "    config.data_config,\n"
        f"{arguments}"
        "    val_minimum_split=1,\n"
        ")\n"
        "careamist = CAREamist(source=config)\n"
        "careamist.train(datamodule=data)\n"
        f'careamist.save("{configuration.experiment_name}.safetensors")\n'
    )


def as_command(configuration: Configuration, data: ChosenData) -> str:
    """Shell commands that train the same model as the dock from whole files."""
    needs_targets = configuration.algorithm_config.needs_targets
    roles = _roles(data, needs_targets)
    if "train_mask" in roles:
        raise SourceTypeError("The command line takes no masks; copy as Python instead.")
    if data.extent is not Extent.EVERYTHING:
        raise SourceTypeError(
            "The command line trains on whole files; copy as Python instead, or train on "
            "whole layers."
        )
    data_type = _data_type(data, roles)
    if data_type is None:
        layers = [layer for many in roles.values() for layer in many]
        first = _type_of(layers[0])
        odd = next(one for one in layers if first is None or _type_of(one) != first)
        raise SourceTypeError(
            f"The command line reads whole files of one format, but “{odd.name}” is not "
            "such a file; save the layers as TIFF and open them again, or copy as Python."
        )
    name = configuration.experiment_name
    text = yaml.safe_dump(
        _of_type(configuration, data_type).model_dump(mode="json"), sort_keys=False
    )
    files = {
        role: " ".join(shlex.quote(str(path)) for path in _paths(layers))
        for role, layers in roles.items()
    }
    others = "".join(
        f" {option} {files[role]}" for role, option in _OPTIONS.items() if role in files
    )
    settings, model = shlex.quote(f"{name}.yml"), shlex.quote(f"{name}.safetensors")
    return (
        f"cat > {settings} <<'END'\n{text}END\n"
        f"hush train {files['train_data']}{others} --config {settings} -o {model}\n"
    )


def source_of(layer: Image | ImageOnDisk) -> Path | None:
    """The file of a layer, or the image in one; None if it has none."""
    if isinstance(layer, ImageOnDisk):
        return layer.path
    named = layer.source.path or layer.metadata.get("path")
    return Path(named) if named else None


_OPTIONS = {
    "train_data_target": "--target",
    "val_data": "--val",
    "val_data_target": "--val-target",
}
"""Options of the command line for further files."""
_CUT = ("train_data", "train_data_target", "train_mask")
"""Roles that are cut to the part to train on."""


def _roles(data: ChosenData, needs_targets: bool) -> dict[str, tuple[Image, ...]]:
    roles = {
        "train_data": data.noisy,
        "val_data": data.validation,
        "train_data_target": data.target if needs_targets else (),
        "val_data_target": data.validation_target if needs_targets else (),
        "train_mask": data.mask,
    }
    return {role: layers for role, layers in roles.items() if layers}


def _data_type(data: ChosenData, roles: dict[str, tuple[Image, ...]]) -> str | None:
    """The common type of files of all layers; None if there is none or a part is used."""
    types = {_type_of(layer) for layers in roles.values() for layer in layers}
    whole = data.extent is Extent.EVERYTHING and "train_mask" not in roles
    return types.pop() if len(types) == 1 and whole else None


def _type_of(layer: Image) -> str | None:
    path = source_of(layer)
    if path is None or getattr(layer, "rgb", False) or not io.file_of(path).exists():
        return None
    data_type = io.format_of(path)
    if isinstance(layer, ImageOnDisk) or data_type is None:
        return data_type
    if len(io.images_of(path, data_type)) != 1:
        return None
    # A layer may show one channel of a file, or have its dimensions in another order.
    shapes = pixel_shape(layer), io.FORMATS[data_type].open(path, "", 0)[0].shape
    ours, theirs = ([size for size in shape if size > 1] for shape in shapes)
    return data_type if ours == theirs else None


def _of_type(configuration: Configuration, data_type: str) -> Configuration:
    data = configuration.data_config.model_dump() | {"data_type": data_type}
    return configuration.replace(data_config=data)


def _paths(layers: Sequence[Image | ImageOnDisk]) -> list[Path | None]:
    """The files of layers; the folder instead of all of its images."""
    folder = getattr(layers[0], "folder", None)
    if folder and all(getattr(one, "folder", None) == folder for one in layers):
        return [folder]
    return [source_of(layer) for layer in layers]


def _arrays(layers: Sequence[Image], windows: list[list[Box]] | None) -> str:
    parts = []
    for number, layer in enumerate(layers):
        if isinstance(layer, ImageOnDisk):
            raise SourceTypeError(
                "Files that are not open as layers can be copied only if all images are "
                f"files of one format; open {str(layer.path)!r} as a layer."
            )
        pixels = f"viewer.layers[{layer.name!r}].data{'[0]' if layer.multiscale else ''}"
        if getattr(layer, "rgb", False):
            pixels += "[..., :3]"
        cuts = [None] if windows is None else windows[number]
        parts += [pixels + _index(window, layer) for window in cuts]
    return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"


def _index(window: Box | None, layer: Any) -> str:
    """The window as an index; empty if it is all of the layer."""
    shape = layer.data[0].shape if layer.multiscale else layer.data.shape
    if window is None:
        return ""
    spans = [
        ":" if (part.start, part.stop) == (0, size) else f"{part.start}:{part.stop}"
        for part, size in zip(window, shape, strict=False)
    ]
    return "" if set(spans) == {":"} else f"[{', '.join(spans)}]"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())
