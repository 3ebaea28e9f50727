"""Opens files and folders as layers; large ones stay on disk and are read on demand.

`read_layers` does the work in a thread: napari takes a second to make its first layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_hush.io.metadata import UNITS, UNNAMED, ImageMetadata, report_unknown
from napari_hush.widgets.data.file_images import FileImage, Found, images_at
from napari_hush.widgets.data.helper_layers import bare

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

IN_MEMORY = 64 * 2**20
"""Images with more bytes of pixels stay on disk."""


@dataclass
class Reading:
    """Images of a file or folder, as layers that no viewer has yet."""

    found: Found
    layers: list[Image]


def open_as_layers(viewer: napari.viewer.Viewer, path: Path) -> list[Layer]:
    """Open the file or folder at `path` as layers of `viewer`; see `read_layers`."""
    reading = read_layers(path)
    if reading.found.error is not None:
        return open_with_napari(viewer, reading.found)
    for layer in reading.layers:
        viewer.add_layer(layer)
    return reading.layers


def read_layers(path: Path) -> Reading:
    """Read the images of the file or folder at `path`, see `images_at`.

    The images of a folder, or of one file or plate, become one stack if they have the same
    axes and shape, else a layer each. Images of several resolutions become multiscale
    layers. Raises `HushError`.
    """
    found = images_at(path)
    return Reading(found, layers_of(found))


def layers_of(found: Found) -> list[Image]:
    """Layers of the images at a path, which no viewer has yet."""
    return [
        _stack(found.path, some) if len(some) > 1 else layer_of(some[0])
        for some in grouped(found.images)
    ]


def load_units() -> None:
    """Load the units of layers; napari would, but not safely in two threads at a time."""
    import pint  # napari brings it
    from pint.registry import LazyRegistry

    units = pint.get_application_registry()
    unloaded = units.get()
    if isinstance(unloaded, LazyRegistry):
        loaded: Any = pint.UnitRegistry(on_redefinition="raise")
        if isinstance(unloaded, LazyRegistry):  # not in the main thread meanwhile
            units.set(loaded)


def grouped(images: Sequence[FileImage]) -> list[list[FileImage]]:
    """The images of each layer: those of one format if they are alike, else one."""
    groups = []
    for _, some in groupby(images, lambda image: image.data_type):
        first, *rest = some
        alike = "S" not in first.axes and all(one.kind == first.kind for one in rest)
        groups += [[first, *rest]] if alike else [[one] for one in (first, *rest)]
    return groups


def open_with_napari(viewer: napari.viewer.Viewer, found: Found) -> list[Layer]:
    """Open the path of `found` with napari; raises its error where that fails."""
    try:
        added = [bare(layer) for layer in viewer.open(found.path)]
    except Exception:  # of any plugin
        added = []
    if not added and found.error is not None:
        raise found.error
    return added


def layer_of(image: FileImage) -> Image:
    """A layer of an image in a file, which no viewer has yet."""
    return _layer(image.levels, image.axes, image.reference, image.metadata)


def _stack(path: Path, images: Sequence[FileImage]) -> Image:
    import dask.array as da  # napari brings it

    levels = [
        da.stack([da.from_array(one, chunks=one.shape, asarray=False) for one in alike])
        for alike in zip(*(image.levels for image in images), strict=True)
    ]
    metadata = replace(images[0].metadata, position={})
    return _layer(levels, f"S{images[0].axes}", path, metadata)


def _layer(levels: Sequence[Any], axes: str, path: Path, metadata: ImageMetadata) -> Image:
    report_unknown([(path, metadata)])
    finest = levels[0]
    rgb = axes[-3:] == "YXC" and finest.shape[-1] == 3 and finest.dtype.kind == "u"
    # A stack of files stays lazy: it is read again where napari shows another file.
    if hasattr(finest, "read_uncached") and finest.nbytes <= IN_MEMORY:
        finest = finest[...]
    look = _appearance(axes[:-1] if rgb else axes, path, metadata)
    if not rgb and (limits := _contrast_limits(levels[-1])):
        look["contrast_limits"] = limits
    data = finest if len(levels) == 1 else [finest, *levels[1:]]
    return Image(data, name=path.stem, rgb=rgb, multiscale=len(levels) > 1, **look)


def _contrast_limits(pixels: Any) -> tuple[float, float] | None:
    """Smallest and largest pixel of an image, of a large one in three planes.

    None where napari needs no pixels for them, or they are no range.
    """
    if pixels.dtype in (np.bool_, np.uint8):
        return None
    places: list[Any] = [...]
    if pixels.nbytes > IN_MEMORY:
        places = [
            tuple(round(part * (size - 1)) for size in pixels.shape[:-2])
            for part in (0, 0.5, 1)
        ]
    planes = [np.asarray(pixels[place]) for place in places]
    finite = [plane[np.isfinite(plane)] for plane in planes]
    ends = [end for part in finite if part.size for end in (part.min(), part.max())]
    if not ends or min(ends) == max(ends):
        return None
    return float(min(ends)), float(max(ends))


def _appearance(axes: str, path: Path, metadata: ImageMetadata) -> dict[str, Any]:
    """Keyword arguments of ``add_image``: axis labels, and what else is known."""
    scale = metadata.scale
    # napari refuses unknown units.
    units = {a: unit for a, unit in metadata.units.items() if a in scale and unit in UNITS}
    names = {"channels": list(metadata.channels)} if metadata.channels else {}
    default = [str(n - len(axes)) for n in range(len(axes))]
    return {
        "metadata": {"path": str(path), **names},
        "axis_labels": tuple(
            label if a == UNNAMED else a.lower()
            for a, label in zip(axes, default, strict=True)
        ),
        "scale": [scale.get(letter, 1.0) for letter in axes],
        "translate": [metadata.position.get(a, 0.0) if a in scale else 0.0 for a in axes],
        "units": [units.get(letter, "pixel") for letter in axes],
    }
