"""Write docs/cli.md, the reference of the command line, from the parsers of `hush`."""

import argparse
import re
import shlex
import sys
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

from napari_hush.cli.main import COMMANDS, build_parser

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """\
<!-- Written by scripts/docs_cli.py from the help texts in src/napari_hush/cli. -->

# Command line

`hush COMMAND --help` prints the same reference in the terminal. The
[tutorials](tutorials/index.md) show the commands in use; `hush sample` writes images to
try them on.

- Results go to standard output; progress, warnings and errors go to standard error. A
  terminal shows progress bars with the time left; a log gets a line every ten seconds.
- Existing files are replaced only with `--overwrite`.
- Ctrl-C ends training early and saves the model; a second Ctrl-C interrupts the command.

| command | purpose |
|---|---|
"""
COMMON = ("--help", "--quiet", "--json")
SHARING = ("train", "config")
"""Commands that share the options for settings."""


def page() -> str:
    """The text of the page."""
    parser, commands = build_parser(COMMANDS)
    parts = [HEAD]
    parts += [
        f"| [`hush {name}`](#hush-{name}) | {summary} |\n"
        for name, summary in COMMANDS.items()
    ]
    parts.append("\n## Options of every command\n\n")
    common = {a.option_strings[-1]: a for a in _actions(commands["info"]) if _is_option(a)}
    parts += _table(common[word] for word in COMMON)
    parts.append("\n`hush --version` prints the version.\n")
    parts.append("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
    codes = (parser.epilog or "").removeprefix("exit codes: ").split("; ")
    parts += [re.sub(r"^(\d+(?: \+ n)?) (.*)$", r"| \1 | \2 |\n", code) for code in codes]
    keys = [{_key(action) for action in _actions(commands[name])} for name in SHARING]
    shared = keys[0] & keys[1]
    for name, command in commands.items():
        own = [a for a in _actions(command) if not {*COMMON} & {*a.option_strings}]
        left_out = shared if name in SHARING else set()
        parts += _command(name, command, [a for a in own if _key(a) not in left_out])
        if left_out:
            parts.append("\nOptions for the [settings](#settings) can be given, too.\n")
    parts.append("\n## Settings\n\nOptions of `hush train` and `hush config`.\n\n")
    settings = [a for a in _actions(commands["train"]) if _key(a) in shared]
    parts += _table(a for a in settings if not {*COMMON} & {*a.option_strings})
    return "".join(parts)


def _key(action: argparse.Action) -> tuple[object, ...]:
    return (*action.option_strings, action.help)


def _is_option(action: argparse.Action) -> bool:
    return bool(action.option_strings)


def _command(
    name: str, parser: argparse.ArgumentParser, actions: list[argparse.Action]
) -> Iterator[str]:
    """The section of a command, with a table of `actions`."""
    module = import_module(f"napari_hush.cli.{name}")
    yield f"\n## hush {name}\n\n{_escaped(module.DESCRIPTION)}\n\n"
    needed = [_usage(a) for a in actions if not _is_option(a) or a.required]
    yield f"```text\n{' '.join(['hush', name, *needed, '[OPTION ...]'])}\n```\n\n"
    titled = {
        action: group.title or ""
        for group in parser._action_groups[2:]  # noqa: SLF001 - no public list
        for action in group._group_actions  # noqa: SLF001
        if group.title
    }
    yield from _table(action for action in actions if action not in titled)
    for title in dict.fromkeys(titled.values()):
        yield f"\n{title[:1].upper()}{title[1:]}:\n\n"
        yield from _table(action for action in actions if titled.get(action) == title)
    examples = "\n".join(module.EXAMPLES)
    yield f"\nExamples:\n\n```bash\n{examples}\n```\n"


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no public list


def _usage(action: argparse.Action) -> str:
    value = _metavar(action)
    if action.option_strings:
        return f"{action.option_strings[0]} {value}"
    dots = {"*": f"[{value} ...]", "+": f"{value} [{value} ...]", "?": f"[{value}]"}
    return dots.get(str(action.nargs), value)


def _table(actions: Iterable[argparse.Action]) -> Iterator[str]:
    yield "| argument | values | description | default |\n|---|---|---|---|\n"
    for action in actions:
        words = action.option_strings or [_in_table(_metavar(action))]
        names = ", ".join(f"`{word}`" for word in words)
        text, default = _help(action)
        yield f"| {names} | {_values(action)} | {text} | {default} |\n"


def _metavar(action: argparse.Action) -> str:
    return str(action.metavar or action.dest.upper())


def _values(action: argparse.Action) -> str:
    """The allowed values, or the kind of value."""
    metavar = _metavar(action)
    listed = metavar[1:-1].split(",") if metavar.startswith("{") else None
    if action.nargs == 0:
        return ""
    if choices := listed or [str(each) for each in action.choices or ()]:
        return ", ".join(f"`{choice}`" for choice in choices)
    kind = {int: "integer", float: "number"}.get(action.type)
    kind = kind or getattr(action.type, "__name__", "")
    if kind not in ("integer", "number"):
        kind = f"`{_in_table(metavar)}`" if _is_option(action) else ""
    several = {"+": "one or more", "*": "any number"}.get(str(action.nargs), "")
    return ", ".join(filter(None, (kind, several)))


def _help(action: argparse.Action) -> tuple[str, str]:
    """Description and default, for a table."""
    text = (action.help or "").replace("%%", "%")
    found = re.fullmatch(r"(.*) \(default: (.*)\)", text, re.DOTALL)
    text, default = found.groups() if found else (text, "")
    needed = action.required and _is_option(action)
    return _escaped(text), "required" if needed else _escaped(default)


def _escaped(text: str) -> str:
    """`text` as Markdown that shows these characters, with commands as code."""
    text = _in_table(re.sub(r"([*_<\[\]`])", r"\\\1", text))
    command = rf"hush (?:{'|'.join(COMMANDS)})\b"
    return re.sub(rf"'({command}[^']*)'|\b({command})", r"`\1\2`", text)


def _in_table(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(f"No argument {shlex.join(sys.argv[1:])}; this script takes none.")
    PAGE.write_text(page(), encoding="utf-8")
    print(f"Wrote docs/{PAGE.name}")
