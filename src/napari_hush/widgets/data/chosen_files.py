"""Files and folders to train on from disk, without a layer per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush import io
from napari_hush.errors import SourceTypeError
from napari_hush.io.metadata import ImageMetadata, unit_symbol
from napari_hush.widgets.data.file_images import FileImage, Found, images_at
from napari_hush.widgets.data.file_metadata import Described, metadata_for
from napari_hush.widgets.data.layers import FILE, pixel_size_of
from napari_hush.widgets.data.open_as_layers import layer_of
from napari_hush.widgets.settings.labels import counted

if TYPE_CHECKING:
    from napari.layers import Image


class ImageOnDisk:
    """An image in a file, with those attributes of an image layer that training uses."""

    rgb = multiscale = False
    axis_labels = ()

    def __init__(self, image: FileImage, folder: Path | None = None) -> None:
        self.data = image.levels[0]
        self.ndim = len(self.data.shape)
        self.name = image.reference.name
        self.path, self.folder = image.reference, folder
        self.data_type = image.data_type
        self.scale, self.units = (1.0,) * self.ndim, ("pixel",) * self.ndim
        shape = self.data.shape
        known = metadata_for(shape, [Described(image.axes, shape, image.metadata)])
        known = known or ImageMetadata()
        self.metadata: dict[str, Any] = {FILE: known, "path": str(self.path)}
        self.kind = known.axes, shape
        """The same for images with the same axes and shape."""


@dataclass(frozen=True, eq=False)
class ChosenFiles:
    """Images in files, at least one, to train on."""

    name: str
    """Name of the folder, or of the only file."""
    images: tuple[ImageOnDisk, ...]
    folder: Path | None
    """The folder, if `images` are all in it and of one format."""
    left_out: tuple[str, ...]
    """Names of files of folders that are not used."""
    first: Image
    """A layer of the first image, which no viewer has yet."""

    @classmethod
    def of(cls, found: Found) -> ChosenFiles:
        """The images that were found at a path."""
        path, folder = found.path, found.folder
        return cls(
            path.name if path.is_dir() and not io.format_of(path) else path.stem,
            tuple(ImageOnDisk(image, folder) for image in found.images),
            folder,
            tuple(found.left_out),
            layer_of(found.images[0]),
        )

    @property
    def title(self) -> str:
        """Name and number of images."""
        return f"{self.name} ({counted(len(self.images), 'image')})"

    @property
    def paths(self) -> list[Path]:
        """The folder, or the images one by one."""
        return [self.folder] if self.folder else [image.path for image in self.images]

    def describe(self) -> str:
        """Number, size and pixel size, e.g. ``"12 images, 512 × 512 px · 0.25 µm"``."""
        shapes = {image.data.shape for image in self.images}
        size = "of different sizes"
        if len(shapes) == 1:
            size = " × ".join(map(str, shapes.pop())) + " px"
        text = f"{counted(len(self.images), 'image')}, {size}"
        known = pixel_size_of(self.images[0])
        if "X" in known.scale:
            text += f" · {known.scale['X']:.3g} {unit_symbol(known.units['X'])}"
        return text


def read_files(paths: Sequence[Path]) -> ChosenFiles:
    """Open the images of files or of a folder, without their pixels; raises `HushError`."""
    together = Found(paths[0].parent)
    for path in paths:
        found = images_at(path)
        if found.error is not None:
            raise found.error
        together.images += found.images
        together.left_out += found.left_out
    return ChosenFiles.of(found if len(paths) == 1 else together)


def in_order_of(noisy: Sequence[Any], targets: Sequence[Any]) -> tuple[Any, ...]:
    """`targets` in the order of their noisy images, by the names of their files.

    Unchanged unless all of both are in files. Raises a SourceTypeError if names match no
    partner, or several.
    """
    if not targets or not all(isinstance(one, ImageOnDisk) for one in (*noisy, *targets)):
        return tuple(targets)
    by_path = {target.path: target for target in targets}
    if len(by_path) < len(targets):
        raise SourceTypeError("A target was chosen twice; choose each file once.")
    pairs = io.pair_files([image.path for image in noisy], list(by_path))
    return tuple(by_path[partner] for _, partner in pairs)
