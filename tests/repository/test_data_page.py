"""docs/dev/data.md: its code runs, and the tests it names exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dev" / "data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TESTS = {
    f"{file.stem}.{node.name}": node.name
    for file in (ROOT / "tests" / "rules").glob("test_*.py")
    for node in ast.parse(file.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_what_the_page_shows_runs(tmp_path, monkeypatch, capsys):
    """The blocks follow on one another, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/dev/data.md, block {number}", "exec"), names)  # noqa: S102
    printed = capsys.readouterr().out
    for comment in re.findall(r"^print\(.*\)  # (.*)$", "\n".join(BLOCKS), re.MULTILINE):
        assert comment in printed


def test_the_page_shows_how_to_bring_a_dataset_of_ones_own():
    assert any(
        "(TrainDataModule):" in block
        and "def setup(" in block
        and ".train(datamodule=" in block
        for block in BLOCKS
    )


@pytest.mark.parametrize(
    "rule", [f"R{n}" for n in range(1, 61)] + [f"D-{n}" for n in range(1, 20)]
)
def test_every_rule_has_a_row(rule):
    """With a test of its number, or with words that say that there is none."""
    (row,) = re.findall(rf"^\| {rule} \|.*$", PAGE, re.MULTILINE)
    prefix = f"test_{rule[0].lower()}{int(rule.lstrip('RD-')):02}_"
    named = re.findall(r"`(test_\w+)`", row)
    assert set(named) <= set(TESTS.values())
    mine = {name for name in TESTS.values() if name.startswith(prefix)}
    assert set(named) & mine or (not mine and "not there yet" in row)
