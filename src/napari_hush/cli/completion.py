"""``hush completion``: shell completion of commands, options and file names."""

from __future__ import annotations

import argparse

from napari_hush.cli.main import COMMANDS, build_parser
from napari_hush.errors import ConfigurationError

DESCRIPTION = (
    "Print a shell completion script for the commands and options of hush. Requires the "
    'package shtab (pip install "napari-hush[completion]").'
)
EXAMPLES = (
    "hush completion bash > ~/.local/share/bash-completion/completions/hush",
    "hush completion zsh > ~/.zfunc/_hush",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")


def run(options: argparse.Namespace) -> None:
    try:
        import shtab
    except ImportError as error:
        raise ConfigurationError(
            'Completion needs the package shtab; run: pip install "napari-hush[completion]"'
        ) from error
    parser, commands = build_parser(COMMANDS)
    for command in commands.values():
        for action in command._actions:  # noqa: SLF001 - argparse has no public list
            if action.choices is None and action.type is None and action.nargs != 0:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
