"""The commands of ``hush``, and its entry point.

A command is one module of this package and one line in `COMMANDS`. Only the module of the
command that is called is imported, so ``hush --help`` loads neither torch nor pydantic.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from enum import IntEnum
from importlib import import_module
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Protocol, cast

from napari_hush import __version__
from napari_hush.errors import HushError
from napari_hush.system.job_env import rank

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

COMMANDS = {
    "train": "learn to denoise from noisy images",
    "resume": "go on with a training run that was cut off",
    "predict": "denoise images with a model",
    "check": "look at the noise of an image and say which method fits",
    "config": "write a configuration to edit and train with",
    "export": "write a model for other programs: BioImage.IO, ONNX, TorchScript",
    "info": "tell what a model is and how it was made",
    "completion": "let a shell complete commands, options and files",
}


class ExitCode(IntEnum):
    """What a command ends with."""

    DONE = 0
    REFUSED = 2
    """What was given cannot be used, or the job cannot go on; one sentence says why."""
    SOME_FAILED = 3
    """Some files could not be denoised; the others are done."""
    INTERRUPTED = 130
    """Ctrl-C, twice where the first one ends training early and keeps the model."""


_CODES = (
    "exit codes: 0 done; 2 refused, with one sentence on what to do; 3 some files could "
    "not be denoised, the others are done; 130 interrupted; 1 a fault of hush itself"
)


class Command(Protocol):
    """What the module of a command holds."""

    DESCRIPTION: str
    EXAMPLES: Sequence[str]

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Give `parser` the arguments of the command."""

    def run(self, options: argparse.Namespace) -> int | None:
        """Do what the command is for, or raise a HushError; return an exit code or None."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return an `ExitCode`."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser, _ = build_parser(arguments[:1])
    options = parser.parse_args(arguments)
    try:
        return _module(options.command).run(options) or ExitCode.DONE
    except HushError as error:
        number = rank()  # of several processes the others tell which one they are
        print(f"hush{f' (process {number})' * (number > 0)}: {error}", file=sys.stderr)
        return ExitCode.REFUSED
    except KeyboardInterrupt:
        print("hush: interrupted.", file=sys.stderr)
        return ExitCode.INTERRUPTED


def build_parser(
    complete: Collection[str],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser, and those of the commands; only those in `complete` have options."""
    width = get_terminal_size().columns - 2
    parser = argparse.ArgumentParser(
        prog="hush",
        description="Train a denoiser on your own images, and denoise images with it.",
        epilog=_CODES,
    )
    parser.add_argument("--version", action="version", version=f"hush {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, summary in COMMANDS.items():
        if name not in complete:
            commands.add_parser(name, help=summary)
            continue
        module = _module(name)
        examples = "\n".join(f"  {example}" for example in module.EXAMPLES)
        command = commands.add_parser(
            name,
            help=summary,
            description=textwrap.fill(module.DESCRIPTION, width),
            epilog=f"examples:\n{examples}\n\n{textwrap.fill(_CODES, width)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            conflict_handler="resolve",
        )
        module.add_options(command)
        command.add_argument(
            "--quiet", action="store_true", help="show no progress, print no answer"
        )
        command.add_argument(
            "--json", action="store_true", help="print the answer as one line of JSON"
        )
    return parser, dict(commands.choices)


def _module(name: str) -> Command:
    return cast("Command", import_module(f"napari_hush.cli.{name}"))
