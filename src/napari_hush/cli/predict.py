"""``hush predict``: denoise images with a model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_hush.cli.options import IMAGES, data_type, help_of
from napari_hush.cli.progress import Bars

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Denoise TIFF or Zarr images into TIFF files, with a model that hush train or napari "
    "saved."
)
EXAMPLES = ("hush predict cells.safetensors cells.tif -o cells_clean.tif",)


def add_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import InferenceConfig

    parser.add_argument("model", metavar="MODEL", help="a model file or package")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=IMAGES)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .tif file for one image, or a folder, made if need be",
    )
    parser.add_argument(
        "--axes", help="one letter per dimension, e.g. ZYX; by default as in training"
    )
    level = InferenceConfig.model_fields["level"]
    parser.add_argument(
        "--level",
        type=int,
        metavar="N",
        help=help_of(level.description, "the one trained on"),
    )
    parser.add_argument(
        "--tile-size",
        type=int,
        nargs="+",
        metavar="N",
        help="pixels denoised at once; does not change the result, only the memory",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that are there"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "source"),
        default="float32",
        help="type of the results: float32, or that of each image, rounded and clipped",
    )


def run(options: argparse.Namespace) -> None:
    from napari_hush.careamist import CAREamist

    bars = Bars(quiet=options.quiet, json=options.json)
    careamist = CAREamist(options.model, on_progress=bars)
    careamist.predict_to_disk(
        options.images,
        prediction_dir=options.output,
        overwrite=options.overwrite,
        data_type=data_type(options),
        axes=options.axes,
        level=options.level,
        tile_size=options.tile_size,
        dtype=options.dtype,
    )
    if options.json:
        found = {"files": bars.files, "clipped": bars.clipped, "cautions": bars.cautions}
        print(json.dumps(found))
