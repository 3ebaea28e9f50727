"""The names of `napari_hush.io`, each looked up in its module when it is first used."""

from .arrays import axes_of, pixels_of
from .contents import ALL_IMAGES, Selection, file_of, split_reference
from .files.listing import (
    file_type,
    find_images,
    first_image,
    list_files,
    pair_files,
    refuse_same_files,
)
from .files.output_paths import plan_targets
from .files.search import FileSearch, readable
from .fingerprint import (
    Content,
    changed_meanwhile,
    changes_of,
    content_of,
    file_stamp,
    fingerprint_of,
    same_pixels,
)
from .formats import (
    FORMATS,
    WITH_LEVELS,
    FileImages,
    format_of,
    images_of,
    is_result,
    read_record,
)
from .image import Image, select_channels
from .lazy import Pixels
from .metadata import ImageMetadata
from .output import RECORD, Result, ResultImage
from .partial_output import open_partial_output
from .readers.czi import read_czi
from .save_image import write_image
from .sources import (
    ReadSource,
    check_source,
    is_path,
    load_images,
    named_axes,
    open_images,
    read_image,
    read_metadata,
)
from .tiff.write import TiffResult, read_tiff, write_tiff
from .zarr.collection import CollectedResults
from .zarr.store import address_of
from .zarr.write import ZarrResult

__all__ = [
    "ALL_IMAGES",
    "FORMATS",
    "RECORD",
    "WITH_LEVELS",
    "CollectedResults",
    "Content",
    "FileImages",
    "FileSearch",
    "Image",
    "ImageMetadata",
    "Pixels",
    "ReadSource",
    "Result",
    "ResultImage",
    "Selection",
    "TiffResult",
    "ZarrResult",
    "address_of",
    "axes_of",
    "changed_meanwhile",
    "changes_of",
    "check_source",
    "content_of",
    "file_of",
    "file_stamp",
    "file_type",
    "find_images",
    "fingerprint_of",
    "first_image",
    "format_of",
    "images_of",
    "is_path",
    "is_result",
    "list_files",
    "load_images",
    "named_axes",
    "open_images",
    "open_partial_output",
    "pair_files",
    "pixels_of",
    "plan_targets",
    "read_czi",
    "read_image",
    "read_metadata",
    "read_record",
    "read_tiff",
    "readable",
    "refuse_same_files",
    "same_pixels",
    "select_channels",
    "split_reference",
    "write_image",
    "write_tiff",
]
