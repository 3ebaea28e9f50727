"""``hush resume``: go on with a training run that was cut off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.train import carry_out

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Go on with a training run that was cut off, with its images and settings, from the "
    "last state it wrote. It ends as if nothing had happened."
)
EXAMPLES = ("hush resume cells.run", "hush resume cells.run --devices 2")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="MODEL.run, which lies beside the model's place until that is saved",
    )
    for option, what in (("--devices", "devices"), ("--nodes", "machines")):
        parser.add_argument(
            option,
            type=int,
            metavar="N",
            help=f"go on with another number of {what} (default: as it began)",
        )


def run(options: argparse.Namespace) -> None:
    """Train on and save."""
    from napari_hush.cli.run_folder import load_command

    command = load_command(Path(options.folder))
    config, training = command.configuration, command.configuration.training_config
    if options.devices is not None or options.nodes is not None:
        # said for one of them, it is not as it began for the other
        training = training.elsewhere(options.devices, options.nodes)
        command = replace(command, configuration=config.replace(training_config=training))
    carry_out(options, command)
