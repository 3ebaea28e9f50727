"""Tests that start processes say so, so that ``-m "not process"`` leaves them out."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
STARTS = re.compile(r"\b(subprocess\.(run|Popen|check_output)|get_context|os\.fork)\(")


def test_modules_that_start_processes_have_the_marker():
    texts = {file: file.read_text(encoding="utf-8") for file in TESTS.rglob("test_*.py")}
    starting = {file for file, text in texts.items() if STARTS.search(text)}
    assert len(starting) > 10
    unmarked = {file.name for file in starting if "mark.process" not in texts[file]}
    assert unmarked == set()
