"""``hush predict``: denoise images with a model."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from napari_hush.cli.options import IMAGES, data_type, help_of
from napari_hush.cli.progress import Bars
from napari_hush.errors import SomeFilesFailedError
from napari_hush.system.job_env import is_first

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Denoise TIFF or Zarr images into files of their kind, with a model that hush train or "
    "napari saved. They can be of any size: neither images nor results are in memory as a "
    "whole. After a crash the same command goes on with the tiles that are missing."
)
EXAMPLES = (
    "hush predict cells.safetensors cells.tif -o cells_clean.tif",
    "hush predict cells.safetensors brain.zarr -o brain_clean.ome.zarr",
    "hush predict cells.safetensors folder -o clean --resume",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import InferenceConfig

    parser.add_argument("model", metavar="MODEL", help="a model file or package")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=IMAGES)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .tif file or .ome.zarr store for one image, or a folder, made if need be",
    )
    parser.add_argument(
        "--format",
        choices=("tiff", "zarr"),
        help="TIFF or OME-Zarr; by default as OUT ends, else Zarr for Zarr, TIFF for TIFF",
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
    there = parser.add_mutually_exclusive_group()
    there.add_argument(
        "--overwrite", action="store_true", help="replace results that are there"
    )
    there.add_argument(
        "--resume",
        action="store_true",
        help="leave results that are there, make those that are missing",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "source"),
        default="float32",
        help="type of the results: float32, or that of each image, rounded and clipped",
    )


def run(options: argparse.Namespace) -> int:
    from napari_hush.careamist import CAREamist
    from napari_hush.cli.main import ExitCode

    first = is_first()  # of several processes, which share the work
    bars = Bars(quiet=options.quiet or not first, json=options.json)
    careamist = CAREamist(options.model, on_progress=bars)
    failed: SomeFilesFailedError | None = None
    try:
        careamist.predict_to_disk(
            options.images,
            prediction_dir=options.output,
            write_type=options.format,
            overwrite=options.overwrite,
            resume=options.resume,
            data_type=data_type(options),
            axes=options.axes,
            level=options.level,
            tile_size=options.tile_size,
            dtype=options.dtype,
        )
    except SomeFilesFailedError as error:
        failed = error
        print(f"hush: {error}", file=sys.stderr)
    if options.json and first:
        reasons = {str(file): why for file, why in failed.failed.items()} if failed else {}
        answer = {
            "files": bars.files,
            "failed": reasons,
            "clipped": bars.clipped,
            "cautions": bars.cautions,
        }
        print(json.dumps(answer))
    if failed is None:
        return ExitCode.DONE
    return ExitCode.SOME_FAILED if failed.done else ExitCode.REFUSED
