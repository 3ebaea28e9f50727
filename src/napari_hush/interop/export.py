"""Export a model into a file that other programs read, by the ending of its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.errors import ModelFileError
from napari_hush.interop.bioimageio import write_package
from napari_hush.interop.onnx import write_onnx
from napari_hush.interop.torchscript import write_torchscript
from napari_hush.system.atomic_write import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_hush.models import Model

_WRITERS: dict[str, Callable[[Model, Path], None]] = {
    ".onnx": write_onnx,
    ".pt": write_torchscript,
    ".zip": write_package,
}


def export_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `model` as ONNX (``.onnx``), TorchScript (``.pt``) or BioImage.IO (``.zip``).

    All take float32 intensities ``(B, C, (Z), Y, X)`` and give denoised ones; spatial
    sizes are multiples of `UNet.multiple`. A package for others to find and use says more
    with `write_package`.

    Raises
    ------
    ModelFileError
        If the name has another ending.
    ExistingFileError
        If there is a file of that name and `overwrite` is off.
    UnwritableFileError
        If the file cannot be written.
    HushError
        If it takes ONNX and the package onnx is not installed.
    """
    path = Path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ModelFileError(
            f"Cannot export a model as {path.name!r}; end the name in .onnx (ONNX), .pt "
            "(TorchScript) or .zip (a BioImage.IO package)."
        )
    refuse_existing(path, overwrite)
    write(model, path)
    return path
