"""The images of a file or folder, opened without reading pixels. No Qt here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_hush import io
from napari_hush.errors import DataError, HushError, SourceTypeError

KINDS = "TIFF, OME-Zarr, CZI, ND2, LIF, PNG or JPEG"


class FileImage:
    """An image in a file, at all of its resolutions."""

    def __init__(self, reference: Path, data_type: str) -> None:
        read = io.FORMATS[data_type].open
        finest, named, self.metadata = read(reference, "", 0)
        self.axes = self.metadata.axes or named
        self.reference, self.data_type = reference, data_type
        if finest.dtype.kind not in "buif":
            raise DataError(
                f"The pixels of {str(reference)!r} are of type {finest.dtype}, but only "
                "real numbers can be used; convert them first."
            )
        self.levels = [finest]
        while data_type in io.WITH_LEVELS:
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


@dataclass
class Found:
    """The images at a path."""

    path: Path
    images: list[FileImage] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Names of files of a folder that are not opened."""
    error: HushError | None = None
    """Why this package cannot read it, where a plugin of napari may."""
    folder: Path | None = None
    """The folder, if all of its images are of one format and can be read."""


def images_at(path: Path) -> Found:
    """The images of the file or folder at `path`.

    Files of a folder that are no images are left out, as are its results of this package,
    and pictures beside images of other formats. Raises `HushError`.
    """
    data_type = io.format_of(path)
    if data_type is None and os.path.isdir(path):
        return _images_in(path)
    if data_type is None and path.suffix == ".py":  # which napari would run
        raise _unknown(path)
    if data_type is None and os.path.isfile(path):
        return Found(path, error=_unknown(path))
    if data_type != "zarr" and io.address_of(path) is not None:
        raise SourceTypeError(
            f"{io.address_of(path)!r} is an address, from which only OME-Zarr images can "
            "be opened; download the file, then drop it."
        )
    data_type = data_type or "tiff"  # of a path that is not there
    try:
        images = [
            FileImage(image, data_type)
            for file in io.find_images(path, data_type).files
            for image in io.images_of(file, data_type)
        ]
    except HushError as error:
        if not isinstance(error.__cause__, ImportError):
            raise
        return Found(path, error=error)
    return Found(path, images)


def _unknown(path: Path) -> HushError:
    return SourceTypeError(
        f"{path.name!r} cannot be opened as an image; use a file of another kind, such as "
        f"{KINDS}."
    )


def _images_in(folder: Path) -> Found:
    search = io.FileSearch()
    with io.readable(folder):
        search.add_below(folder)
    sources = {
        kind: [file for file in files if not io.is_result(file)]
        for kind, files in search.formats.items()
    }
    found = Found(folder, left_out=[file.name for file in search.others])
    if len([files for files in sources.values() if files]) > 1:  # previews of the others
        found.left_out += [file.name for file in sources.pop("image", ())]
    errors = []
    for kind, files in sources.items():
        held = io.FileImages(files)
        for file in files:
            try:
                found.images += [
                    FileImage(one, kind) for one in held.of(file, kind, io.ALL_IMAGES)
                ]
            except HushError as error:
                found.left_out.append(file.name)
                errors.append(error)
    if found.images:
        one_type = len({image.data_type for image in found.images}) == 1
        found.folder = folder if one_type and not errors else None
        return found
    if errors and all(isinstance(error.__cause__, ImportError) for error in errors):
        return Found(folder, error=errors[0])
    raise _nothing_in(folder, errors, any(search.formats.values()))


def _nothing_in(folder: Path, errors: Sequence[HushError], results: bool) -> HushError:
    if errors:
        return errors[0]
    if results:
        return SourceTypeError(
            f"The folder {folder.name!r} holds only results of Hush; to open them "
            "anyway, drop the files instead of the folder."
        )
    return SourceTypeError(
        f"The folder {folder.name!r} holds no image; choose a folder with files such as "
        f"{KINDS}."
    )
