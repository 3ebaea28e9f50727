"""``hush train``: learn to denoise from noisy images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.options import IMAGES, refuse_existing, tell
from napari_hush.cli.progress import Bars
from napari_hush.cli.settings import (
    METHOD_HELP,
    add_settings,
    configuration,
    split_configuration,
)
from napari_hush.config.methods import METHODS
from napari_hush.errors import ConfigurationError
from napari_hush.system.job_env import is_first

if TYPE_CHECKING:
    import argparse

    from napari_hush.cli.run_folder import Command

DESCRIPTION = (
    "Learn to denoise from noisy TIFF or Zarr images (Noise2Void and its kin) or from "
    "pairs (Noise2Noise, CARE), and save the model. Ctrl-C ends training early and keeps "
    "the model; what was killed goes on with hush resume."
)
EXAMPLES = (
    "hush train cells.tif --axes YX --epochs 50 -o cells.safetensors",
    "hush train cells.yml cells.tif -o cells.safetensors",
    "hush train noisy/ --algorithm care --target clean/ -o care.safetensors",
    "hush train lines.tif --algorithm structn2v --set ema_decay=0.9 -o lines.safetensors",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="CONFIG|IMAGE",
        help=f"{IMAGES}; first among them, if wished, a configuration (.yml), which is "
        "followed except where options say otherwise",
    )
    parser.add_argument(
        "-o", "--output", metavar="MODEL.safetensors", help="where the model goes"
    )
    parser.add_argument(
        "--resume", metavar="FOLDER", help="the same as hush resume; give nothing else"
    )
    parser.add_argument(
        "--config", metavar="FILE.yml", help="a configuration, named by an option"
    )
    parser.add_argument(
        "--algorithm",
        choices=tuple(METHODS),
        help=f"{METHOD_HELP} (default: n2v, or the method of the configuration)",
    )
    parser.add_argument(
        "--target",
        metavar="IMAGE",
        nargs="+",
        help="for n2n and care: what the images should become, in the same order or, in "
        "folders, of the same names",
    )
    parser.add_argument("--val", metavar="IMAGE", nargs="+", help="images to validate on")
    parser.add_argument(
        "--val-target", metavar="IMAGE", nargs="+", help="the targets for those of --val"
    )
    add_settings(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the model file if it is there"
    )


def run(options: argparse.Namespace) -> None:
    """Train and save, or go on with a run that was cut off."""
    from napari_hush.cli import run_folder

    if options.resume is not None:
        _refuse_more_than_resume(options)
        carry_out(options, run_folder.load_command(Path(options.resume)))
        return
    command = _new_command(options)
    if is_first():  # of several processes that were started at once
        run_folder.begin(command, overwrite=options.overwrite)
    carry_out(options, command, is_new=True)


def carry_out(
    options: argparse.Namespace, command: Command, *, is_new: bool = False
) -> None:
    """Train as `command` says, from where it is, and save the model."""
    from napari_hush.careamist import CAREamist
    from napari_hush.cli import run_folder

    first = is_first()
    bars = Bars(quiet=options.quiet or not first, json=options.json)
    careamist = CAREamist(command.configuration, on_progress=bars)
    with run_folder.kept(command, is_new=is_new) as (state_dir, resume):
        careamist.train(
            **command.sources, checkpoint_dir=state_dir, resume=resume, log_dir=command.logs
        )
        if first:
            careamist.save(command.output, overwrite=command.overwrite)
    if not first:
        return
    output = getattr(options, "output", None) or str(command.output)
    answer = {"model": str(command.output), **bars.training, "cautions": bars.cautions}
    tell(options, f"Saved {output}", answer)


def _new_command(options: argparse.Namespace) -> Command:
    from napari_hush.cli.run_folder import Command

    file, images = split_configuration(options)
    if not images or options.output is None:
        raise ConfigurationError(
            "Give images to train on and -o MODEL.safetensors, or --resume FOLDER to go on "
            "with a run that was cut off."
        )
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise ConfigurationError(
            f"Cannot save a model as {output.name!r}; end the name in .safetensors."
        )
    refuse_existing(output, options.overwrite)
    return Command(
        configuration=configuration(
            options, images, options.algorithm, file, paired=bool(options.target)
        ),
        sources={
            name: None if paths is None else [str(Path(path).absolute()) for path in paths]
            for name, paths in {
                "train_source": images,
                "val_source": options.val,
                "train_target": options.target,
                "val_target": options.val_target,
            }.items()
        },
        output=output.absolute(),
        overwrite=options.overwrite,
    )


def _refuse_more_than_resume(options: argparse.Namespace) -> None:
    none = {"command", "resume", "quiet", "json"}
    given = [name for name, value in vars(options).items() if value and name not in none]
    if given:
        raise ConfigurationError(
            f"A run that is resumed has its images and settings already, but {given[0]} "
            "is given as well; give --resume FOLDER alone."
        )
