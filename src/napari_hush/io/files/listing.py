"""The files of a path: a file, a folder, or a pattern such as ``cells_*.tif``.

A folder is searched recursively, in natural order (t2 before t10), without hidden and side
files (``.DS_Store``, ``a.tif.part``) and empty files. A Zarr store counts as one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from napari_hush.errors import SourceTypeError, UnreadableFileError
from napari_hush.io.contents import file_of
from napari_hush.io.file_names import has_wildcard, listed
from napari_hush.io.files.provenance_record import is_result
from napari_hush.io.files.search import FileSearch, Paths, expanded, readable
from napari_hush.io.formats import FORMATS, format_of


class FoundImages(NamedTuple):
    """The images that a person means, and where they were searched."""

    files: list[Path]
    folders: list[Path]
    """The folders that were searched."""


def file_type(source: Paths, preferred: str) -> str:
    """``data_type`` of the first path of `source`, files and folders; by default "tiff".

    That of a folder is `preferred` if it has such files, else the one type that it has;
    results of this package do not count, and pictures beside others are taken for
    previews. Raises a SourceTypeError if it has several.
    """
    first = Path(source if isinstance(source, str | Path) else next(iter(source), ""))
    if not os.path.exists(file_of(first)) and has_wildcard(str(first)):
        first = next(iter(expanded(first)[0]), first)
    search = FileSearch()
    with readable(first):
        if not os.path.isdir(first) or format_of(first):
            return format_of(first) or "tiff"
        search.add_below(first)
    found = dict(search.formats)
    if len(found) > 1:
        sources = {n for n, files in found.items() if not all(map(is_result, files))}
        found = {n: files for n, files in found.items() if n in sources or not sources}
    if len(found) > 1 and preferred not in found:
        found.pop("image", None)
    if len(found) > 1 and preferred not in found:
        counts = " and ".join(f"{len(files)} of type {n!r}" for n, files in found.items())
        pattern = FORMATS[next(iter(found))].pattern
        raise SourceTypeError(
            f"The folder {str(first)!r} has files of several types ({counts}); give the "
            f"files of one type, for example {first / pattern}."
        )
    return preferred if preferred in found else next(iter(found), "tiff")


def list_files(
    source: Paths, data_type: str, extension_filter: str = "", *, report: bool = True
) -> list[Path]:
    """List the files of `source` by name: files, folders and patterns, in this order.

    Folders are searched recursively, and files in them are in natural order (t2 before
    t10). A path that does not exist and has ``*``, ``?`` or ``[`` is a pattern; ``**`` is
    any number of folders. For a `data_type` of `FORMATS`, the files that it recognizes
    match (``*.tif``; Zarr stores, also a group or an array in one, ``"image.zarr/1"``; one
    image of a file, ``"run.tif#2"``); for ``"custom"`` the pattern `extension_filter` as
    in ``Path.rglob``, for example ``"*.npy"`` or ``"raw/*.npy"``, or by default every name
    with an ending.

    Hidden and side files in folders are left out. A warning names others that look like
    images but are empty, unfinished or of another format, unless `report` is off.

    Raises a MissingFileError if a path, or the file that a link in a folder leads to, does
    not exist; a SourceTypeError if a folder has no matching file or a file does not match;
    an UnreadableFileError (also a PermissionError) if a folder may not be read.
    """
    search = FileSearch(data_type, extension_filter)
    search.add_all(source)
    if report:
        search.report()
    return search.files


def find_images(
    source: Paths,
    data_type: str,
    extension_filter: str = "",
    *,
    exclude: Iterable[str | Path] = (),
    report: bool = True,
) -> FoundImages:
    """Find the files to train on or to denoise, see `list_files`.

    Results of this package, which have a record, are left out unless they are given
    themselves or by a pattern without ``**``, and so are the folders and files of
    `exclude`; a warning counts the results. Raises the errors of `list_files`, and a
    SourceTypeError if there are only results.
    """
    search = FileSearch(data_type, extension_filter, exclude)
    search.add_all(source)
    search.leave_out_results()
    if report:
        search.report()
    return FoundImages(search.files, search.folders)


def first_image(source: Paths, data_type: str) -> Path:
    """The first file of `find_images`; opens no others but results."""
    search = FileSearch(data_type)
    search.add_all(source)
    found = (file for file in search.files if not search.is_own_result(file))
    return next(found, search.files[0])


def check_not_empty(files: Iterable[Path]) -> None:
    """Raise an UnreadableFileError if files are empty, as failed copies are."""
    empty = [f for f in files if f.is_file() and f.stat().st_size == 0]
    if empty:
        verb, them = ("is", "it") if len(empty) == 1 else ("are", "them")
        raise UnreadableFileError(
            f"{listed(empty)} {verb} empty (0 bytes); replace {them} or leave {them} out."
        )
