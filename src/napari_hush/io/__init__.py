"""Bytes to arrays and back: finding, reading and writing image files."""

from napari_hush.io.arrays import axes_of
from napari_hush.io.channels import select_channels
from napari_hush.io.content import Content, content_of
from napari_hush.io.czi import read_czi
from napari_hush.io.images import Image, Pixels
from napari_hush.io.listing import file_type, list_files, pair_files
from napari_hush.io.meeting import Meeting
from napari_hush.io.memory import memory_told, require_memory
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.optional import require
from napari_hush.io.record import RECORD, read_record
from napari_hush.io.results import Result, ResultImage
from napari_hush.io.sources import (
    ReadSource,
    changed_meanwhile,
    changes_of,
    check_source,
    file_stamp,
    fingerprint,
    is_path,
    load_images,
    named_axes,
    open_images,
    read_metadata,
)
from napari_hush.io.targets import plan_targets
from napari_hush.io.tiff import read_image, read_tiff, write_tiff
from napari_hush.io.tiff_result import TiffResult
from napari_hush.io.unfinished import unfinished
from napari_hush.io.zarr_result import ZarrResult

__all__ = [
    "RECORD",
    "Content",
    "Image",
    "ImageMetadata",
    "Meeting",
    "Pixels",
    "ReadSource",
    "Result",
    "ResultImage",
    "TiffResult",
    "ZarrResult",
    "axes_of",
    "changed_meanwhile",
    "changes_of",
    "check_source",
    "content_of",
    "file_stamp",
    "file_type",
    "fingerprint",
    "is_path",
    "list_files",
    "load_images",
    "memory_told",
    "named_axes",
    "open_images",
    "pair_files",
    "plan_targets",
    "read_czi",
    "read_image",
    "read_metadata",
    "read_record",
    "read_tiff",
    "require",
    "require_memory",
    "select_channels",
    "unfinished",
    "write_tiff",
]
