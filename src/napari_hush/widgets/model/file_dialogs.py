"""Dialogs for model files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_hush.widgets.user_settings import safe_name

SUFFIX = ".safetensors"
READABLE = (SUFFIX, ".zip", ".ckpt")
"""Suffixes of model files, BioImage.IO packages and checkpoints of CAREamics."""
FILE_FILTER = f"Models ({' '.join(f'*{suffix}' for suffix in READABLE)})"
_WRITABLE = {
    SUFFIX: "Models",
    ".zip": "BioImage.IO packages",
    ".onnx": "ONNX",
    ".pt": "TorchScript",
}
"""Format names by suffix."""


def ask_where_to(parent: QWidget, name: str) -> tuple[Path, bool] | None:
    """Ask where to save the model called `name`; None if the dialog was cancelled.

    Returns a path with the suffix of a format, and whether the dialog has confirmed that an
    existing file of that name is overwritten.
    """
    suggestion = safe_name(name, "model") + SUFFIX
    filters = {f"{name} (*{suffix})": suffix for suffix, name in _WRITABLE.items()}
    chosen, kind = QFileDialog.getSaveFileName(
        parent, "Save the model", suggestion, ";;".join(filters)
    )
    if not chosen:
        return None
    path, wanted = Path(chosen), filters.get(kind, SUFFIX)
    if path.suffix == wanted or (wanted == SUFFIX and path.suffix in _WRITABLE):
        return path, True
    if path.suffix == SUFFIX:  # of the suggestion; another format was chosen
        return path.with_suffix(wanted), False
    return path.with_name(path.name + wanted), False  # the dialog confirmed another name


def ask_where_from(parent: QWidget) -> Path | None:
    """Ask for a model file; None if the dialog was cancelled."""
    chosen, _ = QFileDialog.getOpenFileName(
        parent, "Load a model", "", f"{FILE_FILTER};;All files (*)"
    )
    return Path(chosen) if chosen else None
