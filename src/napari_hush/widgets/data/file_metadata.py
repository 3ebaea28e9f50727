"""Axes and pixel sizes of layers that napari opened, from the metadata of their files."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from napari_hush import io
from napari_hush.io.metadata import UNNAMED, ImageMetadata
from napari_hush.widgets.background import Background
from napari_hush.widgets.data.helper_layers import bare, is_view
from napari_hush.widgets.data.layers import FILE, LEFT_OUT, pixel_shape

if TYPE_CHECKING:
    from napari.components import LayerList

_MOST = 64
"""Images of a file that are compared with a layer."""
_log = logging.getLogger(__name__)


class Described(NamedTuple):
    """Axes, shape and metadata of an image in a file."""

    axes: str
    """One letter per dimension, `UNNAMED` for others."""
    shape: tuple[int, ...]
    metadata: ImageMetadata


def images_in(path: Path) -> list[Described]:
    """The images of a file, or of the first file of a folder; reads no pixels.

    Empty for a file of an unknown format. Raises `HushError`.
    """
    data_type = io.format_of(path)
    if data_type is None and os.path.isdir(path):
        data_type = io.file_type(path, "tiff")
        path = io.first_image(path, data_type)
    if data_type is None:
        return []
    found = []
    for reference in islice(io.images_of(path, data_type), _MOST):
        pixels, axes, metadata = io.FORMATS[data_type].open(reference, "", 0)
        found.append(Described(metadata.axes or axes, pixels.shape, metadata))
    return found


def metadata_for(shape: Sequence[int], images: Sequence[Described]) -> ImageMetadata | None:
    """The metadata of those of `images` that a layer with pixels of `shape` shows.

    The layer may lack C (one layer per channel) and dimensions of size 1, have the
    dimensions in another order, or be a stack of such images. ``axes`` are those of the
    layer, with `LEFT_OUT`, or None if they are not known for certain. None if no image
    fits.
    """
    fits = [(letters_for(shape, image), image.metadata) for image in images]
    found = [(axes, metadata) for axes, metadata in fits if axes is not None]
    if not found:
        return None
    (axes, first), *others = found
    if any(other != axes for other, _ in others) or UNNAMED in axes:
        axes = ""
    if any(one.scale != first.scale for _, one in others):
        first = ImageMetadata()
    return replace(first, axes=axes or None)


def letters_for(shape: Sequence[int], image: Described) -> str | None:
    """Letters for the dimensions of `shape`; None if the image has other pixels.

    With `UNNAMED` if the file does not name them, or several orders fit.
    """
    for without in ("", "C"):
        named = [
            pair
            for pair in zip(image.axes, image.shape, strict=True)
            if pair[0] not in without
        ]
        if (letters := _ordered(shape, named)) is not None:
            return letters
    if len(shape) > 2 and shape[0] > 1:
        letters = letters_for(shape[1:], image)
        if letters is not None:
            return ("T" if "S" in letters else "S") + letters
    return None


def _ordered(shape: Sequence[int], named: Sequence[tuple[str, int]]) -> str | None:
    large = [pair for pair in named if pair[1] > 1]
    wanted = [size for size in shape if size > 1]
    if [size for _, size in large] == wanted:
        letters = "".join(letter for letter, _ in large)
    elif sorted(size for _, size in large) == sorted(wanted):
        fits = {
            "".join(letter for letter, _ in order)
            for order in permutations(large)
            if [size for _, size in order] == wanted
        }
        letters = fits.pop() if len(fits) == 1 else UNNAMED * len(wanted)
    else:
        return None
    if [size for _, size in named] == list(shape):
        return "".join(LEFT_OUT if pair == ("Z", 1) else pair[0] for pair in named)
    rest = iter(letters)
    return "".join(next(rest) if size > 1 else LEFT_OUT for size in shape)


class FileMetadataReader(QObject):
    """Reads, in a thread, the files of image layers that napari opened.

    What is found goes to ``layer.metadata[FILE]``, where `layers.infer_axes` and
    `layers.pixel_size_of` look for it. The layer itself stays as it is.
    """

    known = Signal(object)
    """The file of this layer was read, or cannot be."""

    def __init__(self, layers: LayerList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: list[Any] = []
        self._background = Background(self)
        layers.events.inserted.connect(self._on_inserted)
        for layer in layers:
            self._read(layer)

    def isReading(self, layer: Any) -> bool:
        """Whether the file of `layer` is still being read."""
        return any(layer is one for one in self._waiting)

    def _on_inserted(self, event: Any) -> None:
        self._read(bare(event.value))

    def _read(self, layer: Any) -> None:
        known = "path" in layer.metadata or FILE in layer.metadata
        path = layer.source.path
        if not isinstance(layer, Image) or not path or known or is_view(layer):
            return
        self._waiting.append(layer)
        shape = pixel_shape(layer)
        self._background.start(
            lambda: metadata_for(shape, images_in(Path(path))),
            lambda found: self._on_found(layer, found),
        )

    def _on_found(self, layer: Any, found: ImageMetadata | Exception | None) -> None:
        self._waiting = [one for one in self._waiting if one is not layer]
        if isinstance(found, ImageMetadata):
            layer.metadata[FILE] = found
            if found.channels:
                layer.metadata.setdefault("channels", list(found.channels))
        elif found is not None:  # it was opened by another reader
            _log.info("The metadata of %r cannot be read: %s", layer.source.path, found)
        self.known.emit(layer)
