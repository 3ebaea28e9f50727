"""The command line: ``hush train``, ``hush predict`` and ``hush check``.

Only what a command needs is imported, so ``hush --help`` loads neither torch nor the
configuration. Options of ``train`` take their defaults and help from the configuration.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_hush import __version__
from napari_hush.errors import ConfigurationError, ExistingFileError, HushError
from napari_hush.events import (
    EpochDone,
    Event,
    FileWritten,
    ImageStarted,
    PixelsClipped,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingStarted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.config import Configuration
    from napari_hush.resuming import Command

_OPTIONS = {
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


_ALGORITHMS = ("n2v", "n2v2", "structn2v", "n2n", "care")
_IMAGES = "TIFF files or Zarr stores, or a folder of TIFF files"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, or 2 for bad input."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = _parser(arguments[0] if arguments else "")
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except HushError as error:
        print(f"hush: {error}", file=sys.stderr)
        return 2
    return 0


class Bars:
    """Tells of a running job with bars and lines; a callable for ``on_progress``.

    Parameters
    ----------
    quiet : bool
        Tell nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._val_loss = ""

    def __call__(self, event: Event) -> None:
        """Show what `event` tells."""
        match event:
            case TrainingStarted():
                steps = event.num_epochs * event.steps_per_epoch
                self._open(f"Training on {event.device}", steps, "step")
            case StepsDone():
                self._bar.set_postfix_str(
                    f"loss {event.losses[-1]:.3f}{self._val_loss}, "
                    f"{event.patches_per_second:.0f} patches/s",
                    refresh=False,
                )
                self._bar.update(len(event.losses))
            case EpochDone(val_loss=float()):
                self._val_loss = f", validation {event.val_loss:.3f}"
            case ImageStarted():
                self._close()
                self._open(f"Denoising {Path(event.name).name}", event.num_tiles, "tile")
            case TilesDone():
                self._bar.update(event.done - self._bar.n)
                if event.done == event.num_tiles:
                    self._close()
            case PixelsClipped() if event.clipped and not self._quiet:
                self._close()
                print(
                    f"{event.clipped} of {event.num_pixels} pixels of {event.name} were "
                    f"beyond what {event.dtype} can hold and were clipped"
                )
            case FileWritten():
                self._close()
                if not self._quiet:
                    print(f"Wrote {event.path}")
            case TrainingDone():
                self._close()

    def _open(self, what: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=what, total=total, unit=unit, disable=self._quiet, dynamic_ncols=True
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hush",
        description="Train a denoiser on your own images, and denoise images with it.",
    )
    parser.add_argument("--version", action="version", version=f"hush {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    train = commands.add_parser(
        "train",
        help="learn to denoise from noisy images",
        description="Learn to denoise from noisy TIFF or Zarr images (Noise2Void) and save "
        "the model. Ctrl-C ends training early and keeps the model; what was killed goes "
        "on with --resume.",
        epilog="example: hush train cells.tif --axes YX --epochs 50 -o cells.safetensors",
    )
    train.set_defaults(run=_train)
    predict = commands.add_parser(
        "predict",
        help="denoise images with a model",
        description="Denoise TIFF or Zarr images into TIFF files, with a model that hush "
        "train or napari saved.",
        epilog="example: hush predict cells.safetensors cells.tif -o cells_clean.tif",
    )
    predict.set_defaults(run=_predict)
    check = commands.add_parser(
        "check",
        help="look at the noise of an image and say which method fits",
        description="Look at the noise of an image (TIFF, Zarr or CZI) and say which "
        "method fits it.",
        epilog="example: hush check cells.tif",
    )
    check.set_defaults(run=_check)
    _add_check_options(check)
    # Building these options loads the configuration.
    if command == "train":
        _add_train_options(train)
    elif command == "predict":
        _add_predict_options(predict)
    return parser


