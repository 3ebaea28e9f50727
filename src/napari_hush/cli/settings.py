"""The configuration that the options of a command describe."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.boxes import Boxes, box_size
from napari_hush.cli.main import AXES, help_of
from napari_hush.config import Configuration, fitting_pool_z, load_configuration, set_field
from napari_hush.config.algorithm import Weights
from napari_hush.config.base import field_paths
from napari_hush.config.configuration import SUFFIXES, plain_values
from napari_hush.config.data import DEFAULT_PATCH, fitting_patch
from napari_hush.config.methods import METHODS, STRUCT_AXES, Tree, with_method
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import (
    Image,
    Selection,
    file_type,
    find_images,
    first_image,
    images_of,
    named_axes,
    open_images,
)
from napari_hush.io.zarr.store import address_of

_log = logging.getLogger(__name__)

_ALPHA_PIXELS = 2**22
_ALPHA_BOXES = 8
"""Boxes in which the fourth channel is read, and pixels of each."""

METHOD_HELP = " ".join(f"{key}: {each.sentence}" for key, each in METHODS.items())


def number(text: str) -> float:
    """An int, or a float if `text` has a decimal point."""
    return float(text) if "." in text else int(text)


_OPTIONS: dict[str, tuple[str, Callable[[str], Any], str | None]] = {
    # option: (setting, type, metavar)
    "--target-axes": ("data_config.target_axes", str, "AXES"),
    "--channels": ("data_config.channels", int, "N"),
    "--struct-axis": ("algorithm_config.n2v_config.struct_mask_axis", str, None),
    "--struct-span": ("algorithm_config.n2v_config.struct_mask_span", int, "N"),
    "--patch-size": ("data_config.patch_size", int, "N"),
    "--epochs": ("training_config.num_epochs", int, "N"),
    "--steps": ("training_config.num_steps", number, "N"),
    "--level": ("data_config.level", int, "N"),
    "--series": ("data_config.series", int, "N"),
    "--scene": ("data_config.scene", int, "N"),
    "--field": ("data_config.field", int, "N"),
    "--batch-size": ("data_config.batch_size", int, "N"),
    "--learning-rate": ("algorithm_config.optimizer.learning_rate", float, "RATE"),
    "--masked-pixels": (
        "algorithm_config.n2v_config.masked_pixel_percentage",
        float,
        "PERCENT",
    ),
    "--weights": ("algorithm_config.weights", str, None),
    "--time-context": ("algorithm_config.model.time_context", int, "N"),
    "--depth": ("algorithm_config.model.depth", int, "N"),
    "--filters": ("algorithm_config.model.num_channels_init", int, "N"),
    "--val-percentage": ("data_config.val_percentage", float, "FRACTION"),
    "--val-patches": ("data_config.max_val_patches", int, "N"),
    "--seed": ("data_config.seed", int, "N"),
    "--device": ("training_config.device", str, "DEVICE"),
    "--precision": ("training_config.precision", str, "{auto,32,bf16}"),
    "--logger": ("training_config.logger", str, "{csv,tensorboard,wandb,none}"),
    "--devices": ("training_config.devices", int, "N"),
    "--nodes": ("training_config.nodes", int, "N"),
    "--strategy": ("training_config.strategy", str, "{auto,ddp}"),
}
"""Options for the settings that people change most; ``--set`` takes the others."""

_CHOICES = {"--struct-axis": STRUCT_AXES, "--weights": get_args(Weights)}
_ALIASES = {"--val-percentage": ["--val-share"]}
_NARGS = {"--channels": "+", "--patch-size": "+"}
_DEFAULTS = {
    "--masked-pixels": "5, for structn2v 1.5",
    "--patch-size": "64 64, or 16 64 64",
    "--struct-axis": STRUCT_AXES[0],
    "--target-axes": "read from the file",
    "--weights": "auto: built-in where they fit, else random",
}
"""Defaults to show where they depend on the axes or on the method."""
MEASURED = 1000
"""Images whose size is read for the default patch size, at most about."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add options for the settings of a configuration."""
    parser.add_argument("--axes", help=f"{AXES} (default: read from the file)")
    fields = field_paths(Configuration)
    for option, (path, kind, metavar) in _OPTIONS.items():
        field = fields[path]
        text = help_of(field.description, _DEFAULTS.get(option, field.default))
        if option.startswith("--struct"):
            text = f"for structn2v: {text.replace(' (structN2V)', '')}"
        parser.add_argument(
            option,
            *_ALIASES.get(option, ()),
            type=kind,
            metavar=metavar,
            choices=_CHOICES.get(option),
            nargs=_NARGS.get(option),
            help=text,
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="any other setting, by its name or the unambiguous end of its path, e.g. "
        "ema_decay=0.9 or optimizer.name=SGD; values as in YAML; repeatable. "
        "'hush config n2v' lists all settings",
    )


