"""Scripts and benchmarks, which no other test imports, name only what the package has."""

import ast
import importlib
import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "scripts").rglob("*.py")])

IMPORT = re.compile(r"^\s*(from|import) napari_hush", re.MULTILINE)


def programs(source):
    """The syntax trees of a file and of the programs that it holds as strings."""
    tree = ast.parse(source)
    yield tree
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and re.search(
            r"^\s*(from|import) napari_hush", text, re.M
        ):
            yield ast.parse(textwrap.dedent(text))


def missing(tree):
    """Names of `napari_hush` that are imported or used but do not exist."""
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("napari_hush"):
            module = importlib.import_module(node.module)
            for alias in node.names:
                found = getattr(module, alias.name, None)
                if found is None:
                    try:
                        found = importlib.import_module(f"{node.module}.{alias.name}")
                    except ModuleNotFoundError:
                        yield f"{node.module}.{alias.name}"
                        continue
                if isinstance(found, type(ast)):
                    modules[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None and not hasattr(module, node.attr):
                yield f"{module.__name__}.{node.attr}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_name_exists(file):
    trees = programs(file.read_text(encoding="utf-8"))
    assert [name for tree in trees for name in missing(tree)] == []


def test_mutants_are_tried_with_tests_that_exist(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    mutation = importlib.import_module("mutation")
    assert all((ROOT / "tests" / name).exists() for name in mutation.TESTS)
    assert all((ROOT / "src" / "napari_hush" / name).exists() for name in mutation.TARGETS)