def _add_train_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import Configuration, DataConfig, N2VManipulateConfig

    parser.add_argument("images", nargs="*", metavar="IMAGE", help=_IMAGES)
    parser.add_argument("-o", "--output", metavar="MODEL.safetensors")
    parser.add_argument(
        "--resume",
        metavar="FOLDER",
        help="go on with a run that was cut off; MODEL.run lies beside the model's place "
        "until that is saved. Give nothing else",
    )
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as the file says"
    )
    parser.add_argument(
        "--config", metavar="FILE.yml", help="start from this configuration"
    )
    parser.add_argument(
        "--algorithm",
        choices=_ALGORITHMS,
        help="n2v, n2v2 and structn2v learn from noisy images alone, n2n from pairs of "
        "noisy ones, care from pairs with clean ones (default: n2v)",
    )
    parser.add_argument(
        "--target",
        metavar="IMAGE",
        nargs="+",
        help="for n2n and care: what the images should become, in the same order or, in "
        "folders, of the same names",
    )
    parser.add_argument(
        "--val-target", metavar="IMAGE", nargs="+", help="the same for those of --val"
    )
    parser.add_argument(
        "--channels",
        type=int,
        nargs="+",
        metavar="N",
        help=_help(DataConfig.model_fields["channels"].description, None),
    )
    struct = N2VManipulateConfig.model_fields
    parser.add_argument(
        "--struct-axis",
        choices=get_args(struct["struct_mask_axis"].annotation)[1:],
        help="for structn2v: " + _help(struct["struct_mask_axis"].description, None),
    )
    parser.add_argument(
        "--struct-span",
        type=int,
        metavar="N",
        help="for structn2v: "
        + _help(struct["struct_mask_span"].description, struct["struct_mask_span"].default),
    )
    default = Configuration()
    parser.add_argument(
        "--patch-size",
        type=int,
        nargs="+",
        metavar="N",
        help=_help(DataConfig.model_fields["patch_size"].description, "64 64, or 16 64 64"),
    )
    for option, (part, field, kind, metavar) in _OPTIONS.items():
        section = _sections(default)[part]
        parser.add_argument(
            option,
            type=kind,
            metavar=metavar,
            dest=field,
            help=_help(
                type(section).model_fields[field].description, getattr(section, field)
            ),
        )
    parser.add_argument("--val", metavar="IMAGE", nargs="+", help="images to validate on")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the model file if it is there"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_predict_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import InferenceConfig

    parser.add_argument("model", metavar="MODEL", help="a .safetensors model file")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=_IMAGES)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .tif file for one image, or a folder, made if need be",
    )
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as in training"
    )
    level = InferenceConfig.model_fields["level"]
    parser.add_argument(
        "--level",
        type=int,
        metavar="N",
        help=_help(level.description, "the one trained on"),
    )
    parser.add_argument(
        "--tile-size",
        type=int,
        nargs="+",
        metavar="N",
        help="pixels denoised at once; does not change the result, only the memory",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "source"),
        default="float32",
        help="type of the results: float32, or that of each image, rounded and clipped",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def _add_check_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="an image file or a Zarr store")
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as the file says"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, with all numbers")


def _train(options: argparse.Namespace) -> None:
    from napari_hush import resuming
    from napari_hush.careamist import CAREamist

    if options.resume is not None:
        _refuse_more_than_resume(options)
        command = resuming.load_command(Path(options.resume))
    else:
        command = _new_command(options)
        resuming.begin(command, overwrite=options.overwrite)
    careamist = CAREamist(command.configuration, on_progress=Bars(quiet=options.quiet))
    with resuming.kept(command) as (state_dir, resume):
        careamist.train(**command.sources, state_dir=state_dir, resume=resume)
        careamist.save(command.output, overwrite=command.overwrite)
    if not options.quiet:
        print(f"Saved {options.output or command.output}")


