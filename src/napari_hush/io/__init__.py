"""Finding, reading and writing image files."""

from napari_hush.deprecation import former_names
from napari_hush.io.arrays import axes_of
from napari_hush.io.contents import ALL_IMAGES, Selection, file_of, split_reference
from napari_hush.io.files.listing import (
    file_type,
    find_images,
    first_image,
    list_files,
    pair_files,
    refuse_same_files,
)
from napari_hush.io.files.output_paths import plan_targets
from napari_hush.io.fingerprint import (
    Content,
    changed_meanwhile,
    changes_of,
    content_of,
    file_stamp,
    fingerprint_of,
    same_pixels,
)
from napari_hush.io.formats import FileImages, images_of, read_record
from napari_hush.io.image import Image, select_channels
from napari_hush.io.lazy import Pixels
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.output import RECORD, Result, ResultImage
from napari_hush.io.partial_output import open_partial_output
from napari_hush.io.readers.czi import read_czi
from napari_hush.io.save_image import write_image
from napari_hush.io.sources import (
    ReadSource,
    check_source,
    is_path,
    load_images,
    named_axes,
    open_images,
    read_metadata,
)
from napari_hush.io.tiff.write import TiffResult, read_image, read_tiff, write_tiff
from napari_hush.io.zarr.collection import CollectedResults
from napari_hush.io.zarr.write import ZarrResult
from napari_hush.system.memory import explain_memory_error, require_memory
from napari_hush.system.optional import require

__all__ = [
    "ALL_IMAGES",
    "RECORD",
    "CollectedResults",
    "Content",
    "FileImages",
    "Image",
    "ImageMetadata",
    "Pixels",
    "ReadSource",
    "Result",
    "ResultImage",
    "Selection",
    "TiffResult",
    "ZarrResult",
    "axes_of",
    "changed_meanwhile",
    "changes_of",
    "check_source",
    "content_of",
    "explain_memory_error",
    "file_of",
    "file_stamp",
    "file_type",
    "find_images",
    "fingerprint_of",
    "first_image",
    "images_of",
    "is_path",
    "list_files",
    "load_images",
    "named_axes",
    "open_images",
    "open_partial_output",
    "pair_files",
    "plan_targets",
    "read_czi",
    "read_image",
    "read_metadata",
    "read_record",
    "read_tiff",
    "refuse_same_files",
    "require",
    "require_memory",
    "same_pixels",
    "select_channels",
    "split_reference",
    "write_image",
    "write_tiff",
]

__getattr__ = former_names(
    __name__,
    {
        "memory_told": "explain_memory_error",
        "unfinished": "open_partial_output",
    },
)
