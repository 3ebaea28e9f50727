"""Asking for the name of a model file."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

__all__ = ["ask_where_from", "ask_where_to"]

SUFFIX = ".safetensors"
FILE_FILTER = f"Models (*{SUFFIX})"


def ask_where_to(parent: QWidget, name: str) -> tuple[Path, bool] | None:
    """Ask where to save the model called `name`.

    Returns
    -------
    path : Path
        Ends in the suffix of model files.
    overwrite : bool
        Whether the dialog has settled that a file of that name may be replaced. None
        instead of both if nothing was chosen.
    """
    suggestion = re.sub(r"[^\w\- ]+", "_", name).strip() + SUFFIX
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save the model", suggestion, FILE_FILTER
    )
    if not chosen:
        return None
    path = Path(chosen)
    if path.suffix == SUFFIX:
        return path, True
    return path.with_name(path.name + SUFFIX), False  # the dialog asked about another name


def ask_where_from(parent: QWidget) -> Path | None:
    """Ask for a model file; None if nothing was chosen."""
    chosen, _ = QFileDialog.getOpenFileName(
        parent, "Load a model", "", f"{FILE_FILTER};;All files (*)"
    )
    return Path(chosen) if chosen else None
