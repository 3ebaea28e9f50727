"""Which file a dialog's answer stands for, and in which folder the dialog opens."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_hush.widgets.model.file_dialogs import ask_where_from, ask_where_to
from napari_hush.widgets.user_settings import add_recent_model, folder_beside

ONNX = "ONNX: for programs other than napari (*.onnx)"
MODEL = "Model: to denoise and train on in napari (*.safetensors)"


@pytest.fixture
def answer(monkeypatch):
    """Answer the dialogs; each answer is given with what the dialog was asked."""
    asked = []

    def give(chosen, kind=""):
        def dialog(parent, title, start, filters):
            asked.append((Path(start), filters.split(";;")))
            return str(chosen), kind

        for name in ("getSaveFileName", "getOpenFileName"):
            monkeypatch.setattr(f"qtpy.QtWidgets.QFileDialog.{name}", dialog)
        return asked

    return give


@pytest.mark.parametrize(
    ("chosen", "kind", "name", "settled"),
    [
        ("cells.safetensors", MODEL, "cells.safetensors", True),
        ("cells", MODEL, "cells.safetensors", False),
        ("cells.v2", MODEL, "cells.v2.safetensors", False),
        ("cells.zip", MODEL, "cells.zip", True),
        ("cells.ZIP", MODEL, "cells.ZIP", True),
        ("cells.zip", ONNX, "cells.zip", True),
        ("cells.onnx", ONNX, "cells.onnx", True),
        ("cells", ONNX, "cells.onnx", False),
        ("cells.safetensors", ONNX, "cells.onnx", False),
        ("cells", "", "cells.safetensors", False),
    ],
)
def test_the_format_follows_the_name_and_the_filter(
    answer, tmp_path, chosen, kind, name, settled
):
    asked = answer(tmp_path / chosen, kind)
    assert ask_where_to(None, "cells") == (tmp_path / name, settled)
    (_, offered), *_ = asked
    assert offered[0] == MODEL
    assert ONNX in offered
    assert len(offered) == 4
    assert all(": " in one for one in offered)  # the name, and what it is for


def test_nothing_chosen(answer):
    answer("")
    assert ask_where_to(None, "cells") is None
    assert ask_where_from(None) is None


def test_dialogs_open_next_to_the_image_or_in_the_folder_used_last(answer, tmp_path):
    first, second, models = (tmp_path / name for name in ("one", "two", "models"))
    for folder in (first, second, models):
        folder.mkdir()
    image, other = str(first / "cells.tif"), str(second / "cells.tif")
    asked = answer("")
    ask_where_to(None, "my/cells", image)
    ask_where_to(None, "cells")
    ask_where_from(None, image)
    starts = [first / "my_cells.safetensors", Path.home() / "cells.safetensors", first]
    assert [start for start, _ in asked] == starts
    answer(first / "a.safetensors")
    ask_where_to(None, "a", image)  # next to the image, so that is not kept for others
    ask_where_to(None, "b", other)
    answer(models / "a.safetensors")
    ask_where_to(None, "c", image)
    add_recent_model(models / "a.safetensors")
    ask_where_to(None, "d", other)
    ask_where_from(None, other)
    folders = [first, second, first, models, models]
    found = [start if start.is_dir() else start.parent for start, _ in asked[3:]]
    assert found == folders


@pytest.mark.parametrize(
    ("source", "folder"),
    [
        ("data/cells.tif", "data"),
        ("data/plate.ome.zarr/A/1/0", "data"),
        ("data/cells.zarr", "data"),
        ("missing/cells.tif", None),
        ("", None),
    ],
)
def test_the_folder_beside_an_image(tmp_path, monkeypatch, source, folder):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    assert folder_beside(source) == (folder and tmp_path / folder)


def test_there_is_no_folder_beside_an_address():
    assert folder_beside("https://example.org/cells.zarr/0") is None
