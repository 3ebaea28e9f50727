"""LIF files of Leica microscopes, read region by region; liffile finds the images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.io.contents import Contents, Part, split_reference
from napari_hush.io.lazy import Bounds, extent
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.readers import base
from napari_hush.io.tiff.read import read_box
from napari_hush.system.optional import require

_CHANNELS = "./Data/Image/ImageDescription/Channels/ChannelDescription"


class LifPixels(base.FilePixels):
    """Pixels of one image; T, C, Z, Y, X, and S for tiles of a mosaic."""

    kind = "a LIF file"

    def __init__(self, path: Path) -> None:
        file, _ = split_reference(path)
        with _images(file) as (images, _):
            number = base.image_number(path, range(len(images)))
            image = images[number]
            base.check_complete(path, _missing(file, image))
            named = _axes(list(image.sizes))
            self._offset = image.memory_block.offset
            # Rows may be padded.
            self._stored = image._shape_stored or image.shape  # noqa: SLF001
            self._flipped = bool(image._is_bgr)  # noqa: SLF001
            metadata = base.known(named, lambda: _metadata(image, named))
            super().__init__(path, image.shape, image.dtype, named, metadata)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        if self._flipped:  # blue is stored first
            count = self.shape[-1]
            first, last = bounds[-1]
            bounds = (*bounds[:-1], (count - last, count - first))
        with self._reading(), open(self.file, "rb", buffering=0) as file:
            pixels = read_box(file, self._offset, self._stored, self.dtype, bounds)
        return pixels[..., ::-1] if self._flipped else pixels.reshape(extent(bounds))


def lif_contents(path: Path) -> Contents:
    """The images of a file; lifetime recordings, which are no images, are left out."""
    file, _ = split_reference(path)
    with _images(file) as (images, others):
        found = [
            Part(path, number, image.name, _missing(file, image))
            for number, image in enumerate(images)
        ]
    left_out = ["its lifetime recordings (FLIM)"] if others else []
    return base.contents_of(path, found, left_out)


@contextmanager
def _images(file: Path) -> Iterator[tuple[list[Any], int]]:
    """The images of a file, and the number of other recordings."""
    liffile = require("liffile", "microscopes", "Reading LIF files")
    with base.parsing(file, "a LIF file"), liffile.LifFile(str(file)) as lif:
        # By element: liffile's list keeps one image of each name.
        elements = lif.xml_element.iter("Element")
        images = [
            liffile.LifImage(lif, each, each.get("Name", ""))
            for each in elements
            if each.find("./Data/Image") is not None
        ]
        others = lif.xml_element.findall(".//Element/Data/SingleMoleculeDetection")
        yield images, len(others)


def _missing(file: Path, image: Any) -> str:
    """Missing pixels of an image in the file, in words."""
    try:
        block = image.memory_block
        stored = image.shape and (image._shape_stored or image.shape)  # noqa: SLF001
        needed = math.prod(stored) * image.dtype.itemsize
    except (KeyError, IndexError):
        return "all of its pixels"
    except (ValueError, AssertionError) as error:  # others of the file can be read
        return f"pixels that can be read: {base.one_line(error)}"
    there = min(block.size, file.stat().st_size - block.offset)
    if there >= needed:
        return ""
    return f"{needed - max(0, there)} of {needed} bytes of its pixels"


def _axes(names: list[str]) -> str:
    if "Y" not in names and "X" in names[1:]:
        # A scan along Z or T: its lines are rows.
        names[names.index("X") - 1] = "Y"
    return base.letters_of_dimensions(names, "SλΛ")


def _metadata(image: Any, named: str) -> ImageMetadata:
    scale: dict[str, float] = {}
    units: dict[str, str] = {}
    for letter, name in zip(named, image.sizes, strict=True):
        steps = np.asarray(image.coords.get(name, ()), float)
        if len(steps) > 1 and name in "TZYX":
            step = float(abs(steps[-1] - steps[0])) / (len(steps) - 1)
            scale[letter] = step if name == "T" else step * 1e6
            units[letter] = "second" if name == "T" else "micrometer"
    channels = sorted(
        image.xml_element.findall(_CHANNELS), key=lambda each: int(each.get("BytesInc", 0))
    )
    names = [_channel_name(each) for each in channels] if "S" not in image.sizes else []
    return ImageMetadata.of(named, scale, units, channels=names)


def _channel_name(channel: Any) -> str:
    for each in channel.iter("ChannelProperty"):
        if each.findtext("Key") == "DyeName" and each.findtext("Value"):
            return str(each.findtext("Value"))
    return str(channel.get("LUTName", ""))