def configuration(
    options: argparse.Namespace,
    images: list[str],
    method: str | None,
    file: str | Configuration | None = None,
    *,
    paired: bool = False,
    val: Sequence[str] = (),
) -> Configuration:
    """The configuration `file`, or the default one, changed by the options.

    Axes and channels are read from the first of the images, if any, unless given.
    `paired` is whether there are targets, `val` are validation images.
    """
    given = load_configuration(file) if isinstance(file, str) else file
    tree = (given or Configuration()).model_dump()
    of_file = tree["data_config"]["patch_size"] if file else None
    _set_axes(tree, options, images, read_axes=file is None)
    if options.channels:
        _set_channels(tree, len(options.channels))
    if method is not None:
        span = tree["algorithm_config"]["n2v_config"]["struct_mask_span"]
        axis = options.struct_axis or STRUCT_AXES[0]
        tree = with_method(tree, METHODS[method], axis, span)
    if file is None or options.target_axes:
        _set_target_axes(tree, options)
    if options.struct_axis and method != "structn2v":
        raise ConfigurationError(
            f"--struct-axis {options.struct_axis} is for the method structn2v only; "
            f"{_choose(options)} structn2v, or leave the option out."
        )
    changed = _set_options(tree, options)
    if tree["algorithm_config"]["algorithm"] == "n2v" and (paired or options.target_axes):
        option = "--target" if paired else "--target-axes"
        raise ConfigurationError(
            f"{option} is for methods that learn from pairs; {_choose(options)} n2n or "
            "care."
        )
    keeps_pool_z = bool(file) or "algorithm_config.model.pool_z" in changed
    config = _build(tree, keeps_pool_z=keeps_pool_z)
    size = config.data_config.patch_size
    inherited = not file and "data_config.axes" not in changed
    is_default = size != of_file and "data_config.patch_size" not in changed
    if images and (inherited or is_default):
        opened = _open(config, [*images, *val], inherited=inherited)
    if images and is_default:
        fitting, why = _fitting_patch_size(config, opened, keeps_pool_z=keeps_pool_z)
        if fitting != size:
            tree["data_config"]["patch_size"] = fitting
            config = _build(tree, keeps_pool_z=keeps_pool_z)
            if not options.quiet:
                print(f"Patch size {' x '.join(map(str, fitting))}: {why}", file=sys.stderr)
    return config


def _choose(options: argparse.Namespace) -> str:
    """How the method of the command is chosen."""
    return "add --algorithm" if hasattr(options, "algorithm") else "choose the method"


def _build(tree: Tree, *, keeps_pool_z: bool) -> Configuration:
    network = tree["algorithm_config"]["model"]
    if network["conv_dims"] == 3 and not keeps_pool_z:
        planes = tree["data_config"]["patch_size"][0]
        network["pool_z"] = fitting_pool_z(planes, network["depth"])
    return Configuration.build(tree)


