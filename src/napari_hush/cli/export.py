"""``hush export``: a model in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.options import refuse_existing, tell

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Write a model so that other programs run it: ONNX (.onnx) for onnxruntime, "
    "TorchScript (.pt) for PyTorch without napari-hush. Both take intensities and give "
    "intensities."
)
EXAMPLES = (
    "hush export cells.safetensors -o cells.onnx",
    "hush export cells.safetensors -o cells.pt",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="a .safetensors model file")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .onnx or .pt file, which says the format",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there"
    )


def run(options: argparse.Namespace) -> None:
    """Load the model and write it anew."""
    from napari_hush.exchange import export_model
    from napari_hush.models import load_model

    refuse_existing(Path(options.output), options.overwrite)
    path = export_model(
        load_model(options.model), options.output, overwrite=options.overwrite
    )
    tell(options, f"wrote {path}", {"file": str(path)})
