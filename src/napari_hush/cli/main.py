"""The commands of ``hush``, and its entry point.

A command is one module of this package and one line in `COMMANDS`. Only the module of the
command that is called is imported, so ``hush --help`` loads neither torch nor pydantic.
"""

from __future__ import annotations

import argparse
import difflib
import json
import logging
import re
import sys
import textwrap
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from importlib import import_module
from shutil import get_terminal_size
from typing import Any, Protocol, cast

from napari_hush import __version__
from napari_hush.cli.streams import safe_streams
from napari_hush.errors import HushError
from napari_hush.system.job_env import rank
from napari_hush.system.signals import OnTermination, Terminated, terminate

COMMANDS = {
    "train": "train a model on noisy images",
    "resume": "resume an interrupted training run",
    "predict": "denoise images with a model",
    "check": "analyze the noise of an image and suggest a method",
    "config": "write a configuration file",
    "export": "export a model to BioImage.IO, ONNX or TorchScript",
    "info": "describe a model or an image",
    "sample": "write sample images to try the methods on",
    "completion": "print a shell completion script",
}


class ExitCode(IntEnum):
    """Exit status of a command."""

    DONE = 0
    REFUSED = 2
    """Invalid input, or an error that stopped the job; one sentence says what to do."""
    SOME_FAILED = 3
    """Some images could not be denoised; the others are done."""
    INTERRUPTED = 130
    """Ctrl-C; during training, the second one."""


_CODES = (
    "exit codes: 0 success; 1 internal error; 2 invalid input or failed job, with one "
    "sentence on what to do; 3 some images failed, the others are done; 130 interrupted; "
    "128 + n ended by signal n (143 by SIGTERM)"
)


class Command(Protocol):
    """The module of a command."""

    DESCRIPTION: str
    EXAMPLES: Sequence[str]

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments of the command."""

    def run(self, options: argparse.Namespace) -> int | None:
        """Run the command; return an exit code, or None for success."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, by default that of the process; return an `ExitCode`.

    It says how the work ended, whether or not that could be printed.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    with safe_streams() as printed:
        code = _run(arguments)
        printed.flush()
        lost = printed.error
        if lost and not isinstance(lost, BrokenPipeError) and _only_prints(arguments):
            print(f"hush: The answer cannot be printed ({lost}).", file=sys.stderr)
            return code or ExitCode.REFUSED
        return code


_PRINTING = ("check", "completion", "config", "info", "sample")


def _only_prints(arguments: Sequence[str]) -> bool:
    """Whether the result of a command is what it prints."""
    written = any(one.startswith(("-o", "--out")) for one in arguments)
    return arguments[0] in _PRINTING and not written


