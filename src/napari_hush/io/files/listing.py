"""The files of a path: a file, a folder, or a pattern such as ``cells_*.tif``.

A folder is searched recursively, in natural order (t2 before t10), without hidden and side
files (``.DS_Store``, ``a.tif.part``) and empty files. A Zarr store counts as one file.
Noisy and clean files are paired by their names.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize

from napari_hush.errors import ConfigurationError, SourceTypeError, UnreadableFileError
from napari_hush.io.contents import (
    file_of,
    has_wildcard,
    listed,
    split_ending,
    split_reference,
)
from napari_hush.io.files.search import FileSearch, Paths, expanded, readable
from napari_hush.io.formats import FORMATS, format_of, is_result


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


def pair_files(sources: Sequence[Path], targets: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pair noisy and clean files by their names, in the order of `sources`.

    The names of a pair are equal; or equal but for the ending (``a.tif``, ``a.tiff``); or
    equal once the text is left out that all names of the sources, and all of the targets,
    begin or end with (``cells1_low.tif`` and ``cells1_high.tif``, ``noisy_01.tif`` and
    ``clean_01.tif``). Where names repeat in several folders, the folders below the common
    one must match too.

    Raises a SourceTypeError that names the files with no partner or several.
    """
    deep = any(len({f.name for f in files}) < len(files) for files in (sources, targets))
    names = [_names(files, deep) for files in (sources, targets)]
    for each in names:
        if repeated := [name for name, count in Counter(each).items() if count > 1]:
            raise SourceTypeError(
                f"The file {repeated[0]!r} was given {each.count(repeated[0])} times; give "
                "each file once."
            )
    stems = [[split_ending(name)[0] for name in each] for each in names]
    tries = [names, stems]
    if min(map(len, stems)) > 1 or (min(map(len, stems)) and _alike(*stems)):
        tries.append([_without_common(each) for each in stems])
    for ours, theirs in tries:
        partners = dict(zip(theirs, targets, strict=True))
        if len(ours) == len(set(ours)) == len(theirs) and partners.keys() == set(ours):
            return [(file, partners[key]) for file, key in zip(sources, ours, strict=True)]
    ours, theirs = max(tries, key=lambda one: len(set(one[0]) & set(one[1])))
    lacking = [
        f"the {what} lack a partner of {listed(missing)}"
        for what, missing in (
            ("targets", _unpaired(names[0], ours, theirs)),
            ("sources", _unpaired(names[1], theirs, ours)),
        )
        if missing
    ]
    raise SourceTypeError(
        f"{len(sources)} source files and {len(targets)} target files cannot be paired by "
        f"name: {', '.join(lacking) or 'names are ambiguous'}; give each pair the same "
        "name, or names that differ in one word such as low and high."
    )


def _unpaired(
    names: Sequence[str], keys: Sequence[str], others: Sequence[str]
) -> list[str]:
    known = set(others)
    return [name for name, key in zip(names, keys, strict=True) if key not in known]


def refuse_same_files(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Raise a ConfigurationError if a file is its own partner."""
    for source, target in pairs:
        (file, number), (other, partner) = map(split_reference, (source, target))
        same = file == other or (file.exists() and other.exists() and file.samefile(other))
        if number == partner and same:
            raise ConfigurationError(
                f"{str(source)!r} is both the image and its target; give another target."
            )


def _names(files: Sequence[Path], deep: bool) -> list[str]:
    names = [file.name for file in files]
    if deep:
        root = os.path.commonpath([file.absolute().parent for file in files])
        names = [file.absolute().relative_to(root).as_posix() for file in files]
    return [normalize("NFC", name) for name in names]  # macOS takes letters apart


def _without_common(stems: Sequence[str]) -> list[str]:
    """The stems without what all begin and end with; numbers are not cut apart."""
    start = _common(stems)
    rests = [stem[start:] for stem in stems]
    end = _common([rest[::-1] for rest in rests])
    return [rest[: len(rest) - end].strip("_-. ") for rest in rests]


def _common(texts: Sequence[str]) -> int:
    """Number of letters that all texts begin with."""
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    common = first[: len(list(same))]
    if any(text[len(common) :][:1].isdigit() for text in texts):
        common = common.rstrip("0123456789")
    return len(common)


def _alike(sources: Sequence[str], targets: Sequence[str]) -> bool:
    """Whether the names of a single pair share a part and differ in more than a number."""
    both = [sources[0], targets[0]]
    rests = _without_common(both)
    return rests[0] != both[0].strip("_-. ") and not all(rest.isdigit() for rest in rests)
