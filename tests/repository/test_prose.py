"""scripts/prose.py: words that texts avoid."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def main():
    spec = importlib.util.spec_from_file_location("p", ROOT / "scripts/prose.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_a_word_is_named_with_its_line_and_a_better_one(main, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n```sh\ngoes on\n```\nIt `goes on`.\nTraining goes on.\n")
    assert main([str(page)]) == 1
    assert capsys.readouterr().out == f"{page}:7: 'goes on'; better: continue, resume\n"


def test_comments_and_strings_of_python_are_read_and_names_are_not(main, tmp_path, capsys):
    module = tmp_path / "module.py"
    module.write_text('"""What it is.\n\nBy heart."""\nhalves = 1  # cut off\n')
    assert main([str(module)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "3", "4"]


def test_a_clean_page_passes(main, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text("Training continues. Halve the batch size.\n")
    assert main([str(page)]) == 0
    assert capsys.readouterr().out == ""
