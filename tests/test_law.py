"""The law of the arrow, and the public names."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import napari_hush

ROOT = Path(napari_hush.__file__).parent
QT = {"qtpy", "PyQt6", "PySide6", "napari", "superqt", "magicgui", "vispy", "pyqtgraph"}

ORDER = [
    {"widgets"},
    {"cli"},
    {"denoising"},
    {"careamist", "resuming"},
    {"lightning", "exchange"},
    {"prediction"},
    {"models"},
    {"dataset", "n2v"},
    {"judgement"},
    {"io", "config"},
    {"axes", "processes", "writing"},
    {"errors", "events"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def modules_after(code):
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def imports_of(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "napari_hush":
                yield from (f"napari_hush.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", sorted(ROOT.rglob("*.py")), ids=lambda f: f.stem)
def test_imports_run_only_to_the_right(file):
    room = file.relative_to(ROOT).with_suffix("").parts[0]
    if room.startswith("__"):
        return
    for module in imports_of(file):
        parts = module.split(".")
        if parts[0] != "napari_hush" or len(parts) == 1 or parts[1] not in LEVEL:
            continue
        allowed = LEVEL[parts[1]] > LEVEL[room] or parts[1] == room
        assert allowed, f"{room} imports {module}"


def test_the_engine_knows_no_qt():
    loaded = modules_after("from napari_hush import CAREamist, lightning, cli")
    assert not loaded & QT


def test_importing_the_package_costs_no_torch():
    assert "torch" not in modules_after("import napari_hush")


def test_help_loads_neither_torch_nor_qt():
    code = "import sys; from napari_hush.cli import main\ntry: main(['--help'])\n"
    loaded = modules_after(code + "except SystemExit: print()")
    assert not loaded & (QT | {"torch", "pydantic"})


@pytest.mark.parametrize(
    "module",
    [
        "napari_hush",
        *(
            info.name
            for info in pkgutil.iter_modules([str(ROOT)], "napari_hush.")
            if info.ispkg and not info.name.endswith("widgets")
        ),
    ],
)
def test_public_names_exist_and_are_sorted(module):
    names = importlib.import_module(module).__all__
    assert sorted(names, key=lambda n: (not n.isupper(), n)) == list(names) or (
        sorted(names) == list(names)
    )
    for name in names:
        assert getattr(importlib.import_module(module), name) is not None


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        napari_hush.nothing  # noqa: B018
