"""Opens files and folders as layers; large ones stay on disk and are read on demand.

`read_layers` does the work in a thread: napari takes a second to make its first layer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_hush.errors import DataError, HushError, SourceTypeError
from napari_hush.io import ALL_IMAGES, FileImages, find_images, images_of
from napari_hush.io.files.search import FileSearch, readable
from napari_hush.io.formats import FORMATS, WITH_LEVELS, format_of, is_result
from napari_hush.io.metadata import UNITS, UNNAMED, ImageMetadata, report_unknown
from napari_hush.io.zarr.store import address_of
from napari_hush.widgets.data.helper_layers import bare

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Layer

IN_MEMORY = 64 * 2**20
"""Images with more bytes of pixels stay on disk."""
KINDS = "TIFF, OME-Zarr, CZI, ND2, LIF, PNG or JPEG"


@dataclass
class Reading:
    """What a file or folder holds, as layers that no viewer has yet."""

    path: Path
    layers: list[Image] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Names of files of a folder that are not opened."""
    error: HushError | None = None
    """Why this package cannot read it, where a plugin of napari may."""


class _FileImage:
    """An image in a file, at all of its resolutions."""

    def __init__(self, reference: Path, data_type: str) -> None:
        read = FORMATS[data_type].open
        finest, named, self.metadata = read(reference, "", 0)
        self.axes = self.metadata.axes or named
        self.reference = reference
        if finest.dtype.kind not in "buif":
            raise DataError(
                f"The pixels of {str(reference)!r} are of type {finest.dtype}, but only "
                "real numbers can be used; convert them first."
            )
        self.levels = [finest]
        while data_type in WITH_LEVELS:
            try:
                level, axes, _ = read(reference, "", len(self.levels))
            except HushError:
                break
            if axes != named or level.nbytes >= self.levels[-1].nbytes:
                break
            self.levels.append(level)

    @property
    def kind(self) -> tuple[Any, ...]:
        """The same for images that can be stacked."""
        return self.axes, [level.shape for level in self.levels], self.levels[0].dtype


def open_as_layers(viewer: napari.viewer.Viewer, path: Path) -> list[Layer]:
    """Open the file or folder at `path` as layers of `viewer`; see `read_layers`."""
    reading = read_layers(path)
    if reading.error is not None:
        return open_with_napari(viewer, reading)
    for layer in reading.layers:
        viewer.add_layer(layer)
    return reading.layers


def read_layers(path: Path) -> Reading:
    """Read the images of the file or folder at `path`.

    The images of a folder, or of one file or plate, become one stack if they have the same
    axes and shape, else a layer each. Images of several resolutions become multiscale
    layers. Files of a folder that are no images are left out, as are its results of this
    package, and pictures beside images of other formats.

    Raises `HushError`.
    """
    data_type = format_of(path)
    if data_type is None and os.path.isdir(path):
        return _read_folder(path)
    if data_type is None and path.suffix == ".py":  # which napari would run
        raise _unknown(path)
    if data_type is None and os.path.isfile(path):
        return Reading(path, error=_unknown(path))
    if data_type != "zarr" and address_of(path) is not None:
        raise SourceTypeError(
            f"{address_of(path)!r} is an address, and only OME-Zarr images are opened from "
            "addresses; download the file and drop that."
        )
    data_type = data_type or "tiff"  # of a path that is not there
    try:
        images = [
            _FileImage(image, data_type)
            for file in find_images(path, data_type).files
            for image in images_of(file, data_type)
        ]
    except HushError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        return Reading(path, error=error)
    return Reading(path, _as_layers(path, images))


def open_with_napari(viewer: napari.viewer.Viewer, reading: Reading) -> list[Layer]:
    """Open the path of `reading` with napari; raises its error where that fails."""
    try:
        added = [bare(layer) for layer in viewer.open(reading.path)]
    except Exception:  # of any plugin
        added = []
    if not added and reading.error is not None:
        raise reading.error
    return added


def _unknown(path: Path) -> HushError:
    return SourceTypeError(
        f"{path.name!r} cannot be opened as an image; use a file of another kind, such as "
        f"{KINDS}."
    )


def _read_folder(folder: Path) -> Reading:
    search = FileSearch()
    with readable(folder):
        search.add_below(folder)
    found = {
        kind: [file for file in files if not is_result(file)]
        for kind, files in search.formats.items()
    }
    reading = Reading(folder, left_out=[file.name for file in search.others])
    if len([files for files in found.values() if files]) > 1:  # previews of the others
        reading.left_out += [file.name for file in found.pop("image", ())]
    errors = []
    for kind, files in found.items():
        images, held = [], FileImages(files)
        for file in files:
            try:
                images += [_FileImage(one, kind) for one in held.of(file, kind, ALL_IMAGES)]
            except HushError as error:
                reading.left_out.append(file.name)
                errors.append(error)
        reading.layers += _as_layers(folder, images)
    if reading.layers:
        return reading
    if errors and all(isinstance(error.__cause__, ImportError) for error in errors):
        return Reading(folder, error=errors[0])
    if errors:
        raise errors[0]
    if any(search.formats.values()):
        raise SourceTypeError(
            f"The folder {folder.name!r} holds only results of Hush; to open them all the "
            "same, drop the files instead of the folder."
        )
    raise SourceTypeError(
        f"The folder {folder.name!r} holds no image; choose a folder with files such as "
        f"{KINDS}."
    )


def _as_layers(path: Path, images: Sequence[_FileImage]) -> list[Image]:
    alike = all(image.kind == images[0].kind for image in images)
    if len(images) > 1 and alike and "S" not in images[0].axes:
        return [_stack(path, images)]
    return [
        _layer(image.levels, image.axes, image.reference, image.metadata)
        for image in images
    ]


def _stack(path: Path, images: Sequence[_FileImage]) -> Image:
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
