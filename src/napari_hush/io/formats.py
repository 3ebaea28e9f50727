"""The file formats. A new one is a row of `FORMATS` and a name in ``config.data.DataType``.

A Zarr store counts as one file. The provenance of results is read here as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree.ElementTree import ParseError

from tifffile import xml2dict

from napari_hush.errors import HushError
from napari_hush.io.contents import ALL_IMAGES, Contents, Selection, chosen_images, file_of
from napari_hush.io.lazy import LazyPixels
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.output import RECORD
from napari_hush.io.readers.czi import CziPixels, czi_contents
from napari_hush.io.readers.lif import LifPixels, lif_contents
from napari_hush.io.readers.nd2 import Nd2Pixels, nd2_contents
from napari_hush.io.readers.pictures import PicturePixels
from napari_hush.io.tiff.layout import layout_of, tiff_contents
from napari_hush.io.tiff.pages import opened
from napari_hush.io.tiff.read import TiffPixels
from napari_hush.io.zarr.ome import zarr_contents
from napari_hush.io.zarr.read import open_zarr
from napari_hush.io.zarr.store import attributes_of, is_zarr

if TYPE_CHECKING:
    from napari_hush.io.readers.base import FilePixels


Opened = tuple[LazyPixels, str, ImageMetadata]
"""Pixels, the axes that the file names (`metadata.UNNAMED` for others), and metadata."""


class Format(NamedTuple):
    """How to recognize and read the files of one format."""

    pattern: str
    """Pattern of the usual file names, in messages."""
    recognizes: Callable[[Path], bool]
    """Whether a path is a file of this format: `Endings`, or a function for folders."""
    open: Callable[[Path, str, int], Opened]
    """Opens an image reference; also gets the user's axes and the resolution level."""
    metadata: Callable[[Path, int], ImageMetadata]
    """Reads the metadata of an image reference at a resolution level."""
    contents: Callable[[Path], Contents] = Contents.single
    """The images that a path holds; pixels are not read."""


class Endings:
    """Recognizes files, not folders, by the endings of their names, such as ``".tif"``."""

    def __init__(self, *endings: str) -> None:
        self.endings = endings

    def matches(self, name: str) -> bool:
        """Whether a name has one of the endings, in lower or upper case."""
        return name.lower().endswith(self.endings)

    def __call__(self, path: Path) -> bool:
        file = file_of(path)
        return self.matches(file.name) and not os.path.isdir(file)


TIFF_ENDINGS = (
    *(".tif", ".tiff", ".btf", ".tf2", ".tf8", ".ptif", ".ptiff"),
    *(".lsm", ".stk", ".flex", ".pcoraw"),
    *(".svs", ".ndpi", ".scn", ".qptiff", ".qpi", ".zif", ".companion.ome"),
)
"""Endings of TIFF files, those of microscopes and of slide scanners too.

OME-XML beside TIFF files stands for them.
"""


def _open_tiff(path: Path, axes: str, level: int) -> Opened:
    pixels = TiffPixels(path, level)
    return pixels, pixels.layout.named, pixels.layout.metadata


def _with_library(
    pixels: Callable[..., FilePixels],
    *endings: str,
    contents: Callable[[Path], Contents] = Contents.single,
    takes_axes: bool = False,
) -> Format:
    """A format that is read by way of another package."""

    def opened(path: Path, axes: str, level: int) -> Opened:
        found = pixels(path, axes) if takes_axes else pixels(path)
        return found, found.named, found.metadata

    def metadata(path: Path, level: int) -> ImageMetadata:
        return pixels(path).metadata

    return Format(f"*{endings[0]}", Endings(*endings), opened, metadata, contents)


FORMATS = {
    "tiff": Format(
        "*.tif",
        Endings(*TIFF_ENDINGS),
        _open_tiff,
        lambda path, level: layout_of(path, level).metadata,
        tiff_contents,
    ),
    "zarr": Format(
        "*.zarr",
        is_zarr,
        lambda path, axes, level: open_zarr(path, level),
        lambda path, level: open_zarr(path, level)[2],
        zarr_contents,
    ),
    "image": _with_library(
        PicturePixels, *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"), takes_axes=True
    ),
    "czi": _with_library(CziPixels, ".czi", contents=czi_contents),
    "nd2": _with_library(Nd2Pixels, ".nd2", contents=nd2_contents),
    "lif": _with_library(LifPixels, ".lif", ".lof", contents=lif_contents),
}
"""By name, the value of ``data_type``."""