def _new_command(options: argparse.Namespace) -> Command:
    from napari_hush.resuming import Command

    if not options.images or options.output is None:
        raise ConfigurationError(
            "Give images to train on and -o MODEL.safetensors, or --resume FOLDER to go on "
            "with a run that was cut off."
        )
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise ConfigurationError(
            f"Cannot save a model as {output.name!r}; end the name in .safetensors."
        )
    _check_output(output, options.overwrite)
    return Command(
        configuration=_configuration(options),
        sources={
            name: None if paths is None else [str(Path(path).absolute()) for path in paths]
            for name, paths in {
                "train_source": options.images,
                "val_source": options.val,
                "train_target": options.target,
                "val_target": options.val_target,
            }.items()
        },
        output=output.absolute(),
        overwrite=options.overwrite,
    )


def _refuse_more_than_resume(options: argparse.Namespace) -> None:
    none = {"run", "resume", "quiet"}
    given = [name for name, value in vars(options).items() if value and name not in none]
    if given:
        raise ConfigurationError(
            f"A run that is resumed has its images and settings already, but {given[0]} "
            "is given as well; give --resume FOLDER alone."
        )


def _predict(options: argparse.Namespace) -> None:
    from napari_hush.careamist import CAREamist

    bars = Bars(quiet=options.quiet)
    careamist = CAREamist(options.model, on_progress=bars)
    careamist.predict_to_disk(
        options.images,
        prediction_dir=options.output,
        overwrite=options.overwrite,
        data_type=_data_type(options),
        axes=options.axes,
        level=options.level,
        tile_size=options.tile_size,
        dtype=options.dtype,
    )


def _check(options: argparse.Namespace) -> None:
    import json

    from napari_hush.io import list_files, open_images, read_czi, read_metadata
    from napari_hush.judgement import check_data

    path = Path(options.image)
    czi = path.suffix.lower() == ".czi"
    data_type = "custom" if czi else "zarr" if path.is_dir() else "tiff"
    list_files(path, data_type)
    axes = options.axes or read_metadata(path).axes
    if axes is None:
        raise ConfigurationError(
            f"{str(path)!r} does not say what its dimensions are; name them with --axes, "
            "one letter each, for example --axes ZYX."
        )
    (image,) = open_images(path, data_type, axes, read_czi if czi else None)
    report = check_data(image)
    print(json.dumps(report.as_dict()) if options.json else report.as_text())


def _configuration(options: argparse.Namespace) -> Configuration:
    """The configuration file, or the defaults, with the given options put in."""
    from napari_hush.axes import spatial_axes, validate_axes
    from napari_hush.config import Configuration, load_configuration
    from napari_hush.io import list_files, named_axes, open_images

    values = load_configuration(options.config) if options.config else Configuration()
    tree = values.model_dump()
    data_type = tree["data_config"]["data_type"] = _data_type(options)
    level = tree["data_config"]["level"] if options.level is None else options.level
    first = list_files(options.images, data_type)[0]
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
            (image,) = open_images([first], data_type, axes, level=level)
            channels = image.axes.canonical_shape[1]
            tree["algorithm_config"]["model"]["in_channels"] = channels
            tree["algorithm_config"]["model"]["num_classes"] = channels
    if options.channels:
        tree["data_config"]["channels"] = tuple(options.channels)
        for count in ("in_channels", "num_classes"):
            tree["algorithm_config"]["model"][count] = len(options.channels)
    if options.patch_size:
        tree["data_config"]["patch_size"] = tuple(options.patch_size)
    for part, field, _, _ in _OPTIONS.values():
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


def _data_type(options: argparse.Namespace) -> str:
    from napari_hush.io import file_type

    return file_type(options.images, "tiff")


def _sections(config: Configuration) -> dict[str, Any]:
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


def _check_output(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; use another name or add --overwrite."
        )


def _help(description: str | None, default: Any) -> str:
    first = (description or "").split("\n")[0].rstrip(".").replace("%", "%%")
    return first if default is None else f"{first} (default: {default})"
