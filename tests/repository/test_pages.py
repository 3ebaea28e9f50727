"""Code and commands on the pages run in order; links, quotes and layers are right.

Only the length of training is changed. What docs/dev/data.md prints is checked in
test_data_page.py.
"""

import ast
import re
import shlex
import shutil
import sys
import types
from glob import glob
from pathlib import Path

import numpy as np
import pytest

from napari_hush.cli import main
from napari_hush.cli.main import build_parser
from napari_hush.io import samples, write_tiff

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
)
TESTED_ELSEWHERE = {"docs/dev/data.md"}
# Fragments of a session, and jobs of a cluster.
READ_ONLY = {"docs/cluster.md", "docs/dev/reliability.md"}
# Its commands take large files; its Python is run.
TOO_LARGE = {"docs/large-data.md"}
# Menus of napari, and of plugins in it; and a word in italics that is no label.
MENUS = {"Plugins", "Filter", "Install/Uninstall Plugins"}
MENUS |= {"Denoise (Hush)", "Denoise files (Hush)", "Denoise now (Hush)"}  # by napari
MENUS |= {"Final model", "Independent channels"}  # labels made of names of fields
NO_LABELS = {"italics"}
GUIDES = ["README.md", "docs/troubleshooting.md", "docs/results.md"]
GUIDES += ["docs/built-in.md", "docs/methods.md", "docs/files.md", "docs/large-data.md"]
GUIDES += ["docs/install.md", "docs/first-image.md", "docs/dock.md", "docs/faq.md"]
GUIDES += ["docs/glossary.md"]
WIDEST = 60  # characters; longer text in italics quotes a message


def blocks(page, language):
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def new_lines(diff):
    """What a diff leads to."""
    lines = (line for line in diff.splitlines() if not line.startswith("-"))
    return "\n".join(line[1:] for line in lines)


def scripts(page):
    """The Python on the page, also in diffs of a script."""
    changed = [new_lines(diff) for diff in blocks(page, "diff")]
    return changed + blocks(page, "python")


def with_blocks(language):
    return [page for page in PAGES if blocks(page, language)]


def hush_lines(page):
    """The lines of the page that start the command, as lists of words."""
    text = "".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = (shlex.split(line, comments=True) for line in text.splitlines())
    return [words[1:] for words in lines if words[:1] == ["hush"]]


