"""The commands of ``hush``, and its entry point.

A command is one module of this package and one line in `COMMANDS`. Only the module of the
command that is called is imported, so ``hush --help`` loads neither torch nor pydantic.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from importlib import import_module
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Protocol, cast

from napari_hush import __version__
from napari_hush.errors import HushError

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = {
    "train": "learn to denoise from noisy images",
    "predict": "denoise images with a model",
    "check": "look at the noise of an image and say which method fits",
}


class Command(Protocol):
    """What the module of a command holds."""

    DESCRIPTION: str
    EXAMPLES: Sequence[str]

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Give `parser` the arguments of the command."""

    def run(self, options: argparse.Namespace) -> None:
        """Do what the command is for, or raise a HushError."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, or 2 for bad input."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(arguments[0] if arguments else "").parse_args(arguments)
    try:
        _module(options.command).run(options)
    except HushError as error:
        print(f"hush: {error}", file=sys.stderr)
        return 2
    return 0


def _parser(chosen: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hush",
        description="Train a denoiser on your own images, and denoise images with it.",
    )
    parser.add_argument("--version", action="version", version=f"hush {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    width = get_terminal_size().columns - 2
    for name, summary in COMMANDS.items():
        if name != chosen:
            commands.add_parser(name, help=summary)
            continue
        module = _module(name)
        examples = "\n".join(f"  {example}" for example in module.EXAMPLES)
        module.add_options(
            commands.add_parser(
                name,
                help=summary,
                description=textwrap.fill(module.DESCRIPTION, width),
                epilog=f"examples:\n{examples}",
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser


def _module(name: str) -> Command:
    return cast("Command", import_module(f"napari_hush.cli.{name}"))
