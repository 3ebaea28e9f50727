"""Opens files and folders as layers; large ones stay on disk and are read on demand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.io import file_type, list_files, open_images, read_metadata
from napari_hush.io.formats import data_type_of, format_of

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

    from napari_hush.io import Image, ImageMetadata

IN_MEMORY = 64 * 2**20
"""Files with more bytes of pixels stay on disk."""


def open_as_layers(viewer: napari.viewer.Viewer, path: Path) -> list[Layer]:
    """Open the file or folder at `path` as layers of `viewer`.

    The engine opens TIFF files, Zarr stores and folders of either, with their axes and
    pixel sizes; napari opens the rest, and files without axes. Images of a folder become
    one stack if they have the same axes and shape, else a layer each.

    Raises `HushError`.
    """
    if path.is_dir() and not format_of(path):
        return _open_folder(viewer, path)
    data_type = data_type_of(path)
    if data_type and read_metadata(path).axes:
        return [_add(viewer, path, data_type)]
    opened: list[Layer] = viewer.open(path)
    return opened


def _open_folder(viewer: napari.viewer.Viewer, folder: Path) -> list[Layer]:
    import dask.array as da  # napari brings it

    data_type = file_type(folder, "tiff")
    files = list_files(folder, data_type)
    if not read_metadata(files[0]).axes:
        stacked: list[Layer] = viewer.open(files, stack=len(files) > 1)
        return stacked
    opened = [_pixels(file, data_type) for file in files]
    images = [image for image, _ in opened]
    metadata = opened[0][1]
    alike = {(image.axes.axes, image.axes.shape) for image in images}
    axes = images[0].axes.axes
    if len(images) == 1 or len(alike) > 1 or "S" in axes:
        return [_add(viewer, file, data_type) for file in files]
    planes = [
        da.from_array(one.data, chunks=one.axes.shape, asarray=False) for one in images
    ]
    stack = da.stack(planes)
    look = _appearance(f"S{axes}", metadata)
    return [
        viewer.add_image(stack, name=folder.name, metadata={"path": str(folder)}, **look)
    ]


def _add(viewer: napari.viewer.Viewer, path: Path, data_type: str) -> Layer:
    image, metadata = _pixels(path, data_type)
    data = image.loaded().data if image.nbytes <= IN_MEMORY else image.data
    look = _appearance(image.axes.axes, metadata)
    return viewer.add_image(
        data, name=path.stem, rgb=False, metadata={"path": str(path)}, **look
    )


def _pixels(path: Path, data_type: str) -> tuple[Image, ImageMetadata]:
    metadata = read_metadata(path)
    (image,) = open_images(path, data_type, metadata.axes or "")
    return image, metadata


def _appearance(axes: str, metadata: ImageMetadata) -> dict[str, Any]:
    """Keyword arguments of ``add_image``: axis labels, and scale and units if known."""
    return {
        "axis_labels": tuple(axes.lower()),
        "scale": [metadata.scale.get(letter, 1.0) for letter in axes],
        "units": [metadata.units.get(letter, "pixel") for letter in axes],
    }
