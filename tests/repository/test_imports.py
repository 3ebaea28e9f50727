"""Import layers, what each start loads, and the public names."""

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import napari_hush

ROOT = Path(napari_hush.__file__).parent
PROJECT = Path(__file__).parents[2]
QT = {"qtpy", "PyQt6", "PySide6", "napari", "superqt", "magicgui", "vispy", "pyqtgraph"}


def modules_after(code):
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_imports_run_from_upper_layers_to_lower_ones():
    # The contracts are in pyproject.toml; a message names the imports that break one.
    # In a process of its own, because import-linter disables the loggers of others.
    lint = Path(sys.executable).with_name("lint-imports")
    command = [lint, "--no-logo", "--no-cache", "--config", PROJECT / "pyproject.toml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["Layers of the package", "Layers of the dock"])
def test_architecture_shows_the_layers_of_the_contracts(name):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        contract
        for contract in project["tool"]["importlinter"]["contracts"]
        if contract["name"] == name
    )
    layers = (re.sub(" [|:] ", ", ", layer) for layer in contract["layers"])
    text = (PROJECT / "docs" / "dev" / "architecture.md").read_text(encoding="utf-8")
    assert " → ".join(layers) in " ".join(text.split())


@pytest.mark.process
def test_the_engine_knows_no_qt():
    loaded = modules_after("from napari_hush import CAREamist, lightning, cli")
    assert not loaded & QT


@pytest.mark.process
def test_importing_the_package_costs_no_torch():
    assert "torch" not in modules_after("import napari_hush")


@pytest.mark.process
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
            if info.ispkg and not info.name.endswith(("system", "widgets"))
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
