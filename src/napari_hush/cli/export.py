"""``hush export``: export a model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_hush.cli.main import print_answer
from napari_hush.errors import ConfigurationError
from napari_hush.system.atomic_write import refuse_existing

DESCRIPTION = (
    "Export a model for other programs: ONNX (.onnx) for onnxruntime, TorchScript (.pt) "
    "for PyTorch without napari-hush, a BioImage.IO package (.zip) for the model zoo, Fiji "
    "and ilastik. Input and output of all of them are intensities."
)
EXAMPLES = (
    "hush export cells.safetensors -o cells.onnx",
    "hush export cells.safetensors -o cells.zip --image cells.tif --author 'A. Person'",
)
_PACKAGE_ONLY = ("image", "author", "name", "description", "license")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a model file or package")
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="file to write; its suffix .onnx, .pt or .zip selects the format",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    package = parser.add_argument_group("metadata of a package (.zip)")
    package.add_argument(
        "--image",
        help="a noisy image for the cover and the test images (default: simulated)",
    )
    package.add_argument(
        "--author", action="append", metavar="NAME", help="an author; repeatable"
    )
    package.add_argument("--name", help="display name of the model")
    package.add_argument("--description", help="purpose of the model, in one sentence")
    package.add_argument(
        "--license", metavar="SPDX", help="license of the model (default: CC-BY-4.0)"
    )


def run(options: argparse.Namespace) -> None:
    from napari_hush.careamist import CAREamist

    output = Path(options.output)
    given = [name for name in _PACKAGE_ONLY if getattr(options, name)]
    packed = output.suffix.lower() == ".zip"
    if given and not packed:
        raise ConfigurationError(
            f"--{given[0]} is for packages, but {output.name!r} is not one; leave it out, "
            "or end the name in .zip."
        )
    refuse_existing(output, options.overwrite, "--overwrite")
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
    text = f"Wrote {output}"
    if share := careamist.trained.built_in_share:
        text += f", without the built-in denoiser ({share.percent} of the model's results)"
    print_answer(options, text, {"file": str(output)})
