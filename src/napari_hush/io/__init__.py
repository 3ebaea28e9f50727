"""Bytes to arrays and back: finding, reading and writing image files."""

from napari_hush.io.images import Image
from napari_hush.io.listing import list_files
from napari_hush.io.sources import ReadSource, check_source, is_path, load_images
from napari_hush.io.tiff import read_image, read_tiff, write_tiff

__all__ = [
    "Image",
    "ReadSource",
    "check_source",
    "is_path",
    "list_files",
    "load_images",
    "read_image",
    "read_tiff",
    "write_tiff",
]
