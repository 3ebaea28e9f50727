"""What the options and answers of several commands have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_hush.errors import ExistingFileError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

IMAGES = "TIFF files or Zarr stores, or a folder of TIFF files"


def tell(options: argparse.Namespace, text: str, values: dict[str, Any]) -> None:
    """Print the answer of a command: as JSON, as text, or, if it is to be quiet, not."""
    if options.json:
        print(json.dumps(values))
    elif not options.quiet:
        print(text)


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Do not let a result replace what is there."""
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; use another name or add --overwrite."
        )


def data_type(options: argparse.Namespace) -> str:
    """What kind of files the images are that were given."""
    from napari_hush.io import file_type

    return file_type(options.images, "tiff")


def help_of(description: str | None, default: Any) -> str:
    """The first line of a field's description, with its default."""
    first = (description or "").split("\n")[0].rstrip(".").replace("%", "%%")
    return first if default is None else f"{first} (default: {default})"
