"""Open the sources that a user gives (arrays, paths, a custom reader) as images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import validate_axes
from napari_hush.errors import ConfigurationError, DataError, SourceTypeError
from napari_hush.io.arrays import WholeFilePixels, check_array, read_custom
from napari_hush.io.contents import Selection, chosen_image
from napari_hush.io.files.listing import check_not_empty, find_images
from napari_hush.io.formats import FORMATS, WITH_LEVELS, FileImages, format_of
from napari_hush.io.image import Image
from napari_hush.io.lazy import LazyPixels, SelectedDimensions
from napari_hush.io.metadata import (
    UNNAMED,
    ImageMetadata,
    equivalent_axes,
    fitting_dimensions,
    report_unknown,
)
from napari_hush.io.readers.base import squeezed
from napari_hush.io.zarr.store import shown

_log = logging.getLogger(__name__)

ReadSource = Callable[..., Any]
"""A custom reader, called with a Path and the axes; see `arrays.read_custom`."""

Source = Any
"""An array, a path (str or Path) to a file or a folder, or a list of one kind of them."""


def is_path(source: Source) -> bool:
    """True for a path or a list that starts with one."""
    first = source[0] if isinstance(source, list | tuple) and source else source
    return isinstance(first, str | Path)


def check_source(
    source: Source, data_type: str, read_source_func: ReadSource | None
) -> None:
    """Check that `source` matches `data_type`; nothing is read.

    Raises a SourceTypeError if it does not or if a list mixes arrays and paths, and a
    ConfigurationError if custom data have no `read_source_func`.
    """
    parts: Sequence[Any] = source if isinstance(source, list | tuple) else [source]
    if not parts:
        raise SourceTypeError("The list of images is empty; give at least one.")
    for number, part in enumerate(parts):
        if is_path(part) != is_path(parts[0]):
            raise SourceTypeError(
                "The list of images mixes arrays and paths; give only arrays or only paths."
            )
        if not is_path(part):
            check_array(part, "the array" if len(parts) == 1 else f"array {number}")
    if is_path(source) and data_type == "array":
        types = ", ".join(map(repr, FORMATS))
        raise SourceTypeError(
            f"A path was given ({str(parts[0])!r}) but data_type is 'array'; give an "
            f"array or set data_type to {types} or 'custom'."
        )
    if not is_path(source) and data_type != "array":
        raise SourceTypeError(
            f"An array was given but data_type is {data_type!r}; give a path or set "
            "data_type to 'array'."
        )
    if data_type == "custom" and read_source_func is None:
        raise ConfigurationError(
            "data_type is 'custom' but read_source_func is missing; give a function that "
            "reads one file into an array."
        )


def open_images(
    source: Source,
    data_type: str,
    axes: str,
    read_source_func: ReadSource | None = None,
    extension_filter: str = "",
    *,
    level: int = 0,
    series: int | None = None,
    scene: int | None = None,
    field: int | None = None,
    inherited: bool = False,
    equivalent: bool = False,
    whole: bool = False,
) -> list[Image]:
    """Open the images of a source; pixels stay on disk.

    Parameters
    ----------
    source : array, str, Path, or list of one kind of them
        Arrays (numpy, torch, zarr, dask, xarray), or files and folders; ``"run.tif#2"`` is
        one image of a file that holds several, numbered from 0.
    data_type : {"array", "tiff", "zarr", "image", "czi", "nd2", "lif", "custom"}
        Type of the source; "image" is PNG, JPEG, BMP, GIF or WebP.
    axes : str
        Axes of every image, one letter per dimension. Dimensions of size 1 that `axes`
        lacks are dropped. They override what the images say, with a warning; only the
        places of Y and X must agree.
    read_source_func : callable, optional
        Custom reader ``func(path, axes)``, returns an array or pixels that can be read by
        region; see `arrays.read_custom`.
    extension_filter : str
        Which files are custom data, e.g. ``"*.npy"``.
    level : int
        Resolution level of OME-Zarr images and TIFF pyramids; 0 is the finest.
    series, scene, field : int, optional
        Number of the series of TIFF files, of the scene of microscope files, or of the
        field in each well of OME-Zarr plates, from 0; by default all are opened.
    inherited : bool
        Whether `axes` are those of other images, with which these must agree; only T, Z
        and S may stand for each other.
    equivalent : bool
        Whether files keep their axes where these differ from `axes` only in their order, or
        in S and T.
    whole : bool
        Keep the arrays of `read_source_func` instead of calling it again.

    Returns
    -------
    list of Image
        In the given order; the files of a folder in natural order, without results of
        this package; the images of a file in its order.

    Raises
    ------
    SourceTypeError, ConfigurationError
        If `source` does not match `data_type`.
    MissingFileError, UnreadableFileError
        If a file does not exist or cannot be read.
    DataError
        If the pixels do not fit `axes`, or are not real numbers; if a file lacks an image
        that was chosen, or part of what its metadata promise.
    """
    check_source(source, data_type, read_source_func)
    if level and data_type not in WITH_LEVELS:
        raise ConfigurationError(
            f"Level {level} was given but data_type is {data_type!r}; only Zarr and TIFF "
            "have levels, so leave the level out."
        )
    if data_type == "array":
        arrays = source if isinstance(source, list | tuple) else [source]
        several = len(arrays) > 1
        images = [
            Image.from_array(
                array, axes, f"array {i}" if several else "the array", inherited=inherited
            )
            for i, array in enumerate(arrays)
        ]
        _report_overridden(images)
        return images
    files = find_images(source, data_type, extension_filter).files
    if read_source_func is not None:
        return [_from_reader(file, axes, read_source_func, whole) for file in files]
    check_not_empty(files)
    selection = Selection(level, series, scene, field)
    held = FileImages(files)
    images = [
        _from_file(image, data_type, axes, level, inherited, equivalent)
        for file in files
        for image in held.of(file, data_type, selection)
    ]
    _report_all_used(files, images, selection)
    report_unknown((image.path, image.metadata) for image in images if image.path)
    _report_overridden(images)
    return images


def _report_all_used(
    files: Sequence[Path], images: Sequence[Image], chosen: Selection
) -> None:
    """Say that files hold several images each, if none was chosen."""
    if len(images) > len(files) and not any(chosen.of_kinds()):
        where = repr(str(files[0])) if len(files) == 1 else f"{len(files)} files"
        _log.info("All %s images in %s are used.", len(images), where)


def load_images(*arguments: Any, **more: Any) -> list[Image]:
    """Read the images of a source into memory; takes the arguments of `open_images`."""
    return [image.loaded() for image in open_images(*arguments, **more, whole=True)]


def read_image(
    path: str | Path, series: int | None = None, axes: str | None = None
) -> tuple[NDArray[Any], str]:
    """Read an image of a file or Zarr store into memory, and its axes.

    Parameters
    ----------
    path : str or Path
        A file of any format of `open_images`, or one image of it such as ``"run.tif#2"``.
    series : int, optional
        Number of the series of a TIFF file or an OME-Zarr collection, from 0.
    axes : str, optional
        As of `open_images`, for files whose metadata do not name all dimensions.

    Returns
    -------
    array : ndarray
        Pixels, one dimension per letter of `axes`.
    axes : str
        Letters of S, T, C, Z, Y, X; the colors of an RGB image are C. Of Zarr, dimensions
        of size 1 other than Y and X are left out.

    Raises
    ------
    MissingFileError, UnreadableFileError
        If there is no such file, or it cannot be read.
    DataError
        If it holds several images and none is chosen, the image is incomplete, or neither
        its metadata nor `axes` name all dimensions.
    """
    path = Path(path)
    data_type = format_of(path) or "tiff"
    reference = chosen_image(FORMATS[data_type].contents(path), Selection(series=series))
    (image,) = load_images(reference, data_type, axes or named_axes(reference))
    return image.data, image.axes.axes


def read_metadata(path: str | Path, level: int = 0) -> ImageMetadata:
    """Read axes, pixel sizes and units from the metadata of a file.

    `path` is a file of one of `FORMATS` (of a Zarr store also a group or array); the
    result is empty for other files. `level` is the resolution level of an OME-Zarr
    image, 0 the finest. Raises an UnreadableFileError if the file cannot be read, and a
    DataError if a Zarr store has several arrays and no OME-Zarr metadata.
    """
    name = format_of(Path(path))
    return FORMATS[name].metadata(Path(path), level) if name else ImageMetadata()


def named_axes(path: str | Path, level: int = 0) -> str:
    """Read the axes of a file or Zarr store, one letter per dimension.

    Of Zarr, dimensions of size 1 other than Y and X are left out, as OME-Zarr often has
    all of TCZYX. Arguments and errors are those of `read_metadata`; also raises a DataError
    if the metadata do not name all dimensions.
    """
    axes = read_metadata(path, level).axes
    if axes is None:
        raise DataError(
            f"The metadata of {shown(Path(path))} do not name all of its dimensions; give "
            "the axes, for example 'ZYX'."
        )
    axes = validate_axes(axes)
    if format_of(Path(path)) != "zarr":
        return axes
    pixels, _, _ = FORMATS["zarr"].open(Path(path), axes, level)
    return squeezed(axes, pixels.shape)


def _from_reader(file: Path, axes: str, func: ReadSource, whole: bool) -> Image:
    pixels = read_custom(file, axes, func)
    if type(pixels) is np.ndarray and not whole:
        pixels = WholeFilePixels(file, axes, func, pixels)
    return replace(Image.from_array(pixels, axes, repr(str(file))), path=file)


def _from_file(
    file: Path, data_type: str, axes: str, level: int, inherited: bool, equivalent: bool
) -> Image:
    pixels: LazyPixels
    pixels, named, metadata = FORMATS[data_type].open(file, axes.upper(), level)
    name, axes = shown(file), axes.upper()
    if equivalent:
        axes = equivalent_axes(named, pixels.shape, axes)
    kept, overridden = fitting_dimensions(
        name, named, pixels.shape, axes, inherited=inherited
    )
    chosen = _with_missing(kept, "".join(named[i] for i in kept), axes)
    if chosen != (*range(pixels.ndim),):
        pixels = SelectedDimensions(pixels, chosen)
    image = Image.from_array(pixels, axes, name)
    return replace(image, path=file, metadata=metadata, overridden=overridden)


def _with_missing(kept: tuple[int, ...], left: str, axes: str) -> tuple[int | None, ...]:
    """The dimensions that are `kept`, with None for S, T, C and Z that a file lacks."""
    own = [a for a in axes if a in left]
    if own != [*left] or not {*axes} - {*left} <= {*"STCZ"}:
        return kept
    dimensions = iter(kept)
    return tuple(next(dimensions) if a in left else None for a in axes)


def _report_overridden(images: Sequence[Image]) -> None:
    """Log one warning about images that say other axes than those given by the user."""
    if found := [image for image in images if image.overridden]:
        first, others = found[0], len(found) - 1
        _log.warning(
            "The axes of %s are %s%s; read as %s, as given.",
            first.name,
            first.overridden.replace(UNNAMED, "_"),
            f", and {others} other images disagree as well" if others else "",
            first.axes.axes,
        )
