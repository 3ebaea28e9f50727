"""Export a model into a file that other programs read, by the ending of its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.errors import ExistingFileError, ModelFileError
from napari_hush.exchange.onnx_graph import write_onnx
from napari_hush.exchange.torchscript import write_torchscript

if TYPE_CHECKING:
    from napari_hush.models import Model

_WRITERS = {".onnx": write_onnx, ".pt": write_torchscript}


def export_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `model` as ONNX (``.onnx``) or TorchScript (``.pt``).

    Both take float32 intensities ``(B, C, (Z), Y, X)`` and give denoised ones; spatial
    sizes are multiples of `UNet.multiple`.

    Raises
    ------
    ModelFileError
        If the name has another ending.
    ExistingFileError
        If there is a file of that name and `overwrite` is off.
    UnwritableFileError
        If the file cannot be written.
    HushError
        If ONNX is asked for and the package onnx is not installed.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ModelFileError(
            f"Cannot export a model as {path.name!r}; end the name in .onnx (ONNX) or .pt "
            "(TorchScript)."
        )
    refuse_existing(path, overwrite)
    write(model, path)
    return path


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Do not let an export replace what is there.

    Raises
    ------
    ExistingFileError
        If there is a file and `overwrite` is off.
    """
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; choose another name or allow it "
            "to be replaced."
        )