# As notebooks, in test_notebooks.py.
TESTED_ELSEWHERE |= {page for page in PAGES if "docs/tutorials/" in page}


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder with the files that the pages use; simulated images are small."""
    monkeypatch.chdir(tmp_path)
    whole = samples.simulated
    small = np.s_[160:288, 160:288]
    monkeypatch.setattr(
        samples, "simulated", lambda seed=0: tuple(image[small] for image in whole(seed))
    )
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    names = ["cells", "cells_1", "cells_2", "hot", "lines", "noisy/1", "noisy/2", "clean/1"]
    for name in [*names, "clean/2", "first/1", "second/1"]:
        Path(name).parent.mkdir(exist_ok=True)
        pixels = rng.poisson(20, (96, 96)).astype(np.uint16)
        write_tiff(f"{name}.tif", pixels, "YX")
    theirs = ROOT / "tests" / "interop"
    shutil.copy(theirs / "careamics_configurations" / "0.3-n2v.yml", "careamics.yml")
    shutil.copy(theirs / "careamics_models" / "0.3-struct_square.ckpt", "theirs.ckpt")


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_of_the_page_is_python(page):
    for block in scripts(page):
        ast.parse(block)


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated")
@pytest.mark.parametrize(
    "page",
    [p for p in with_blocks("python") if p not in TESTED_ELSEWHERE | READ_ONLY],
)
def test_python_of_the_page_runs(page, images, tmp_path, monkeypatch):
    # Configurations read their help from the source of their module.
    module = types.ModuleType("page")
    module.__file__ = str(tmp_path / "page.py")
    Path(module.__file__).write_text("\n".join(scripts(page)), encoding="utf-8")
    monkeypatch.setitem(sys.modules, "page", module)
    names = vars(module)
    for number, block in enumerate(scripts(page)):
        short = re.sub(r"num_epochs=\d+", "num_epochs=1, num_steps=2", block)
        exec(compile(short, f"{page}, block {number}", "exec"), names)  # noqa: S102


def test_methods_page_prints_what_its_comment_says(capsys):
    first = blocks("docs/methods.md", "python")[0]
    exec(compile(first, "docs/methods.md", "exec"), {})  # noqa: S102
    (comment,) = re.findall(r"^print\(.*\)  # (.+)$", first, re.MULTILINE)
    assert capsys.readouterr().out.splitlines()[0] == comment


@pytest.mark.parametrize("page", [page for page in PAGES if hush_lines(page)])
def test_commands_of_the_page_are_commands(page):
    for words in hush_lines(page):
        parser, _ = build_parser(words[:1])
        if words != ["--help"]:
            assert parser.parse_args(words).command == words[0]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p not in READ_ONLY | TOO_LARGE and hush_lines(p)]
)
def test_commands_of_the_page_run(page, images, capsys):
    for words in hush_lines(page):
        arguments = [name for word in words for name in (sorted(glob(word)) or [word])]
        if arguments[0] == "sample" and "-o" in arguments:
            arguments += ["--overwrite"]
        if arguments[0] == "train" and "--resume" not in arguments:
            if "--epochs" in arguments:
                arguments[arguments.index("--epochs") + 1] = "1"
                arguments += ["--steps", "2"]
            else:
                arguments += ["--epochs", "1", "--steps", "2"]
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse ends so after --help
            code = end.code
        assert code == 0, (words, capsys.readouterr().err)


@pytest.mark.parametrize("page", PAGES)
def test_scripts_that_the_page_names_exist(page):
    named = re.findall(r"\b((?:scripts|benchmarks)/\w[\w.]*\w)", (ROOT / page).read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", ["docs/dev/architecture.md", "docs/dev/contributing.md"])
def test_modules_and_folders_that_the_page_names_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+(?:\.py|/))`", text)) - {"site/"}
    places = (ROOT, ROOT / "src" / "napari_hush")
    assert [n for n in named if not any((place / n).exists() for place in places)] == []


@pytest.mark.parametrize("page", ["CHANGELOG.md", *PAGES])
def test_links_between_pages_lead_somewhere(page):
    page = ROOT / page
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    targets += re.findall(r"^\[[^]]+\]: (?!https?:)([^\s#]+)", text, re.MULTILINE)
    for target in targets:
        assert (page.parent / target).exists(), target


def messages():
    """The sentences in the source, each as the pieces between what is put in."""
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp):
                parts = [
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                ]
                yield "\0".join(parts)


def test_troubleshooting_quotes_what_hush_says():
    """Word by word, up to names and numbers, for which the page has dots."""
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = [
        " ".join(text.split())
        for text in re.findall(r"(?<![*\w])\*([^*]+)\*(?![*\w])", page)
        if len(text) >= WIDEST
    ]
    assert len(quoted) > 12
    known = list(messages())
    for sentence in quoted:
        pieces = [piece.strip(" '") for piece in sentence.split("…")]
        pattern = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
        assert any(pattern.search(message) for message in known), sentence


@pytest.mark.parametrize("page", [*GUIDES, *(p for p in PAGES if "tutorials" in p)])
def test_labels_in_italics_are_those_of_the_dock(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    italics = re.findall(r"(?<![*\w])\*([^*\n|]{3,59})\*(?![*\w])", text)
    labels = {part for found in italics if "…" not in found for part in found.split(" > ")}
    known = "\n".join(messages()) + (ROOT / "src/napari_hush/napari.yaml").read_text()
    assert {label for label in labels if label not in known} <= MENUS | NO_LABELS
