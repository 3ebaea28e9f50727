"""``hush predict``: denoise images with a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_hush.cli.main import AXES, IMAGES, ExitCode, help_of, print_answer
from napari_hush.errors import SomeFilesFailedError
from napari_hush.system.job_env import is_first
from napari_hush.system.optional import require
from napari_hush.system.progress_bars import Bars
from napari_hush.system.signals import Terminated

DESCRIPTION = (
    "Denoise images of any size with a model that hush train or napari "
    "saved. Images are read and results are written tile by tile. After a crash, the same "
    "command with --resume computes only what is missing."
)
EXAMPLES = (
    "hush predict cells.safetensors cells.tif -o cells_clean.tif",
    "hush predict cells.safetensors brain.zarr -o brain_clean.ome.zarr",
    "hush predict cells.safetensors folder -o clean --resume",
    "hush predict cells.safetensors brain.zarr -o brain_clean.ome.zarr --dask local",
    "hush predict built-in cells.tif -o cells_first_look.tif",
)
MODEL = "a model file or package, or built-in for the built-in denoiser"
_SELECTION = {"level": "as in training", "series": None, "scene": None, "field": None}
"""Options that choose images of a file, and their defaults in the help."""


def add_options(parser: argparse.ArgumentParser) -> None:
    from napari_hush.config import InferenceConfig

    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument(
        "--checkpoint",
        metavar="NAME|FILE",
        help="use a checkpoint of the training run of MODEL: best, last, epoch-0010 and so "
        "on (in MODEL.checkpoints; hush train writes them with "
        "--set checkpoint_every_n_epochs=N), or a file",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=IMAGES)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help="a .tif file or .ome.zarr store for one image, or a folder",
    )
    parser.add_argument(
        "--format",
        choices=("tiff", "zarr"),
        help="output format (default: by the suffix of OUT, else that of each image)",
    )
    parser.add_argument(
        "--axes",
        help=f"{AXES} (default: as in training, or with T or S in addition; for built-in "
        "those of each file)",
    )
    for name, default in _SELECTION.items():
        text = help_of(InferenceConfig.model_fields[name].description, default)
        parser.add_argument(f"--{name}", type=int, metavar="N", help=text)
    parser.add_argument(
        "--tile-size",
        type=int,
        nargs="+",
        metavar="N",
        help="tile size in pixels, Y X or Z Y X; affects memory use, not the result "
        "(default: automatic)",
    )
    parser.add_argument(
        "--tile-overlap",
        type=int,
        nargs="+",
        metavar="N",
        help=help_of(InferenceConfig.model_fields["tile_overlap"].description, None),
    )
    batch = InferenceConfig.model_fields["batch_size"]
    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help=help_of(batch.description, batch.default),
    )
    parser.add_argument(
        "--tta",
        type=int,
        nargs="?",
        const=8,
        choices=(1, 2, 4, 8),
        help="test-time augmentation: number of flips and rotations to average, 8 for "
        "--tta alone (default: 1, no augmentation)",
    )
    precision = InferenceConfig.model_fields["precision"].description
    parser.add_argument(
        "--precision",
        choices=("auto", "32", "bf16"),
        help=help_of(" ".join((precision or "").split()), None),
    )
    own_value = InferenceConfig.model_fields["own_value"].description
    parser.add_argument(
        "--own-value",
        choices=("auto", "off"),
        help=help_of(" ".join((own_value or "").split()), "auto"),
    )
    parser.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="let the workers of a Dask scheduler write OME-Zarr results: its address "
        "(tcp://machine:8786), a scheduler file, or local to start a worker per GPU or "
        "per few cores",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--overwrite", action="store_true", help="replace existing results")
    there.add_argument(
        "--resume",
        action="store_true",
        help="keep existing results and compute the missing ones",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "source"),
        default="float32",
        help="data type of the results: float32; source: that of each image, rounded and "
        "clipped (default: float32)",
    )


@contextmanager
def _client(address: str | None) -> Iterator[Any]:
    """A client of the Dask scheduler at an address."""
    if address is None:
        yield None
        return
    require("distributed", "dask", "Prediction on Dask workers")
    from napari_hush.prediction.on_dask import connected

    with connected(address) as client:
        yield client


def run(options: argparse.Namespace) -> int:
    from napari_hush.careamist import CAREamist
    from napari_hush.careamist.predicting import require_zarr, result_format
    from napari_hush.io import file_type

    first = is_first()  # of the processes that share the work
    bars = Bars(quiet=options.quiet or not first, json=options.json)
    careamist = CAREamist(options.model, on_progress=bars)
    data_type = file_type(options.images, careamist.config.data_config.data_type)
    if options.dask is not None:  # before workers are started
        output = Path(options.output)
        require_zarr(result_format(output, data_type, options.format, None, None))
    failed: SomeFilesFailedError | None = None
    ended: BaseException | None = None
    try:
        with _client(options.dask) as client:
            careamist.predict_to_disk(
                options.images,
                client=client,
                prediction_dir=options.output,
                write_type=options.format,
                overwrite=options.overwrite,
                resume=options.resume,
                checkpoint=options.checkpoint,
                data_type=data_type,
                axes=options.axes,
                **{name: getattr(options, name) for name in _SELECTION},
                tile_size=options.tile_size,
                tile_overlap=options.tile_overlap,
                batch_size=options.batch_size,
                tta=options.tta,
                precision=options.precision,
                own_value=options.own_value,
                dtype=options.dtype,
            )
    except SomeFilesFailedError as error:
        failed = error
        print(f"hush: {error}", file=sys.stderr)
    except (Terminated, KeyboardInterrupt) as error:  # what is done is still said
        instead = " instead of --overwrite" * options.overwrite
        error.add_note(f"the same command with --resume{instead} continues")
        ended = error
    if options.json and first:
        reasons = {str(file): why for file, why in failed.failed.items()} if failed else {}
        answer = {
            "files": bars.files,
            "failed": reasons,
            "clipped": bars.clipped,
            **bars.warnings_answer,
        }
        print_answer(options, "", answer)
    if ended is not None:
        raise ended
    if failed is None:
        return ExitCode.DONE
    return ExitCode.SOME_FAILED if failed.done else ExitCode.REFUSED
