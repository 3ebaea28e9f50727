"""``hush check``: analyze the noise of an image and suggest a method."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.main import AXES, FILES, print_answer
from napari_hush.errors import ConfigurationError, SourceTypeError

if TYPE_CHECKING:
    from napari_hush.quality import DataReport

DESCRIPTION = f"Analyze the noise of an image ({FILES}) and suggest a denoising method."
EXAMPLES = ("hush check cells.tif",)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="an image file or a Zarr store")
    parser.add_argument("--axes", help=f"{AXES} (default: read from the file)")
    for name in ("series", "scene", "field"):
        text = f"number of the {name} to analyze, from 0"
        parser.add_argument(f"--{name}", type=int, metavar="N", help=text)


def run(options: argparse.Namespace) -> None:
    from napari_hush.io import (
        Selection,
        file_type,
        find_images,
        images_of,
        open_images,
        read_metadata,
    )
    from napari_hush.io.formats import format_of
    from napari_hush.quality import check_data

    path = Path(options.image)
    data_type = format_of(path) or file_type(path, "tiff")
    selection = Selection(0, options.series, options.scene, options.field)
    path, *others = [
        image
        for file in find_images(path, data_type).files
        for image in images_of(file, data_type, selection)
    ]
    if others:
        raise SourceTypeError(
            f"{options.image!r} has {1 + len(others)} images; give one, for example "
            f"{str(path)!r}."
        )
    axes = options.axes or read_metadata(path).axes
    if axes is None:
        raise ConfigurationError(
            f"{str(path)!r} does not name its axes; give them with --axes, one letter per "
            "dimension, for example --axes ZYX."
        )
    (image,) = open_images(path, data_type, axes)
    report = check_data(image)
    text = report.as_text()
    if (command := _command(options, report)) is not None:
        text += f"\n\nTo train with these settings:\n{command}"
    print_answer(options, text, report.as_dict())


def _command(options: argparse.Namespace, report: DataReport) -> str | None:
    """The command that trains as the report suggests; None if no method fits."""
    if report.suggestion == "none":
        return None
    words = ["hush", "train", shlex.quote(options.image)]
    for name in ("axes", "series", "scene", "field"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name}", str(value)]
    if report.suggestion != "n2v":
        words += ["--algorithm", report.suggestion]
    if report.suggestion == "structn2v":
        words += ["--struct-axis", report.axis, "--struct-span", str(report.span)]
    if report.frames is not None and report.frames.time_context:
        words += ["--time-context", str(report.frames.time_context)]
    return " ".join([*words, "-o", "model.safetensors"])
