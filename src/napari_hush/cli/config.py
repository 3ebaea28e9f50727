"""``hush config``: write a configuration file."""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_hush.cli.main import IMAGES, print_answer
from napari_hush.cli.settings import METHOD_HELP, add_settings, configuration
from napari_hush.config import as_yaml, save_configuration
from napari_hush.config.methods import METHODS
from napari_hush.errors import ConfigurationError
from napari_hush.system.atomic_write import refuse_existing

DESCRIPTION = (
    "Write a configuration file (YAML) that lists and explains every setting, to edit and "
    "to use with hush train or in the dock, or convert one of CAREamics. Without -o it is "
    "printed."
)
EXAMPLES = (
    "hush config n2v --epochs 50 -o cells.yml",
    "hush config care noisy.tif --set patch_size='[8, 64, 64]' -o care.yml",
    "hush config --from careamics.yml -o ours.yml",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "method", nargs="?", choices=tuple(METHODS), metavar="METHOD", help=METHOD_HELP
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"{IMAGES}; axes and channels are read from the first one",
    )
    parser.add_argument("-o", "--output", metavar="FILE.yml", help="file to write")
    parser.add_argument(
        "--from",
        dest="theirs",
        metavar="FILE.yml",
        help="convert a configuration of CAREamics 0.1 to 0.3 (YAML or JSON); settings "
        "without an equivalent or with another meaning are named",
    )
    add_settings(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def run(options: argparse.Namespace) -> None:
    if options.method is None and options.theirs is None:
        raise ConfigurationError(
            f"Give a method ({', '.join(METHODS)}), or --from with a configuration of "
            "CAREamics."
        )
    base = None
    if options.theirs is not None:
        from napari_hush.interop import load_careamics_configuration

        base = load_careamics_configuration(options.theirs)
    config = configuration(options, options.images, options.method, base)
    if options.output is None:
        print(config.model_dump_json() if options.json else as_yaml(config), end="")
        return
    path = Path(options.output)
    refuse_existing(path, options.overwrite, "--overwrite")
    path = save_configuration(config, path)
    answer = {"configuration": options.output} | ({"warnings": []} if base else {})
    print_answer(options, f"Wrote {path}", answer)
