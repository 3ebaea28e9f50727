"""Commands and options of ``hush`` that are still understood.

An option may disappear from the help, but not from the command line.
"""

from __future__ import annotations

import json

import pytest
from pinned_cases import entry_point, missing_from, parsers, recorded

COMMANDS = recorded("commands")
LINES = recorded("configurations")["lines"]


def kept(namespace):
    """All values that a command gets, as words."""
    for value in vars(namespace).values():
        values = value if isinstance(value, list) else [value]
        yield from map(str, values)


def parsed(parser, line):
    try:
        return parser.parse_args(line)
    except SystemExit:
        pytest.fail(f"hush {' '.join(line)} is not understood any more")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_understood(command):
    parser, _ = parsers(command)
    known = COMMANDS[command]
    for option, samples in known["options"].items():
        for sample in samples:
            given = parsed(parser, [command, *known["needed"], option, *sample])
            assert set(sample) <= set(kept(given)), option
            if not sample:
                without = parsed(parser, [command, *known["needed"]])
                assert vars(given) != vars(without), option


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_is_understood(command):
    parser, _ = parsers(command)
    known = COMMANDS[command]
    needed = [word for samples in known["positionals"].values() for word in samples[0]]
    options = known["needed"][len(needed) :] if len(known["needed"]) > len(needed) else []
    before = []
    for name, samples in known["positionals"].items():
        after = needed[len(before) + 1 :]
        for sample in samples:
            line = [command, *before, *sample, *after, *options]
            assert set(sample) <= set(kept(parsed(parser, line))), name
        before += samples[0]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        entry_point()([*([command] if command else []), "--help"])
    assert not ended.value.code
    printed = capsys.readouterr().out
    assert printed.startswith(f"usage: hush {command or ''}".strip())
    if command is None:
        assert set(COMMANDS) <= set(printed.split())


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        entry_point()(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("hush ")


def test_an_option_that_has_gone_would_be_noticed():
    """As ``--val`` would be taken for ``--val-target`` if short forms were on."""
    parser, _ = parsers("train")
    with pytest.raises(SystemExit):
        parser.parse_args(["train", "--val-targe", "word"])


@pytest.mark.parametrize("line", LINES)
def test_settings_on_the_command_line_mean_the_same(line, capsys):
    assert entry_point()(["config", *line.split(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert missing_from(found, LINES[line]) == {}
