"""Images in the OME-XML of a TIFF file, also those in other files."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from napari_hush.errors import HushError, UnreadableFileError
from napari_hush.io.tiff.pages import is_own, opened

if TYPE_CHECKING:
    import tifffile

COMPANION = ".companion.ome"
"""Ending of OME-XML beside the TIFF files that it describes."""
_BINARY_ONLY = re.compile(
    r"<(?:\w+:)?BinaryOnly\b[^>]*?\bMetadataFile\s*=\s*[\"']([^\"']*)"
)
_UUID = re.compile(r"<((?:\w+:)?UUID)\b[^>]*(?:/>|>[^<]*</\1>)")


@dataclass
class NamedPlanes:
    """The planes of an image in OME-XML."""

    number: int
    name: str
    count: int
    """0 if unknown."""
    starts: set[tuple[str, int]] = field(default_factory=set)
    """Name of the file ("" for the open one) and number of the page of some planes."""
    absent: set[str] = field(default_factory=set)
    """Files of planes that do not exist."""

    def holds(self, file: tifffile.TiffFile, pages: Any) -> bool:
        """Whether one of the pages is one of these planes."""
        return any(
            ("" if is_own(file, page) else page.parent.filename, page.index) in self.starts
            for page in pages
            if page is not None
        )


class Description(NamedTuple):
    """OME-XML that is not in the file that it describes."""

    path: Path
    """The TIFF file to open."""
    xml: str | None = None
    source: Path | None = None
    """The file that has it."""
    warning: str = ""


def description_of(path: Path) -> Description:
    """The TIFF file to open for a path."""
    if not path.name.lower().endswith(COMPANION):
        return Description(path)
    xml = _text(path)
    for each in named_planes(xml, path):
        for name, _ in sorted(each.starts):
            if name not in each.absent:
                return Description(path.parent / name, xml, path)
    raise UnreadableFileError(
        f"The TIFF files that {str(path)!r} describes are missing; put them beside it or "
        "leave it out."
    )


def description_elsewhere(path: Path, xml: str) -> Description | None:
    """Description of a file whose own OME-XML refers to another; None if it is sound."""
    if (found := _BINARY_ONLY.search(xml)) is None:
        alone = _renamed(path, xml)
        return None if alone is None else Description(path, alone)
    name = unescape(found[1])
    source = path.parent / name
    if source.is_file() and source != path:
        if name.lower().endswith((".ome", ".xml")):
            return Description(path, _text(source), source)
        with opened(source) as file:
            whole = file.ome_metadata or ""
        if whole and not _BINARY_ONLY.search(whole):
            return Description(source, whole)
    warning = (
        f"{str(path)!r} belongs to an image in several files that {name!r} describes, "
        "which is missing; it is read by itself."
    )
    return Description(path, warning=warning)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise UnreadableFileError(
            f"{str(path)!r} could not be read ({error}); check the disk it lies on."
        ) from error


def _renamed(path: Path, xml: str) -> str | None:
    """OME-XML without the former name of a file; None if it names no other one."""
    if "FileName" not in xml:
        return None
    named = named_planes(xml, path)
    files = {name for each in named for name, _ in each.starts}
    absent = {name for each in named for name in each.absent}
    return _UUID.sub("", xml) if files == absent and len(files) == 1 else None


def named_planes(xml: str, path: Path) -> list[NamedPlanes]:
    """The images with planes in the OME-XML of a file; none if it makes no sense."""
    try:
        root = ElementTree.fromstring(xml)  # noqa: S314  (expat bounds entities)
        found: list[NamedPlanes] = []
        for image in children(root, "Image"):
            for pixels in children(image, "Pixels"):
                planes = NamedPlanes(len(found), image.get("Name", ""), _count(pixels))
                for data in children(pixels, "TiffData"):
                    _add(planes, data, root.get("UUID"), path)
                if planes.starts:
                    found.append(planes)
    except (HushError, MemoryError):
        raise
    except Exception:  # metadata of any shape
        return []
    return found


def _count(pixels: ElementTree.Element) -> int:
    try:
        count = math.prod(int(pixels.get(f"Size{a}", 1)) for a in "ZCT")
        channel = next(children(pixels, "Channel"), None)
        samples = 1 if channel is None else int(channel.get("SamplesPerPixel", 1))
    except ValueError:
        return 0
    return count // max(samples, 1)


def _add(
    planes: NamedPlanes, data: ElementTree.Element, own: str | None, path: Path
) -> None:
    """Add the first plane of a TiffData element."""
    name = ""
    for element in children(data, "UUID"):
        name = element.get("FileName", "")
        if name.lower() == path.name.lower() or (own and element.text == own):
            name = ""
        break
    planes.starts.add((name, int(data.get("IFD", 0))))
    if name and not os.path.isfile(path.parent / name):
        planes.absent.add(name)


def children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """The children of any namespace."""
    return (one for one in element if str(one.tag).rpartition("}")[2] == name)
