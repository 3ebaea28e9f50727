"""``hush train``: train a model on noisy images."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.cli.main import IMAGES, print_answer
from napari_hush.cli.settings import (
    METHOD_HELP,
    add_settings,
    configuration,
    split_configuration,
)
from napari_hush.config.methods import METHODS
from napari_hush.errors import ConfigurationError
from napari_hush.system.atomic_write import refuse_existing
from napari_hush.system.job_env import is_first
from napari_hush.system.progress_bars import Bars
from napari_hush.system.signals import Terminated

if TYPE_CHECKING:
    from napari_hush.cli.run_folder import Command

DESCRIPTION = (
    "Train a model on noisy images (Noise2Void, N2V2, structN2V) or on pairs of images "
    "(Noise2Noise, CARE), and save it. Ctrl-C ends training early and saves the "
    "model. hush resume continues a run that was killed."
)
EXAMPLES = (
    "hush train cells.tif --axes YX --epochs 50 -o cells.safetensors",
    "hush train cells.yml cells.tif -o cells.safetensors",
    "hush train noisy/ --algorithm care --target clean/ -o care.safetensors",
    "hush train lines.tif --algorithm structn2v --set ema_decay=0.9 -o lines.safetensors",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "images",
        nargs="*",
        metavar="CONFIG|IMAGE",
        help=f"{IMAGES}; optionally preceded by a configuration (.yml), which options "
        "override",
    )
    parser.add_argument(
        "-o", "--output", metavar="MODEL.safetensors", help="model file to write"
    )
    parser.add_argument(
        "--resume",
        metavar="FOLDER",
        help="same as hush resume FOLDER; takes no other option",
    )
    parser.add_argument("--config", metavar="FILE.yml", help="configuration file (YAML)")
    parser.add_argument(
        "--algorithm",
        choices=tuple(METHODS),
        help=f"{METHOD_HELP} (default: n2v, or the method of the configuration)",
    )
    parser.add_argument(
        "--target",
        metavar="IMAGE",
        nargs="+",
        help="for n2n and care: the target images, in the same order as the images; in "
        "folders and patterns, with the same names, or names that differ in one word "
        "(cells1_low.tif and cells1_high.tif)",
    )
    parser.add_argument("--val", metavar="IMAGE", nargs="+", help="validation images")
    parser.add_argument(
        "--val-target", metavar="IMAGE", nargs="+", help="targets of the validation images"
    )
    add_settings(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an existing model file"
    )


def run(options: argparse.Namespace) -> None:
    from napari_hush.cli import run_folder

    if options.resume is not None:
        _refuse_more_than_resume(options)
        train_and_save(options, run_folder.load_command(Path(options.resume)))
        return
    train_and_save(options, _new_command(options), is_new=True)


def train_and_save(
    options: argparse.Namespace, command: Command, *, is_new: bool = False
) -> None:
    """Start or resume the run of `command`, and save the model."""
    from napari_hush.careamist import CAREamist
    from napari_hush.cli import run_folder

    first = is_first()
    bars = Bars(quiet=options.quiet or not first, json=options.json)
    careamist = CAREamist(command.configuration, on_progress=bars)
    ended: Terminated | None = None
    try:
        with run_folder.open_run(command, is_new=is_new) as (checkpoint_dir, resume):
            careamist.train(
                **command.sources,
                checkpoint_dir=checkpoint_dir,
                resume=resume,
                log_dir=command.logs,
                model_dir=command.models,
            )
            if first:
                careamist.save(command.output, overwrite=command.overwrite)
    except Terminated as error:
        ended = error
    except KeyboardInterrupt as error:
        error.add_note(_how_to_resume(command))
        raise
    answer: dict[str, Any] = {"model": str(command.output)}
    text = f"Saved {getattr(options, 'output', None) or command.output}"
    if first and ended is None and (share := careamist.trained.built_in_share):
        text += f"; the built-in denoiser will make up {share.percent} of its results"
    if ended is not None:
        answer = {"model": None, "resume": str(command.folder)}
        text = f"Interrupted; {_how_to_resume(command)}."
    if first:
        print_answer(options, text, answer | bars.training | bars.warnings_answer)
    if ended is not None:
        raise ended


def _how_to_resume(command: Command) -> str:
    return f"hush resume {shlex.quote(str(command.folder))} continues"


def _new_command(options: argparse.Namespace) -> Command:
    from napari_hush.cli.run_folder import Command
    from napari_hush.io.zarr.store import address_of, refuse_address

    file, images = split_configuration(options)
    if not images or options.output is None:
        raise ConfigurationError(
            "Give images to train on and -o MODEL.safetensors, or --resume FOLDER to "
            "resume an interrupted run."
        )
    if images[0] in METHODS and not Path(images[0]).exists():
        raise ConfigurationError(
            f"There is no image {images[0]!r}; choose the method with --algorithm "
            f"{images[0]}."
        )
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise ConfigurationError(
            f"Cannot save a model as {output.name!r}; end the name in .safetensors."
        )
    refuse_address(output)
    refuse_existing(output, options.overwrite, "--overwrite")
    sources = {
        "train_source": images,
        "val_source": options.val,
        "train_target": options.target,
        "val_target": options.val_target,
    }
    return Command(
        configuration=configuration(
            options,
            images,
            options.algorithm,
            file,
            paired=bool(options.target),
            val=options.val or (),
        ),
        sources={
            name: None
            if paths is None
            else [address_of(Path(path)) or str(Path(path).absolute()) for path in paths]
            for name, paths in sources.items()
        },
        output=output.absolute(),
        overwrite=options.overwrite,
    )


def _refuse_more_than_resume(options: argparse.Namespace) -> None:
    others = {"command", "resume", "quiet", "json", "logged"}
    given = [
        name
        for name, value in vars(options).items()
        if value not in (None, False, []) and name not in others
    ]
    if given:
        name = given[0].replace("_", "-")
        name = "images" if name == "images" else f"--{name}"
        raise ConfigurationError(
            "A resumed run keeps its images and settings, but there are further arguments "
            f"({name}); give --resume FOLDER alone."
        )
