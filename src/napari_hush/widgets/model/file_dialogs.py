"""Asking for the name of a model file."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

__all__ = ["ask_where_from", "ask_where_to"]

SUFFIX = ".safetensors"
READABLE = (SUFFIX, ".zip", ".ckpt")
"""Endings of files with a model in them: our own, packages, checkpoints of CAREamics."""
FILE_FILTER = f"Models ({' '.join(f'*{suffix}' for suffix in READABLE)})"
_WRITABLE = {
    SUFFIX: "Models",
    ".zip": "BioImage.IO packages",
    ".onnx": "ONNX",
    ".pt": "TorchScript",
}
"""Endings that a model can be saved with, and what that is called."""


def ask_where_to(parent: QWidget, name: str) -> tuple[Path, bool] | None:
    """Ask where to save the model called `name`.

    Returns
    -------
    path : Path
        Ends in the suffix of model files, or in one of another program's format.
    overwrite : bool
        Whether the dialog has settled that a file of that name may be replaced. None
        instead of both if nothing was chosen.
    """
    suggestion = re.sub(r"[^\w\- ]+", "_", name).strip() + SUFFIX
    filters = {f"{name} (*{suffix})": suffix for suffix, name in _WRITABLE.items()}
    chosen, kind = QFileDialog.getSaveFileName(
        parent, "Save the model", suggestion, ";;".join(filters)
    )
    if not chosen:
        return None
    path, wished = Path(chosen), filters.get(kind, SUFFIX)
    if path.suffix == wished or (wished == SUFFIX and path.suffix in _WRITABLE):
        return path, True
    if path.suffix == SUFFIX:  # of the suggestion, where another format was picked
        return path.with_suffix(wished), False
    return path.with_name(path.name + wished), False  # the dialog asked about another name


def ask_where_from(parent: QWidget) -> Path | None:
    """Ask for a model file; None if nothing was chosen."""
    chosen, _ = QFileDialog.getOpenFileName(
        parent, "Load a model", "", f"{FILE_FILTER};;All files (*)"
    )
    return Path(chosen) if chosen else None
