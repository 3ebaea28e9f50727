"""``hush resume``: go on with a training run that was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.train import carry_out

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Go on with a training run that was cut off, with its images and settings, from the "
    "last state it wrote. It ends as if nothing had happened."
)
EXAMPLES = ("hush resume cells.run",)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        help="MODEL.run, which lies beside the model's place until that is saved",
    )


def run(options: argparse.Namespace) -> None:
    """Train on and save."""
    from napari_hush.resuming import load_command

    carry_out(options, load_command(Path(options.folder)))
