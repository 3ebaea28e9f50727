"""From what the user gives (arrays, paths, a function) to a list of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import ConfigurationError, SourceTypeError, UnreadableFileError
from napari_hush.io.images import Image
from napari_hush.io.listing import list_files
from napari_hush.io.tiff import read_tiff

ReadSource = Callable[..., NDArray[Any]]
"""A user's own reader: called with a Path and the axes, returns an array."""

Source = Any
"""An array, a path (str or Path) to a file or a folder, or a list of one kind of them."""


def is_path(source: Source) -> bool:
    """True for a path or a list that starts with one."""
    first = source[0] if isinstance(source, list | tuple) and source else source
    return isinstance(first, str | Path)


def check_source(
    source: Source, data_type: str, read_source_func: ReadSource | None
) -> None:
    """Compare what is given with what `data_type` says, without reading anything.

    Raises
    ------
    SourceTypeError
        If they disagree, or a list mixes kinds.
    ConfigurationError
        If custom data come without a function that reads them.
    """
    parts: Sequence[Any] = source if isinstance(source, list | tuple) else [source]
    if not parts:
        raise SourceTypeError("The list of images is empty; give at least one.")
    for part in parts:
        if is_path(part) != is_path(parts[0]):
            raise SourceTypeError(
                "The list of images mixes arrays and paths; give only one kind."
            )
        if not is_path(part) and not hasattr(part, "__array__"):
            raise SourceTypeError(
                f"An image was given as {type(part).__name__}; give a numpy array or a "
                "path."
            )
    if is_path(source) and data_type == "array":
        raise SourceTypeError(
            f"A path was given ({str(parts[0])!r}) but data_type is 'array'; give an "
            "array or set data_type to 'tiff' or 'custom'."
        )
    if not is_path(source) and data_type != "array":
        raise SourceTypeError(
            f"An array was given but data_type is {data_type!r}; give a path or set "
            "data_type to 'array'."
        )
    if data_type == "custom" and read_source_func is None:
        raise ConfigurationError(
            "data_type is 'custom' but read_source_func is missing; give a function "
            "that reads one file into an array."
        )


def load_images(
    source: Source,
    data_type: str,
    axes: str,
    read_source_func: ReadSource | None = None,
    extension_filter: str = "",
) -> list[Image]:
    """Read everything that `source` stands for into memory.

    Parameters
    ----------
    source : array, path, or list of one kind of them
        Arrays of the axes `axes`, or files and folders.
    data_type : {"array", "tiff", "custom"}
        What `source` is.
    axes : str
        Axes of every image, one letter per dimension.
    read_source_func : callable, optional
        For custom data: called as ``func(path, axes)``, returns an array.
    extension_filter : str
        For custom data: which file names count, e.g. ``"*.npy"``.

    Returns
    -------
    list of Image
        In the order given; the files of a folder sorted by path.
    """
    check_source(source, data_type, read_source_func)
    if data_type == "array":
        arrays = source if isinstance(source, list | tuple) else [source]
        several = len(arrays) > 1
        return [
            Image.from_array(a, axes, f"array {i}" if several else "the array")
            for i, a in enumerate(arrays)
        ]
    files = list_files(source, data_type, extension_filter)
    return [
        Image.from_array(
            read_tiff(file)
            if read_source_func is None
            else _read_custom(file, axes, read_source_func),
            axes,
            repr(str(file)),
        )
        for file in files
    ]


def _read_custom(file: Path, axes: str, read_source_func: ReadSource) -> NDArray[Any]:
    name = getattr(read_source_func, "__name__", "read_source_func")
    try:
        array = read_source_func(file, axes)
    except Exception as error:  # whatever the user's function raises
        raise UnreadableFileError(
            f"{name} could not read {str(file)!r} ({type(error).__name__}: {error}); "
            "mend the function or take the file out of the data."
        ) from error
    if not isinstance(array, np.ndarray):
        raise UnreadableFileError(
            f"{name} returned {type(array).__name__} for {str(file)!r}; it must return "
            "a numpy array."
        )
    return array
