"""The files of a path.

A folder is searched recursively, in sorted order, without names that start with a dot
(``.DS_Store``, ``._image.tif``, unfinished results) unless they are given themselves. A
Zarr store counts as one file.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from napari_hush.errors import MissingFileError, SourceTypeError, UnreadableFileError
from napari_hush.io.contents import file_of
from napari_hush.io.formats import FORMATS, format_of
from napari_hush.io.zarr_store import is_zarr

_log = logging.getLogger(__name__)
ANY_PATTERN = "*.*"


def file_type(source: str | Path | Sequence[str | Path], preferred: str) -> str:
    """``data_type`` of the first path of `source`, files and folders; by default "tiff".

    That of a folder is `preferred` if it has such files, else the one type that it has;
    pictures beside others are taken for previews. Raises a SourceTypeError if it has
    several.
    """
    first = Path(source if isinstance(source, str | Path) else next(iter(source), ""))
    if not first.is_dir() or format_of(first):
        return format_of(first) or "tiff"
    counts = Counter(filter(None, map(format_of, sorted(_found(first, set())))))
    if len(counts) > 1 and preferred not in counts and (pictures := counts.pop("image", 0)):
        _log.warning(
            "The folder %r has files of type %s, so its %s PNG, JPEG or BMP files are left "
            "out.",
            str(first),
            " and ".join(map(repr, counts)),
            pictures,
        )
    if len(counts) > 1 and preferred not in counts:
        found = " and ".join(f"{n} of type {name!r}" for name, n in counts.items())
        pattern = FORMATS[next(iter(counts))].pattern
        raise SourceTypeError(
            f"The folder {str(first)!r} has files of several types ({found}); give the "
            f"files of one type, for example {first / pattern}."
        )
    return preferred if preferred in counts else next(iter(counts), "tiff")


def list_files(
    source: str | Path | Sequence[str | Path], data_type: str, extension_filter: str = ""
) -> list[Path]:
    """List the files of `source`, files and folders, sorted.

    Folders are searched recursively. For a `data_type` of `FORMATS`, the files that it
    recognizes match (``*.tif*``; Zarr stores, also a group or an array in one,
    ``"image.zarr/1"``; one image of a file, ``"run.tif#2"``); for ``"custom"`` the
    pattern `extension_filter`, for example ``"*.npy"``, or by default every name.

    Raises a MissingFileError if a path does not exist, and a SourceTypeError if a folder
    has no matching file or a file does not match.
    """
    if not isinstance(source, str | Path):
        return [
            file
            for part in source
            for file in list_files(part, data_type, extension_filter)
        ]
    known = FORMATS.get(data_type)
    pattern = known.pattern if known else extension_filter or ANY_PATTERN

    def recognizes(file: Path) -> bool:
        if known:
            return known.recognizes(file)
        return fnmatch(file.name.lower(), pattern.lower())

    path = Path(source)
    if not file_of(path).exists():
        raise MissingFileError(_missing(path))
    if file_of(path).is_file() or format_of(path):
        in_path = not known and fnmatch(str(path.absolute()).lower(), pattern.lower())
        if recognizes(path) or in_path:
            return [path]
        kind = "Zarr store" if path.is_dir() else "file"
        raise SourceTypeError(
            f"The {kind} {str(path)!r} does not match {pattern!r}; choose a matching file "
            "or another type of data."
        )
    files = sorted(filter(recognizes, _found(path, set())))
    if not files:
        raise SourceTypeError(
            f"The folder {str(path)!r} has no file that matches {pattern!r}; choose "
            "another folder or another type of data."
        )
    return files


def check_not_empty(files: Iterable[Path]) -> None:
    """Raise an UnreadableFileError if files are empty, as failed copies are."""
    empty = [repr(str(f)) for f in files if f.is_file() and f.stat().st_size == 0]
    if empty:
        which = ", ".join(empty[:3]) + (
            f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        )
        verb, them = ("is", "it") if len(empty) == 1 else ("are", "them")
        raise UnreadableFileError(
            f"{which} {verb} empty (0 bytes); replace {them} or leave {them} out."
        )


def pair_files(sources: Sequence[Path], targets: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pair noisy and clean files of the same name, in the order of `sources`.

    Where names repeat in several folders, the folders below the common one must match too.
    Raises a SourceTypeError that names the files with no partner or several.
    """
    by_name, wanted = _keyed(targets), _keyed(sources)
    if max(map(len, (*by_name.values(), *wanted.values())), default=0) > 1:
        by_name, wanted = _keyed(targets, deep=True), _keyed(sources, deep=True)
    lacking = [
        f"{what} lack {', '.join(map(repr, sorted(missing)[:3]))}"
        + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        for what, missing in (
            ("the targets", wanted.keys() - by_name.keys()),
            ("the sources", by_name.keys() - wanted.keys()),
        )
        if missing
    ]
    if lacking:
        raise SourceTypeError(
            f"{len(sources)} source files and {len(targets)} target files cannot be "
            f"paired by name: {', '.join(lacking)}; give each pair the same name."
        )
    for name, files in {**by_name, **wanted}.items():
        if len(files) > 1:
            raise SourceTypeError(
                f"The file {name!r} was given {len(files)} times; give each file once."
            )
    return [(files[0], by_name[name][0]) for name, files in wanted.items()]


def _keyed(files: Sequence[Path], deep: bool = False) -> dict[str, list[Path]]:
    root = (
        os.path.commonpath([f.absolute().parent for f in files]) if files and deep else ""
    )
    keyed: dict[str, list[Path]] = {}
    for file in files:
        name = file.absolute().relative_to(root).as_posix() if deep else file.name
        keyed.setdefault(name, []).append(file)
    return keyed


def _found(folder: Path, seen: set[str]) -> Iterator[Path]:
    """All files below a folder; links are followed, each folder once."""
    here = os.path.realpath(folder)
    if here in seen:
        return
    seen.add(here)
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not format_of(entry):
            yield from _found(entry, seen)
        elif entry.exists():
            yield entry


def _missing(path: Path) -> str:
    store = next((parent for parent in path.parents if is_zarr(parent)), None)
    if store is None:
        return f"There is no file or folder {str(path)!r}; check the path."
    parts = sorted(child.name for child in store.iterdir() if is_zarr(child))
    found = ", ".join(map(repr, parts[:8])) or "nothing"
    return (
        f"There is no {path.relative_to(store).as_posix()!r} in {str(store)!r}, which "
        f"contains {found}; check the path."
    )
