"""Which file a dialog's answer stands for."""

import pytest

from napari_hush.widgets.model.file_dialogs import ask_where_to

ONNX, MODELS = "ONNX (*.onnx)", "Models (*.safetensors)"


@pytest.mark.parametrize(
    ("chosen", "kind", "name", "settled"),
    [
        ("cells.safetensors", MODELS, "cells.safetensors", True),
        ("cells", MODELS, "cells.safetensors", False),
        ("cells.v2", MODELS, "cells.v2.safetensors", False),
        ("cells.zip", MODELS, "cells.zip", True),
        ("cells.onnx", ONNX, "cells.onnx", True),
        ("cells", ONNX, "cells.onnx", False),
        ("cells.safetensors", ONNX, "cells.onnx", False),
        ("cells", "", "cells.safetensors", False),
    ],
)
def test_the_format_follows_the_name_and_the_filter(
    monkeypatch, tmp_path, chosen, kind, name, settled
):
    offered = []

    def dialog(parent, title, suggestion, filters):
        offered.extend(filters.split(";;"))
        return str(tmp_path / chosen), kind

    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", dialog)
    assert ask_where_to(None, "cells") == (tmp_path / name, settled)
    assert offered[0] == MODELS
    assert ONNX in offered
    assert "BioImage.IO packages (*.zip)" in offered


def test_nothing_chosen(monkeypatch):
    monkeypatch.setattr(
        "qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *given: ("", "")
    )
    assert ask_where_to(None, "cells") is None
