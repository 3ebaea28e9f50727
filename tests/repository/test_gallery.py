"""docs/gallery.md: its pictures are those of the script, and every source has a license."""

import importlib
import re
from pathlib import Path

import pytest
from PIL import Image

from napari_hush.cli.main import build_parser

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/gallery.md").read_text(encoding="utf-8")
WIDEST, LARGEST = 735, 250_000  # pixels that a page shows; bytes


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    return importlib.import_module("docs_gallery")


def test_every_picture_is_on_the_page_at_its_own_size(gallery):
    shown = set(re.findall(r"\(images/(gallery-[\w-]+)\.png\)", PAGE))
    assert shown == set(gallery.PICTURES)
    for name, detail in gallery.PICTURES.items():
        path = ROOT / "docs/images" / f"{name}.png"
        assert path.stat().st_size < LARGEST
        with Image.open(path) as picture:
            assert picture.width <= WIDEST
            rows, columns = (part.stop - part.start for part in detail.part[-2:])
            panels = len(detail.files)
            width = panels * (columns * detail.zoom + gallery.GAP) - gallery.GAP
            assert picture.size == (width, rows * detail.zoom + gallery.LINE)


def test_commands_of_the_page_make_the_files_that_are_drawn_as_denoised(gallery):
    taken, made = set(), set()
    for words in gallery.commands():
        parser, _ = build_parser(words[:1])
        parser.parse_args(words)
        output = words[words.index("-o") + 1]
        taken |= {word for word in words if word.endswith(".tif") and word != output}
        made.add(output)
    for detail in gallery.PICTURES.values():
        assert detail.files[0] in taken
        assert detail.files[1] in made


def test_the_page_quotes_the_license_of_each_package(gallery):
    packages = re.findall(r"([\w-]+)==([\d.]+)", gallery.__doc__)
    assert len(packages) == len(re.findall(r"^Copyright ", PAGE, re.MULTILINE))
    for name, version in packages:
        assert f"{name} {version}" in PAGE
