"""``hush resume``: resume an interrupted training run."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_hush.cli.train import train_and_save

DESCRIPTION = (
    "Resume an interrupted training run with its images and settings, from its last "
    "checkpoint. The model is the same as without the interruption."
)
EXAMPLES = ("hush resume cells.run", "hush resume cells.run --devices 2")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", metavar="FOLDER", help="MODEL.run, next to where the model will be saved"
    )
    for option, what in (("--devices", "devices"), ("--nodes", "machines")):
        parser.add_argument(
            option, type=int, metavar="N", help=f"number of {what} (default: unchanged)"
        )


def run(options: argparse.Namespace) -> None:
    from napari_hush.cli.run_folder import load_command

    command = load_command(Path(options.folder))
    config, training = command.configuration, command.configuration.training_config
    if options.devices is not None or options.nodes is not None:
        # With one of them given, the other one is 1 and not as in the first run.
        training = training.elsewhere(options.devices, options.nodes)
        command = replace(command, configuration=config.replace(training_config=training))
    train_and_save(options, command)
