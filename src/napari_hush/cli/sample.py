"""``hush sample``: write sample images to try the methods on."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_hush.cli.main import print_answer
from napari_hush.errors import ConfigurationError
from napari_hush.io.samples import SAMPLES
from napari_hush.io.tiff.write import write_tiff
from napari_hush.system.atomic_write import refuse_existing

DESCRIPTION = (
    "Write the images of a sample as TIFF files, with axes and pixel size: the noisy image "
    "as FILE.tif, and beside it FILE_target.tif (samples for Noise2Noise and CARE) and "
    "FILE_ground_truth.tif, where the sample has them. Without a NAME the samples are "
    "listed."
)
EXAMPLES = (
    "hush sample",
    "hush sample cells -o cells.tif",
    "hush sample pairs -o pairs.tif",
)
_SUFFIXES = (".ome.tif", ".ome.tiff", ".tif", ".tiff")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        choices=tuple(SAMPLES),
        metavar="NAME",
        help="; ".join(f"{name}: {each.sentence}" for name, each in SAMPLES.items()),
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE.tif", help="file to write for the noisy image"
    )
    parser.add_argument("--list", action="store_true", help="list the samples")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")


def run(options: argparse.Namespace) -> None:
    if options.list or options.name is None:
        sentences = {name: each.sentence for name, each in SAMPLES.items()}
        width = max(map(len, sentences))
        lines = (f"{name:{width}}  {sentence}" for name, sentence in sentences.items())
        print_answer(options, "\n".join(lines), {"samples": sentences})
        return
    if options.output is None:
        raise ConfigurationError(
            f"Give a file for the images of the sample {options.name!r}, for example "
            f"-o {options.name}.tif."
        )
    output = Path(options.output)
    suffix = next((end for end in _SUFFIXES if output.name.lower().endswith(end)), "")
    if not suffix:
        raise ConfigurationError(
            f"Cannot write a TIFF file as {output.name!r}; end the name in .tif or .tiff."
        )
    stem, suffix = output.name[: -len(suffix)], output.name[-len(suffix) :]
    images = SAMPLES[options.name].images()
    files = {
        output.with_name(f"{stem}_{name}{suffix}" if name else output.name): image
        for name, image in images.named().items()
    }
    for path in files:
        refuse_existing(path, options.overwrite, "--overwrite")
    units = dict.fromkeys(images.scale, "micrometer")
    for path, image in files.items():
        write_tiff(
            path,
            image,
            images.axes,
            scale=images.scale,
            units=units,
            overwrite=options.overwrite,
        )
    text = "\n".join(f"Wrote {path}" for path in files)
    print_answer(options, text, {"files": [str(path) for path in files]})
