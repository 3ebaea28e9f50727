"""Opens files and folders as layers; large ones stay on disk and are read on demand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.errors import HushError
from napari_hush.io import file_type, find_images, images_of, open_images, read_metadata
from napari_hush.io.formats import format_of
from napari_hush.io.metadata import UNITS

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

    from napari_hush.io import Image, ImageMetadata

IN_MEMORY = 64 * 2**20
"""Files with more bytes of pixels stay on disk."""


def open_as_layers(viewer: napari.viewer.Viewer, path: Path) -> list[Layer]:
    """Open the file or folder at `path` as layers of `viewer`.

    The engine opens files of its formats and folders of one of them, with their axes and
    pixel sizes; napari opens the rest, and files without axes. The images of a folder, or
    of one file or plate, become one stack if they have the same axes and shape, else a
    layer each.

    Raises `HushError`.
    """
    is_folder = path.is_dir() and not format_of(path)
    data_type = file_type(path, "tiff") if is_folder else format_of(path)
    if data_type is None:
        return list(viewer.open(path))
    files = find_images(path, data_type).files
    try:
        images = [image for file in files for image in images_of(file, data_type)]
        has_axes = bool(read_metadata(images[0]).axes)
    except HushError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        try:  # another plugin may have what it takes
            return list(viewer.open(path))
        except Exception:
            raise error from None
    if not has_axes:
        return list(viewer.open(files, stack=len(files) > 1))
    if len(images) > 1 and (layer := _add_stack(viewer, path, images, data_type)):
        return [layer]
    return [_add(viewer, image, data_type) for image in images]


def _add_stack(
    viewer: napari.viewer.Viewer, path: Path, references: list[Path], data_type: str
) -> Layer | None:
    """Add the images of `path` as one layer; None if their axes or shapes differ."""
    import dask.array as da  # napari brings it

    opened = [_pixels(reference, data_type) for reference in references]
    images = [image for image, _ in opened]
    axes = images[0].axes.axes
    if "S" in axes or len({(image.axes.axes, image.axes.shape) for image in images}) > 1:
        return None
    planes = [
        da.from_array(one.data, chunks=one.axes.shape, asarray=False) for one in images
    ]
    look = _appearance(f"S{axes}", path, replace(opened[0][1], position={}))
    return viewer.add_image(da.stack(planes), name=path.stem, **look)


def _add(viewer: napari.viewer.Viewer, path: Path, data_type: str) -> Layer:
    image, metadata = _pixels(path, data_type)
    data = image.loaded().data if image.nbytes <= IN_MEMORY else image.data
    look = _appearance(image.axes.axes, path, metadata)
    return viewer.add_image(data, name=path.stem, rgb=False, **look)


def _pixels(path: Path, data_type: str) -> tuple[Image, ImageMetadata]:
    metadata = read_metadata(path)
    (image,) = open_images(path, data_type, metadata.axes or "")
    return image, metadata


def _appearance(axes: str, path: Path, metadata: ImageMetadata) -> dict[str, Any]:
    """Keyword arguments of ``add_image``: axis labels, and what else is known."""
    scale = metadata.scale
    # napari refuses unknown units.
    units = {a: unit for a, unit in metadata.units.items() if a in scale and unit in UNITS}
    names = {"channels": list(metadata.channels)} if metadata.channels else {}
    return {
        "metadata": {"path": str(path), **names},
        "axis_labels": tuple(axes.lower()),
        "scale": [scale.get(letter, 1.0) for letter in axes],
        "translate": [metadata.position.get(a, 0.0) if a in scale else 0.0 for a in axes],
        "units": [units.get(letter, "pixel") for letter in axes],
    }
