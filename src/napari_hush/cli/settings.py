"""From the options of a command to a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.cli.options import help_of
from napari_hush.config import (
    Configuration,
    DataConfig,
    N2VManipulateConfig,
    fitting_pool_z,
    fitting_transforms,
    load_configuration,
    set_field,
)
from napari_hush.config.files import SUFFIXES
from napari_hush.errors import ConfigurationError
from napari_hush.io import file_type, list_files, named_axes, open_images

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

ALGORITHMS = ("n2v", "n2v2", "structn2v", "n2n", "care")

_OPTIONS: dict[str, tuple[str, str, Callable[[str], Any], str]] = {
    # option: (part of the configuration, field, type, metavar)
    "--epochs": ("training_config", "num_epochs", int, "N"),
    "--steps": ("training_config", "num_steps", int, "N"),
    "--level": ("data_config", "level", int, "N"),
    "--batch-size": ("data_config", "batch_size", int, "N"),
    "--learning-rate": ("optimizer", "learning_rate", float, "RATE"),
    "--masked-pixels": ("n2v_config", "masked_pixel_percentage", float, "PERCENT"),
    "--depth": ("model", "depth", int, "N"),
    "--filters": ("model", "num_channels_init", int, "N"),
    "--seed": ("data_config", "seed", int, "N"),
    "--device": ("training_config", "device", str, "DEVICE"),
    "--precision": ("training_config", "precision", str, "{auto,32,bf16}"),
    "--logger": ("training_config", "logger", str, "{csv,tensorboard,wandb,none}"),
    "--devices": ("training_config", "devices", int, "N"),
    "--nodes": ("training_config", "nodes", int, "N"),
    "--strategy": ("training_config", "strategy", str, "{auto,ddp}"),
}
"""Settings that people change most. The others are within reach of ``--set``."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options for the settings of a configuration."""
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as the file says"
    )
    parser.add_argument(
        "--channels",
        type=int,
        nargs="+",
        metavar="N",
        help=help_of(DataConfig.model_fields["channels"].description, None),
    )
    struct = N2VManipulateConfig.model_fields
    parser.add_argument(
        "--struct-axis",
        choices=get_args(struct["struct_mask_axis"].annotation)[1:],
        help="for structn2v: " + help_of(struct["struct_mask_axis"].description, None),
    )
    span = struct["struct_mask_span"]
    parser.add_argument(
        "--struct-span",
        type=int,
        metavar="N",
        help="for structn2v: " + help_of(span.description, span.default),
    )
    sizes = DataConfig.model_fields["patch_size"].description
    parser.add_argument(
        "--patch-size",
        type=int,
        nargs="+",
        metavar="N",
        help=help_of(sizes, "64 64, or 16 64 64"),
    )
    sections = _sections(Configuration())
    for option, (part, field, kind, metavar) in _OPTIONS.items():
        section = sections[part]
        parser.add_argument(
            option,
            type=kind,
            metavar=metavar,
            dest=field,
            help=help_of(
                type(section).model_fields[field].description, getattr(section, field)
            ),
        )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="any other setting, by its name or as much of its path as it takes, e.g. "
        "ema_decay=0.9 or optimizer.name=SGD; values as in YAML. hush config shows all of "
        "them. Can be given several times",
    )


def configuration(
    options: argparse.Namespace,
    images: list[str],
    algorithm: str | None,
    file: str | None = None,
    *,
    paired: bool = False,
) -> Configuration:
    """A configuration file, or the defaults, with the given options put in.

    Parameters
    ----------
    options : Namespace
        Has what `add_settings` adds.
    images : list of str
        Axes and channels are read from the first, where nobody says them; may be empty.
    algorithm : str, optional
        One of `ALGORITHMS`; by default that of the file, or n2v.
    file : str, optional
        A configuration to start from.
    paired : bool
        Whether there are targets.
    """
    tree = (load_configuration(file) if file else Configuration()).model_dump()
    kind = tree["data_config"]["data_type"] = (
        file_type(images, "tiff") if images else "tiff"
    )
    level = tree["data_config"]["level"] if options.level is None else options.level
    first = list_files(images, kind)[0] if images else None
    axes = options.axes
    if axes is None and not file and first is not None:
        axes = named_axes(first, level)
    if axes is not None:
        axes = validate_axes(axes)
        tree["data_config"]["axes"] = axes
        dims = len(spatial_axes(axes))
        if dims != tree["algorithm_config"]["model"]["conv_dims"]:
            tree["algorithm_config"]["model"]["conv_dims"] = dims
            tree["data_config"]["patch_size"] = (16, 64, 64)[-dims:]
        if "C" in axes and first is not None:
            (image,) = open_images([first], kind, axes, level=level)
            _set_channels(tree, image.axes.canonical_shape[1])
    if options.channels:
        tree["data_config"]["channels"] = tuple(options.channels)
        _set_channels(tree, len(options.channels))
    if options.patch_size:
        tree["data_config"]["patch_size"] = tuple(options.patch_size)
    for part, field, _, _ in _OPTIONS.values():
        if (given := getattr(options, field)) is not None:
            _section(tree, part)[field] = given
    settings = list(_settings(options))
    for name, value in settings:
        set_field(Configuration, tree, name, value)
    if algorithm == "structn2v" and not file and options.masked_pixel_percentage is None:
        # a share of its own, as in create_n2v_configuration
        del tree["algorithm_config"]["n2v_config"]["masked_pixel_percentage"]
    _choose_algorithm(tree, options, algorithm, paired)
    if tree["algorithm_config"]["model"]["conv_dims"] == 3 and not file:
        planes = tree["data_config"]["patch_size"][0]
        network = tree["algorithm_config"]["model"]
        network["pool_z"] = fitting_pool_z(planes, network["depth"])
    for name, value in settings:  # said is said, whatever else follows from the rest
        set_field(Configuration, tree, name, value)
    return Configuration.build(tree)


