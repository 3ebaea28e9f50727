"""docs/cli.md is up to date and has every option of every command."""

import re
from pathlib import Path

import pytest

from napari_hush.cli import COMMANDS, ExitCode
from napari_hush.cli.main import build_parser

ROOT = Path(__file__).parents[2]


@pytest.fixture
def text():
    return (ROOT / "docs/cli.md").read_text(encoding="utf-8")


def section(text, heading):
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_page_is_up_to_date(text, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import docs_cli

    assert text == docs_cli.page(), "run: python scripts/docs_cli.py"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_section_of_its_command(name, text):
    parser = build_parser([name])[1][name]
    own = section(text, f"hush {name}") + section(text, "Options of every command")
    if name in ("train", "config"):
        own += section(text, "Settings")
    own = re.sub("```.*?```", "", own, flags=re.DOTALL)  # examples
    described = set(re.findall(r"`(--?[a-z][\w-]*)`", own))
    assert described == {*parser._option_string_actions}


def test_allowed_values_and_defaults_are_listed(text):
    rows = {row.split(" | ")[0]: row for row in section(text, "Settings").splitlines()}
    assert "| `auto`, `random`, `built-in` |" in rows["| `--weights`"]
    assert rows["| `--epochs`"].endswith("| integer | number of epochs | 100 |")
    rows = {row.split(" | ")[0]: row for row in section(text, "hush predict").splitlines()}
    assert rows["| `-o`, `--output`"].endswith("| required |")
    assert rows["| `--precision`"].endswith("| as in training |")


def test_every_exit_code_is_listed(text):
    listed = re.findall(r"^\| (\d+) \|", section(text, "Exit codes"), re.MULTILINE)
    assert {int(code) for code in listed} == {1, *ExitCode}
