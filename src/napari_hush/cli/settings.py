"""From the options of ``hush train`` to a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_hush.cli.options import data_type
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from napari_hush.config import Configuration

OPTIONS = {
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
}
ALGORITHMS = ("n2v", "n2v2", "structn2v", "n2n", "care")


def configuration(options: argparse.Namespace) -> Configuration:
    """The configuration file, or the defaults, with the given options put in."""
    from napari_hush.axes import spatial_axes, validate_axes
    from napari_hush.config import Configuration, load_configuration
    from napari_hush.io import list_files, named_axes, open_images

    values = load_configuration(options.config) if options.config else Configuration()
    tree = values.model_dump()
    kind = tree["data_config"]["data_type"] = data_type(options)
    level = tree["data_config"]["level"] if options.level is None else options.level
    first = list_files(options.images, kind)[0]
    axes = options.axes
    if axes is None and not options.config:
        axes = named_axes(first, level)
    if axes is not None:
        axes = validate_axes(axes)
        tree["data_config"]["axes"] = axes
        dims = len(spatial_axes(axes))
        if dims != tree["algorithm_config"]["model"]["conv_dims"]:
            tree["algorithm_config"]["model"]["conv_dims"] = dims
            tree["data_config"]["patch_size"] = (16, 64, 64)[-dims:]
        if "C" in axes:
            (image,) = open_images([first], kind, axes, level=level)
            channels = image.axes.canonical_shape[1]
            tree["algorithm_config"]["model"]["in_channels"] = channels
            tree["algorithm_config"]["model"]["num_classes"] = channels
    if options.channels:
        tree["data_config"]["channels"] = tuple(options.channels)
        for count in ("in_channels", "num_classes"):
            tree["algorithm_config"]["model"][count] = len(options.channels)
    if options.patch_size:
        tree["data_config"]["patch_size"] = tuple(options.patch_size)
    for part, field, _, _ in OPTIONS.values():
        if (given := getattr(options, field)) is not None:
            _section(tree, part)[field] = given
    _choose_algorithm(tree, options)
    return Configuration.build(tree)


def _choose_algorithm(tree: dict[str, Any], options: argparse.Namespace) -> None:
    """Put the method into a configuration, and what follows from it and from the patch."""
    from napari_hush.config import N2VManipulateConfig, fitting_pool_z, fitting_transforms

    algorithm = tree["algorithm_config"]
    masking, network = algorithm["n2v_config"], algorithm["model"]
    match options.algorithm:
        case "n2n" | "care":
            algorithm["algorithm"] = options.algorithm
            algorithm["loss"] = "mse" if options.algorithm == "n2n" else "mae"
            network["n2v2"], masking["strategy"] = False, "uniform"
        case "n2v" | "n2v2" | "structn2v":
            algorithm["algorithm"] = algorithm["loss"] = "n2v"
            network["n2v2"] = options.algorithm == "n2v2"
            masking["strategy"] = "median" if network["n2v2"] else "uniform"
            masking["struct_mask"], masking["struct_mask_axis"] = None, "none"
    if options.algorithm == "structn2v":
        masking["struct_mask_axis"] = options.struct_axis or "horizontal"
    elif options.struct_axis:
        raise ConfigurationError(
            f"--struct-axis {options.struct_axis} goes with --algorithm structn2v; add it, "
            "or leave the axis out."
        )
    if options.struct_span is not None:
        masking["struct_mask_span"] = options.struct_span
    if options.algorithm == "structn2v":
        fit = fitting_transforms(N2VManipulateConfig.build(masking), network["conv_dims"])
        tree["data_config"]["transforms"] = tuple(fit)
    if options.target and algorithm["algorithm"] == "n2v":
        raise ConfigurationError(
            "--target is for methods that learn from pairs; add --algorithm n2n or care."
        )
    if network["conv_dims"] == 3 and not options.config:
        planes = tree["data_config"]["patch_size"][0]
        network["pool_z"] = fitting_pool_z(planes, network["depth"])


def sections(config: Configuration) -> dict[str, Any]:
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