def split_configuration(options: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The configuration file, as an option or first of the images, and the images."""
    first, *others = options.images or [""]
    if Path(first).suffix.lower() not in SUFFIXES:
        return options.config, options.images
    if options.config:
        raise ConfigurationError(
            f"Two configurations are given, {first!r} and {options.config!r}; give one."
        )
    return first, others


def _settings(options: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """What ``--set`` says; the same setting may be said only once."""
    known = {
        set_field(Configuration, {}, f"{part}.{field}", None): option
        for option, (part, field, _, _) in _OPTIONS.items()
        if getattr(options, field) is not None
    }
    for option in ("axes", "channels", "patch_size"):
        if getattr(options, option):
            known[f"data_config.{option}"] = f"--{option.replace('_', '-')}"
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--set {text} says no value; write --set {name}=VALUE."
            )
        path = set_field(Configuration, {}, name, None)
        if path in known:
            raise ConfigurationError(
                f"{known[path]} and --set {name} both say what {path} is; give one of them."
            )
        known[path] = f"--set {name}"
        try:
            yield name, yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigurationError(
                f"--set {text} is no value of YAML; write for example --set "
                "patch_size='[32, 32]'."
            ) from error


def _choose_algorithm(
    tree: dict[str, Any], options: argparse.Namespace, wish: str | None, paired: bool
) -> None:
    """Put the method into a configuration, and what follows from it and from the patch."""
    algorithm = tree["algorithm_config"]
    masking, network = algorithm["n2v_config"], algorithm["model"]
    match wish:
        case "n2n" | "care":
            algorithm["algorithm"] = wish
            algorithm["loss"] = "mse" if wish == "n2n" else "mae"
            network["n2v2"], masking["strategy"] = False, "uniform"
        case "n2v" | "n2v2" | "structn2v":
            algorithm["algorithm"] = algorithm["loss"] = "n2v"
            network["n2v2"] = wish == "n2v2"
            masking["strategy"] = "median" if network["n2v2"] else "uniform"
            masking["struct_mask"], masking["struct_mask_axis"] = None, "none"
    if wish == "structn2v":
        masking["struct_mask_axis"] = options.struct_axis or "horizontal"
    elif options.struct_axis:
        raise ConfigurationError(
            f"--struct-axis {options.struct_axis} goes with --algorithm structn2v; add it, "
            "or leave the axis out."
        )
    if options.struct_span is not None:
        masking["struct_mask_span"] = options.struct_span
    if wish == "structn2v":
        fit = fitting_transforms(N2VManipulateConfig.build(masking), network["conv_dims"])
        tree["data_config"]["transforms"] = tuple(fit)
    if paired and algorithm["algorithm"] == "n2v":
        raise ConfigurationError(
            "--target is for methods that learn from pairs; add --algorithm n2n or care."
        )


def _set_channels(tree: dict[str, Any], count: int) -> None:
    for which in ("in_channels", "num_classes"):
        tree["algorithm_config"]["model"][which] = count


def _sections(config: Configuration) -> dict[str, Any]:
    """The parts of a configuration whose fields have options."""
    algorithm = config.algorithm_config
    return {
        "training_config": config.training_config,
        "data_config": config.data_config,
        "optimizer": algorithm.optimizer,
        "n2v_config": algorithm.n2v_config,
        "model": algorithm.model,
    }


def _section(tree: dict[str, Any], part: str) -> dict[str, Any]:
    section: dict[str, Any] = tree[part] if part in tree else tree["algorithm_config"][part]
    return section
