"""``hush export``: a model in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.options import refuse_existing, tell
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Write a model so that other programs run it: ONNX (.onnx) for onnxruntime, "
    "TorchScript (.pt) for PyTorch without napari-hush, a BioImage.IO package (.zip) for "
    "the model zoo, Fiji and ilastik. All take intensities and give intensities."
)
EXAMPLES = (
    "hush export cells.safetensors -o cells.onnx",
    "hush export cells.safetensors -o cells.zip --image cells.tif --author 'A. Person'",
)
_PACKAGE_ONLY = ("image", "author", "name", "description", "license")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="a model file or package")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .onnx, .pt or .zip file, which says the format",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a file that is there"
    )
    package = parser.add_argument_group("what a package says (.zip)")
    package.add_argument(
        "--image",
        help="an image that the model denoises, for the cover and the test images; by "
        "default they are simulated",
    )
    package.add_argument(
        "--author", action="append", metavar="NAME", help="may be given several times"
    )
    package.add_argument("--name", help="name of the model that people see")
    package.add_argument("--description", help="what it is for, in one sentence")
    package.add_argument(
        "--license", metavar="SPDX", help="licence of the model (default: CC-BY-4.0)"
    )


def run(options: argparse.Namespace) -> None:
    """Load the model and write it anew."""
    from napari_hush.careamist import CAREamist

    output = Path(options.output)
    given = [name for name in _PACKAGE_ONLY if getattr(options, name)]
    packed = output.suffix.lower() == ".zip"
    if given and not packed:
        raise ConfigurationError(
            f"--{given[0]} is for packages, but {output.name!r} is none; leave it out, or "
            "end the name in .zip."
        )
    refuse_existing(output, options.overwrite)
    careamist = CAREamist(options.model)
    if packed:
        about = {
            "friendly_model_name": options.name,
            "input_array": options.image,
            "authors": [{"name": name} for name in options.author or ()],
            "general_description": options.description,
            "license": options.license,
        }
        about = {name: value for name, value in about.items() if value}
        careamist.export_to_bmz(output, overwrite=options.overwrite, **about)
    else:
        careamist.export(output, overwrite=options.overwrite)
    tell(options, f"wrote {output}", {"file": str(output)})