WITH_LEVELS = ("zarr", "tiff")
"""Formats of images at several resolutions."""


def format_of(path: Path) -> str | None:
    """The format of a file; None if no format recognizes it."""
    return next((name for name, each in FORMATS.items() if each.recognizes(path)), None)


def format_of_name(name: str) -> str | None:
    """The format of a file, not a folder, of this name; None if there is none."""
    for format_name, each in FORMATS.items():
        if isinstance(each.recognizes, Endings) and each.recognizes.matches(name):
            return format_name
    return None


def images_of(path: Path, data_type: str, selection: Selection = ALL_IMAGES) -> list[Path]:
    """References of the images of a file: all, or those of a selection.

    A file of a custom reader is one image. Raises a DataError if there is no such image or
    it is incomplete.
    """
    if data_type not in FORMATS:
        return [path]
    return chosen_images(FORMATS[data_type].contents(path), selection)


class FileImages:
    """The images of several files, each of them once.

    An image in several files belongs to its first file, or if that is not among the
    `files`, to the first of them that stands for it.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = set(files)
        self._known = set[Path]()

    def of(self, file: Path, data_type: str, selection: Selection) -> list[Path]:
        """See `images_of`; without images that another file stands for."""
        found = [
            image
            for image in images_of(file, data_type, selection)
            if file_of(image) == file_of(file)
            or not (file_of(image) in self._files or image in self._known)
        ]
        self._known.update(found)
        return found


_LONGEST = 2**22
"""Longer texts are not records."""
_END = 2**16
"""Bytes at both ends of a TIFF file, where the metadata are."""
_CODES = ("utf-8", "utf-16-le", "utf-16-be")
_PARTS = ("source", "model", "software")


def read_record(path: str | Path) -> dict[str, Any] | None:
    """Read the provenance of the image in a TIFF file or Zarr store.

    Returns
    -------
    dict or None
        None if the file was not written by this package, or the record is damaged.

    Raises
    ------
    UnreadableFileError
        If the file cannot be read.
    """
    path = Path(path)
    if is_zarr(path):
        found = attributes_of(path).get(RECORD)
    else:
        with opened(path) as file:
            info = file.pages.first.shaped_description
            if file.is_ome:
                info = _description(file.ome_metadata or "")
            elif file.is_imagej:
                info = (file.imagej_metadata or {}).get("Info")
            found = _parsed(info)
    if not isinstance(found, dict):
        return None
    whole = all(isinstance(found.get(part), dict) for part in _PARTS)
    return found if whole else None


def is_result(path: Path) -> bool:
    """Whether this package wrote an image; of most others only both ends are read."""
    try:
        if path.is_dir():
            marks = (path / "zarr.json", path / ".zattrs")
            ends = b"".join(mark.read_bytes() for mark in marks if mark.is_file())
        else:
            with open(path, "rb") as file:
                ends = file.read(_END)
                file.seek(max(_END, os.fstat(file.fileno()).st_size - _END))
                ends += file.read()
        # ImageJ keeps texts in two bytes per letter.
        if not any(RECORD.encode(code) in ends for code in _CODES):
            return False
        return read_record(path) is not None
    except (OSError, HushError):  # opening it says why
        return False


def _description(xml: str) -> Any:
    """Description of the first image of an OME-TIFF file."""
    try:
        image = xml2dict(xml)["OME"]["Image"]
        return (image[0] if isinstance(image, list) else image)["Description"]
    except (KeyError, IndexError, TypeError, ParseError, RecursionError):
        return None


def _parsed(info: Any) -> Any:
    if not isinstance(info, str) or not info.startswith("{") or len(info) > _LONGEST:
        return None
    try:
        found = json.loads(info)
    except (ValueError, RecursionError):  # the info of another program
        return None
    return found.get(RECORD) if isinstance(found, dict) else None
