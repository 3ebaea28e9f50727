"""What others read of the package: manifest, citation, recipe, versions."""

import importlib.util
import re
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

import napari_hush

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RECIPE = yaml.safe_load((ROOT / "scripts/recipe.yaml").read_text(encoding="utf-8"))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CONDA_NAMES = {"torch": "pytorch"}


@pytest.fixture
def problems():
    spec = importlib.util.spec_from_file_location("f", ROOT / "scripts/release_facts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.problems


def test_version_changelog_and_citation_agree(problems):
    assert problems(napari_hush.__version__, ROOT) == []


@pytest.mark.parametrize("version", ["1", "1.2", "01.2.3", "1.2.3.4", "next"])
def test_what_is_no_semantic_version_is_not_released(problems, version):
    assert any("semver" in sentence for sentence in problems(version, ROOT))


def test_a_version_without_its_changes_is_not_released(problems):
    said = problems("9.9.9", ROOT)
    assert len(said) == 2
    assert "CHANGELOG.md" in said[0]
    assert "CITATION.cff" in said[1]


@pytest.mark.process
def test_npe2_finds_nothing_wrong_with_the_manifest():
    pytest.importorskip("npe2")
    manifest = ROOT / "src/napari_hush/napari.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", str(manifest)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


def test_the_icon_is_where_the_manifest_says():
    manifest = yaml.safe_load((ROOT / "src/napari_hush/napari.yaml").read_text())
    package, name = manifest["icon"].split(":")
    assert files(package).joinpath(name).read_text().startswith("<svg ")


def test_the_recipe_needs_what_the_package_needs():
    wanted = {}
    for requirement in PROJECT["dependencies"]:
        name, bound = re.fullmatch(r"([\w.-]+)(>=[\d.]+)", requirement).groups()
        wanted[CONDA_NAMES.get(name, name)] = bound
    wanted["python"] = PROJECT["requires-python"]
    found = dict(line.split() for line in RECIPE["requirements"]["run"])
    assert found == wanted


def test_all_say_the_same_of_the_package():
    assert CITATION["abstract"] == RECIPE["about"]["summary"] == PROJECT["description"]
    assert CITATION["license"] == RECIPE["about"]["license"] == PROJECT["license"]
    assert CITATION["title"] == RECIPE["package"]["name"] == PROJECT["name"]


def test_each_python_that_is_promised_is_named():
    least = PROJECT["requires-python"].removeprefix(">=")
    named = [c.rpartition(" ")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert named[0] == least
    assert named == sorted(named, key=lambda version: int(version.split(".")[1]))
