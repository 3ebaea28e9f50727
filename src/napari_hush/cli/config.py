"""``hush config``: write a configuration to edit and train with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_hush.cli.options import IMAGES, refuse_existing, tell
from napari_hush.cli.settings import METHOD_HELP, add_settings, configuration
from napari_hush.config import as_yaml, save_configuration
from napari_hush.config.methods import METHODS

if TYPE_CHECKING:
    import argparse

DESCRIPTION = (
    "Write a configuration with every setting and what it means, as YAML, to edit and to "
    "give to hush train or to the dock. Without -o it is printed."
)
EXAMPLES = (
    "hush config n2v --epochs 50 -o cells.yml",
    "hush config care noisy.tif --set patch_size='[8, 64, 64]' -o care.yml",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument(
        "method", choices=tuple(METHODS), metavar="METHOD", help=METHOD_HELP
    )
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help=f"{IMAGES}; the first one says axes and channels",
    )
    parser.add_argument("-o", "--output", metavar="FILE.yml", help="where it goes")
    add_settings(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the file if it is there"
    )


def run(options: argparse.Namespace) -> None:
    """Write or print it."""
    config = configuration(options, options.images, options.method)
    if options.output is None:
        print(config.model_dump_json() if options.json else as_yaml(config), end="")
        return
    path = Path(options.output)
    refuse_existing(path, options.overwrite)
    tell(
        options,
        f"Wrote {save_configuration(config, path)}",
        {"configuration": options.output},
    )