def _open(config: Configuration, paths: list[str], *, inherited: bool) -> list[Image]:
    """Open the images; of very many files only some, for training opens all of them."""
    data = config.data_config
    files = find_images(paths, data.data_type, report=False).files
    files = [_absolute(file) for file in files[:: -(-len(files) // MEASURED)]]
    more = {**data.selection, "inherited": inherited}
    return open_images(files, data.data_type, data.axes, **more)


def _absolute(path: Path) -> Path:
    """The path as training opens it, so that no warning is given twice."""
    return path if address_of(path) else path.absolute()


def _fitting_patch_size(
    config: Configuration, images: list[Image], *, keeps_pool_z: bool
) -> tuple[tuple[int, ...], str]:
    """The default patch size, reduced to the smallest of the images, and the reason."""
    data, steps = config.data_config, config.algorithm_config.model.multiple
    if not keeps_pool_z:
        steps = (1, *steps[-2:])[-len(steps) :]
    fits = [
        fitting_patch(image.axes.canonical_shape[2:], data.patch_size, steps, image.name)
        for image in images
    ]
    what = "the image" if len(fits) == 1 else "the smallest image"
    reason = f"{what} is smaller than the default"
    if steps[:-2] and all(shape[0] == 1 for shape in fits):
        reason += "; for a single plane, leave Z out of the axes and train in 2D"
    return tuple(map(min, data.patch_size, *fits)), reason


def split_configuration(options: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The configuration file, an option or the first of the images, and the images."""
    first, *others = options.images or [""]
    if Path(first).suffix.lower() not in SUFFIXES:
        return options.config, options.images
    if options.config:
        raise ConfigurationError(
            f"Two configurations are given, {first!r} and {options.config!r}; give one."
        )
    return first, others


def _set_axes(
    tree: Tree, options: argparse.Namespace, images: list[str], *, read_axes: bool
) -> None:
    """Set the data type, axes and channels, and the dimensions that follow from them."""
    data, network = tree["data_config"], tree["algorithm_config"]["model"]
    chosen = dict(text.partition("=")[::2] for text in options.set)
    preferred = data["data_type"]
    for name in ("data_type", "data_config.data_type"):
        preferred = chosen.get(name, preferred)
    kind = data["data_type"] = file_type(images, preferred) if images else "tiff"
    selection = {
        name: data[name] if getattr(options, name) is None else getattr(options, name)
        for name in Selection._fields
    }
    first = None
    if images:
        first = images_of(first_image(images, kind), kind, Selection(**selection))[0]
    axes = options.axes
    if axes is None and read_axes and first is not None:
        axes = named_axes(first, selection["level"])
    if axes is None:
        return
    axes = data["axes"] = validate_axes(axes)
    dims = len(spatial_axes(axes))
    if dims != network["conv_dims"]:
        network["conv_dims"] = dims
        data["patch_size"] = DEFAULT_PATCH[-dims:]
    if "C" in axes and first is not None:
        (image,) = open_images([_absolute(first)], kind, axes, level=selection["level"])
        _set_channels(tree, image.axes.canonical_shape[1])
        chosen_channels = options.channels or data["channels"] or "channels" in chosen
        if not chosen_channels and "data_config.channels" not in chosen:
            _leave_out_alpha(tree, image)


def _set_target_axes(tree: Tree, options: argparse.Namespace) -> None:
    """Set the axes of targets that differ in their C only, and their channels."""
    data, network = tree["data_config"], tree["algorithm_config"]["model"]
    targets = getattr(options, "target", None)
    if not targets or tree["algorithm_config"]["algorithm"] == "n2v":
        return
    kind, level = data["data_type"], options.level or data["level"]
    selection = Selection(level, options.series, options.scene, options.field)
    first = images_of(first_image(targets, kind), kind, selection)[0]
    axes = options.target_axes
    if axes is None:
        with suppress(DataError):  # the file does not name them
            axes = named_axes(first, level)
        if axes is None or axes.replace("C", "") != data["axes"].replace("C", ""):
            axes = data["axes"]
    (image,) = open_images([_absolute(first)], kind, axes, level=level)
    count = image.axes.canonical_shape[1]
    if axes != data["axes"]:
        data["target_axes"] = axes
    if count != network["in_channels"]:
        network["num_classes"], network["independent_channels"] = count, False


def _leave_out_alpha(tree: Tree, image: Image) -> None:
    """Leave out the last of four channels, if it is constant: RGBA without transparency."""
    shape = image.axes.canonical_shape[1:]
    if shape[0] != 4:
        return
    boxes = Boxes(shape[1:], box_size(shape[1:], _ALPHA_PIXELS))
    looked_at = np.linspace(0, len(boxes) - 1, min(len(boxes), _ALPHA_BOXES)).round()
    values: set[float] = set()
    for number in looked_at:
        alpha = image.samples[0][(slice(3, 4), *boxes[int(number)])]
        values |= {float(alpha.min()), float(alpha.max())}
        if len(values) > 1:
            return
    tree["data_config"]["channels"] = (0, 1, 2)
    _set_channels(tree, 3)
    _log.warning(
        "The fourth channel of %s is %g everywhere, so it is left out as alpha; results "
        "have the other three.",
        image.name,
        *values,
    )


def _set_channels(tree: Tree, count: int) -> None:
    network = tree["algorithm_config"]["model"]
    network["in_channels"] = network["num_classes"] = count


def _set_options(tree: Tree, options: argparse.Namespace) -> set[str]:
    """Put the options and the values of ``--set`` into `tree`; return their paths."""
    given = {"data_config.axes": "--axes"} if options.axes else {}
    for option, (path, *_) in _OPTIONS.items():
        value = getattr(options, option[2:].replace("-", "_"))
        if value is not None:
            set_field(Configuration, tree, path, value)
            given[path] = option
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--set {text} has no value; write --set {name}=VALUE."
            )
        try:
            values = plain_values(value.encode())
        except ValueError as error:
            raise ConfigurationError(
                f"--set {text:.200} is not YAML of plain values; write for example "
                "--set patch_size='[32, 32]'."
            ) from error
        path = set_field(Configuration, tree, name, values)
        if path in given:
            raise ConfigurationError(
                f"{given[path]} and --set {name} both set {path}; give one of them."
            )
        given[path] = f"--set {name}"
    return set(given)
