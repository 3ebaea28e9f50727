"""Dialogs for model files."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_hush.widgets.user_settings import (
    folder_beside,
    load_setting,
    safe_name,
    save_setting,
)

SUFFIX = ".safetensors"
PACKAGE = ".zip"
READABLE = (SUFFIX, PACKAGE, ".ckpt")
"""Suffixes of model files, BioImage.IO packages and checkpoints of CAREamics."""
FILE_FILTER = f"Models ({' '.join(f'*{suffix}' for suffix in READABLE)})"
_WRITABLE = {
    SUFFIX: "Model: to denoise and train on in napari",
    PACKAGE: "BioImage.IO package: to share, with its description",
    ".onnx": "ONNX: for programs other than napari",
    ".pt": "TorchScript: for PyTorch and ImageJ",
}
"""Format names by suffix, with what each is for."""
_FOLDER = "model_folder"
"""Setting with the folder for models, unless they are saved next to their images."""


def ask_where_to(parent: QWidget, name: str, image: str = "") -> tuple[Path, bool] | None:
    """Ask where to save the model called `name`; None if the dialog was cancelled.

    The dialog opens in the folder used last, by default in that of the file `image`.
    Returns a path with the suffix of a format, and whether the dialog has confirmed that an
    existing file of that name is overwritten.
    """
    suggestion = _first_folder(image) / (safe_name(name, "model") + SUFFIX)
    filters = {f"{name} (*{suffix})": suffix for suffix, name in _WRITABLE.items()}
    chosen, kind = QFileDialog.getSaveFileName(
        parent, "Save model", str(suggestion), ";;".join(filters)
    )
    if not chosen:
        return None
    path, wanted = Path(chosen), filters.get(kind, SUFFIX)
    _keep_folder(path, image)
    suffix = path.suffix.lower()
    if suffix == wanted or (suffix in _WRITABLE and suffix != SUFFIX):
        return path, True
    if suffix == SUFFIX:  # of the suggestion; another format was chosen
        return path.with_suffix(wanted), False
    return path.with_name(path.name + wanted), False  # the dialog confirmed another name


def ask_where_from(parent: QWidget, image: str = "") -> Path | None:
    """Ask for a model file; None if the dialog was cancelled.

    The dialog opens in the folder of the last model, by default in that of `image`.
    """
    recent = [Path(name).parent for name in load_setting("models", [])[:1]]
    folder = next((one for one in recent if one.is_dir()), _first_folder(image))
    chosen, _ = QFileDialog.getOpenFileName(
        parent, "Load model", str(folder), f"{FILE_FILTER};;All files (*)"
    )
    return Path(chosen) if chosen else None


def _first_folder(image: str) -> Path:
    used = load_setting(_FOLDER)
    if used and Path(used).is_dir():
        return Path(used)
    return folder_beside(image) or Path.home()


def _keep_folder(path: Path, image: str) -> None:
    """Remember the folder of `path`; one next to the image is not for other images."""
    beside = path.parent == folder_beside(image)
    save_setting(_FOLDER, None if beside else str(path.parent))
