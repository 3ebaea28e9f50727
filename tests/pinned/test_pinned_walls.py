"""Modules that must not be loaded, so that windows open and commands answer at once.

tests/repository/test_imports.py checks ``import napari_hush`` and ``hush --help``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.resources import files

import pytest
import yaml
from pinned_cases import COMMAND_NAMES, ROOT

pytestmark = pytest.mark.process

ENGINE = {"torch", "pytorch_lightning"}
QT = {"qtpy", "PyQt6", "PyQt5", "PySide6", "napari", "superqt", "magicgui", "vispy"}


def loaded(*lines):
    """The modules that are loaded after some lines of Python, in a new process."""
    code = "\n".join([*lines, "import sys", "print('\\n', *sys.modules)"])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.splitlines()[-1].split())


def test_nothing_of_the_manifest_loads_the_engine():
    """The docks, the command of the layers' menu, and the sample images."""
    manifest = yaml.safe_load((files("napari_hush") / "napari.yaml").read_text("utf-8"))
    named = {it["python_name"] for it in manifest["contributions"]["commands"]}
    assert len(named) >= 5
    lines = [
        f"from {module} import {name}"
        for module, _, name in (one.partition(":") for one in sorted(named))
    ]
    there = loaded(*lines)
    assert "napari_hush" in there
    assert not there & ENGINE


def _runs(file):
    """Whether `file` does something when it is run with ``python -m``."""
    tests = (
        node.test for node in ast.parse(file.read_text()).body if isinstance(node, ast.If)
    )
    return any("__main__" in ast.unparse(test) for test in tests)


def test_what_is_run_as_a_process_loads_no_qt():
    """The command line, and the process that the dock trains in."""
    package = files("napari_hush")
    run = [file for file in package.rglob("*.py") if _runs(file)]
    assert len(run) >= 2
    modules = [
        ".".join(["napari_hush", *file.relative_to(package).with_suffix("").parts])
        for file in run
    ]
    there = loaded(*(f"import {module}" for module in modules))
    assert set(modules) <= there
    assert not there & QT


@pytest.mark.parametrize("command", COMMAND_NAMES)
def test_help_of_a_command_loads_neither_torch_nor_qt(command):
    there = loaded(
        "import sys",
        f"sys.argv = ['hush', {command!r}, '--help']",
        "from pathlib import Path",
        f"sys.path.insert(0, {str(ROOT / 'tests/pinned')!r})",
        "from pinned_cases import entry_point",
        "try: entry_point()()",
        "except SystemExit: pass",
    )
    assert "napari_hush" in there
    assert not there & (ENGINE | QT)