def _run(arguments: Sequence[str]) -> int:
    parser, commands = build_parser(arguments[:1])
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command = commands[options.command]
        command.error(_about_unknown(unknown, command.format_help()))
    try:
        with (
            OnTermination(terminate),
            _deprecations_shown(),
            _log_shown(quiet=options.quiet) as options.logged,
        ):
            return _module(options.command).run(options) or ExitCode.DONE
    except HushError as error:
        number = rank()  # 0 is the first or only process
        process = f" (process {number})" if number > 0 else ""
        print(f"hush{process}: {error}", file=sys.stderr)
        return ExitCode.REFUSED
    except KeyboardInterrupt as error:
        print(f"hush: {'; '.join(['interrupted', *_notes(error)])}.", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except Terminated as ended:
        words = [f"ended by {ended.name}", *_notes(ended)]
        print(f"hush: {'; '.join(words)}.", file=sys.stderr)
        return int(str(ended))


def _notes(error: BaseException) -> list[str]:
    """How to resume the job, where a command has noted it."""
    return list(getattr(error, "__notes__", ()))


_OF_CAREAMICS = {
    "-ts": "give images without an option",
    "--train-source": "give images without an option",
    "-tt": "use --target",
    "--train-target": "use --target",
    "-vs": "use --val",
    "--val-source": "use --val",
    "-vt": "use --val-target",
    "--tta-transforms": "use --tta",
    "--prediction-dir": "use -o",
    "--work-dir": "use -o",
    "--num-epochs": "use --epochs",
    "--num-steps": "use --steps",
    "--masked-pixel-percentage": "use --masked-pixels",
    "--struct-n2v-axis": "choose the method structn2v and use --struct-axis",
    "--use-n2v2": "choose the method n2v2",
    "--experiment-name": "use --set experiment_name=NAME",
    "--loss": "use --set loss=NAME",
    "--n-channels": "use --axes with a C and give an image, or --set in_channels=N",
}
"""Replacements of options of the command of CAREamics 0.1."""


def _about_unknown(words: Sequence[str], text: str) -> str:
    """A message about unknown words, given the help `text` of the command."""
    message = f"unrecognized arguments: {' '.join(words)}"
    option = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
    near = difflib.get_close_matches(option, set(re.findall(r"--[\w-]+", text)), 1)
    hint = _OF_CAREAMICS.get(option) or "".join(f"did you mean {each}?" for each in near)
    return f"{message}; {hint}" if hint else message


@contextmanager
def _deprecations_shown() -> Iterator[None]:
    """Print this package's deprecation warnings, which Python hides, in one line each."""
    standard = warnings.formatwarning

    def one_line(message: Any, category: type[Warning], *rest: Any, **more: Any) -> str:
        if issubclass(category, DeprecationWarning):
            return f"hush: {message}\n"
        return standard(message, category, *rest, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("default", "", DeprecationWarning, "napari_hush")
        warnings.formatwarning = one_line
        try:
            yield
        finally:
            warnings.formatwarning = standard


class _PrintedLog(logging.Handler):
    """Prints each warning of the engine once, and keeps it; also notes about files."""

    def __init__(self, *, quiet: bool) -> None:
        super().__init__(logging.WARNING if quiet else logging.INFO)
        self.messages: list[str] = []
        self._printed = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message in self._printed:
            return
        self._printed.add(message)
        if record.levelno >= logging.WARNING:
            self.messages.append(message)
            print(f"Warning: {message}", file=sys.stderr)
        else:
            print(message, file=sys.stderr)


@contextmanager
def _log_shown(*, quiet: bool) -> Iterator[list[str]]:
    """Print what the engine logs, see `_PrintedLog`; yields the warnings."""
    log, of_files = (logging.getLogger(f"napari_hush{part}") for part in ("", ".io"))
    handler, level = _PrintedLog(quiet=quiet), of_files.level
    log.addHandler(handler)
    of_files.setLevel(logging.INFO)
    try:
        yield handler.messages
    finally:
        of_files.setLevel(level)
        log.removeHandler(handler)


def build_parser(
    with_options: Collection[str],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser and its subparsers; only commands in `with_options` get theirs."""
    width = get_terminal_size().columns - 2
    parser = argparse.ArgumentParser(
        prog="hush",
        description="Train denoising models on your own images, and denoise images.",
        epilog=_CODES,
    )
    parser.add_argument("--version", action="version", version=f"hush {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, summary in COMMANDS.items():
        if name not in with_options:
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
        )
        module.add_options(command)
        for option, text in (
            ("--quiet", "print neither progress nor results"),
            ("--json", "print the result as one line of JSON"),
        ):
            command.add_argument(option, action="store_true", help=text)
    return parser, dict(commands.choices)


def _module(name: str) -> Command:
    return cast("Command", import_module(f"napari_hush.cli.{name}"))


FILES = "TIFF, Zarr, PNG, JPEG, BMP, GIF, WebP, CZI, ND2 or LIF"
"""The formats that images are read from."""
AXES = "one letter out of S, T, C, Z, Y, X per dimension, e.g. ZYX"
IMAGES = f"image files ({FILES}), folders of them, or patterns ('cells_*.tif')"


def help_of(description: str | None, default: Any) -> str:
    """The first line of a field's description, as argparse help with the default."""
    text = (description or "").split("\n")[0].rstrip(".").replace("%", "%%")
    text = text[:1].lower() + text[1:]
    # "None" is only for Python: on the command line, one leaves the option out.
    text, _, without = text.partition("; None ")
    if default is None and without:
        default = without.removeprefix("for ").removeprefix("to ")
    return text if default is None else f"{text} (default: {default})"


def print_answer(options: argparse.Namespace, text: str, values: dict[str, Any]) -> None:
    """Print the result of a command as text or as JSON, or nothing with ``--quiet``."""
    if options.json:
        logged = [{"about": "log", "message": text} for text in options.logged]
        for key in {"warnings", "cautions"} & values.keys():
            values[key] = [*values[key], *logged]
        print(json.dumps(values))
    elif not options.quiet:
        print(text)
