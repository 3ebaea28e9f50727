"""What the options of several commands have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

IMAGES = "TIFF files or Zarr stores, or a folder of TIFF files"


def data_type(options: argparse.Namespace) -> str:
    """What kind of files the images are that were given."""
    from napari_hush.io import file_type

    return file_type(options.images, "tiff")


def help_of(description: str | None, default: Any) -> str:
    """The first line of a field's description, with its default."""
    first = (description or "").split("\n")[0].rstrip(".").replace("%", "%%")
    return first if default is None else f"{first} (default: {default})"
