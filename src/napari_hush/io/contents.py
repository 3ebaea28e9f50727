"""Names of files, the images that a file or store holds, and those of them that are used.

`chosen_images` compares the two: every image is used, or the person chose some of them,
or an error names what is missing.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath
from typing import NamedTuple

from napari_hush.errors import DataError, UnreadableFileError

_REFERENCE = re.compile(r"(.+)#(\d+)")
_log = logging.getLogger(__name__)


def split_reference(path: Path) -> tuple[Path, int | None]:
    """The file of an image reference, and the number of the image in it.

    ``run.tif#2`` is image 2, numbered from 0, of ``run.tif``. The number is None for a
    plain path, and for a file or folder that has this very name.
    """
    match = _REFERENCE.fullmatch(path.name)
    if match is None or os.path.exists(path):
        return path, None
    return path.with_name(match[1]), int(match[2])


def file_of(path: Path) -> Path:
    """The file or folder of an image reference."""
    return split_reference(path)[0]


class Selection(NamedTuple):
    """Which images of a file or store are used, and at which resolution."""

    level: int = 0
    """Resolution level of OME-Zarr images; 0 is the finest."""
    series: int | None = None
    """Number of the series of a TIFF file or an OME-Zarr collection, from 0."""
    scene: int | None = None
    """Number of the scene of a microscope's file, from 0."""
    field: int | None = None
    """Number of the field in each well of a plate, from 0."""

    def of_kinds(self) -> Iterator[tuple[str, int]]:
        """The kinds of image that are chosen by number, and the number."""
        for kind in ("series", "scene", "field"):
            if (number := getattr(self, kind)) is not None:
                yield kind, number


ALL_IMAGES = Selection()


class Part(NamedTuple):
    """One image of a file or store."""

    reference: Path
    """Opens it."""
    number: int = 0
    """Its number in the file, or of the field in its well; from 0."""
    name: str = ""
    """Its name in the file, for messages."""
    missing: str = ""
    """Missing parts that the file promises, "3 of 8 planes"; empty if it is complete."""
    warning: str = ""
    """A sentence about an image that is used although it lacks something."""


@dataclass(frozen=True)
class Contents:
    """The contents of a file or store."""

    path: Path
    images: tuple[Part, ...]
    """All images that its metadata promise."""
    kind: str = "image"
    """Kind of the `images`: "image" (the only one), "series", "scene" or "field"."""
    left_out: tuple[str, ...] = ()
    """Images that are no data, such as the label of a slide."""

    @classmethod
    def single(cls, path: Path) -> Contents:
        """A file with one image."""
        return cls(path, (Part(path),))


def chosen_images(contents: Contents, selection: Selection = ALL_IMAGES) -> list[Path]:
    """References of the images of a file that a selection chooses, by default all."""
    parts: Sequence[Part] = contents.images
    for kind, number in selection.of_kinds():
        if kind == contents.kind or contents.kind == "image":
            parts = [part for part in parts if part.number == number]
        else:
            raise DataError(
                f"{kind.capitalize()} {number} was chosen but {str(contents.path)!r} has "
                f"no {_plural(kind)}, it has {_plural(contents.kind)}; leave {kind} out "
                f"or choose a {contents.kind}."
            )
        if not parts:
            raise DataError(
                f"{kind.capitalize()} {number} was chosen but {str(contents.path)!r} has "
                f"{_listed(contents)}; choose one of them."
            )
    if missing := [part for part in parts if part.missing]:
        raise _incomplete(contents, missing)
    for part in parts:
        if part.warning:
            _log.warning("%s", part.warning)
    if contents.left_out and parts is contents.images:
        _log.warning(
            "%r also holds %s, which %s left out.",
            str(contents.path),
            " and ".join(contents.left_out),
            "is" if len(contents.left_out) == 1 else "are",
        )
    return [part.reference for part in parts]


def chosen_image(contents: Contents, selection: Selection = ALL_IMAGES) -> Path:
    """Reference of the one image that a selection leaves; a DataError if it leaves more."""
    first, *more = chosen_images(contents, selection)
    if more:
        raise DataError(
            f"{str(contents.path)!r} holds {1 + len(more)} images; choose one of them, for "
            f"example {str(first)!r}, or read them with open_images."
        )
    return first


def _incomplete(contents: Contents, missing: Sequence[Part]) -> DataError:
    path = str(contents.path)
    if contents.kind == "image":
        lacks, way_out = missing[0].missing, "complete it or leave it out"
    else:
        named = [f"{_title(contents.kind, part)} ({part.missing})" for part in missing]
        lacks = some_names(named)
        complete = next((part for part in contents.images if not part.missing), None)
        way_out = f"complete it or choose a complete {contents.kind}" + (
            "" if complete is None else f", for example {str(complete.reference)!r}"
        )
    return DataError(f"{path!r} is incomplete, it lacks {lacks}; {way_out}.")


def _listed(contents: Contents) -> str:
    if len(contents.images) == 1:
        return "only one image, number 0"
    return some_names([_title(contents.kind, part) for part in contents.images])


def _title(kind: str, part: Part) -> str:
    return f"{kind} {part.number}" + (f" {part.name!r}" if part.name else "")


def some_names(names: Sequence[str], limit: int = 8) -> str:
    """The first of several names, and how many more there are."""
    more = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {more} more" if more > 0 else "")


def _plural(kind: str) -> str:
    return kind if kind == "series" else f"{kind}s"


_NUMBER = re.compile("[0-9]+")
_SIDE_FOLDERS = {"$recycle.bin", "@eadir", "__macosx", "lost+found"}
_SIDE_FOLDERS |= {"system volume information"}
_SIDE_FILES = ("desktop.ini", "ehthumbs.db", "thumbs.db")
_SIDE_ENDINGS = (".aux.xml", ".md5", ".ovr", ".sha256", ".tfw", ".tif.xml", ".tiff.xml")
_COPIES = (
    *(".part", ".partial", ".filepart", ".crdownload", ".download", ".tmp", ".temp"),
    *(".bak", ".orig", ".swp", "~"),
)
"""Endings of unfinished and backup copies."""


def name_order(name: str) -> tuple[str, str, str]:
    """Key that sorts t2 before t10, and lower and upper case alike."""
    stem, _, ending = name.lower().partition(".")
    return _NUMBER.sub(_by_size, stem), _NUMBER.sub(_by_size, ending), name


def natural_order(path: str | Path) -> list[tuple[str, str, str]]:
    """Key that sorts paths folder by folder in `name_order`."""
    return [name_order(part) for part in Path(path).parts]


def _by_size(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"{len(digits):03}{digits}"  # as texts, these are in the order of numbers


def check_inside(path: str | Path, root: Path) -> None:
    """Raise an UnreadableFileError if a link at or above `path` leads out of `root`."""
    real = os.path.realpath(path)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise UnreadableFileError(
            f"{str(path)!r} leads out of its Zarr store by a link to {real!r}; copy that "
            "into the store, or open it by itself."
        )


def split_ending(name: str) -> tuple[str, str]:
    """Split ``"cells.ome.tif"`` into ``"cells"`` and ``".ome.tif"``."""
    stem, ending = os.path.splitext(name)
    if stem.lower().endswith(".ome"):
        return stem[:-4], stem[-4:] + ending
    return stem, ending


def original_name(name: str) -> str | None:
    """The name without the ending of an unfinished or backup copy; None for others."""
    ending = next((end for end in _COPIES if name.lower().endswith(end)), None)
    return None if ending is None else name[: -len(ending)]


def is_side_folder(name: str) -> bool:
    """Whether systems and servers keep their own files in a folder of this name."""
    return name.startswith(".") or name.lower() in _SIDE_FOLDERS


def is_hidden(name: str) -> bool:
    """Whether a file is hidden, or the mark of a document that is open."""
    return name.startswith((".", "~$"))


def is_side_file(name: str) -> bool:
    """Whether other programs or copies leave files of this name beside images."""
    low = name.lower()
    return low in _SIDE_FILES or low.endswith(_SIDE_ENDINGS + _COPIES)


def has_wildcard(text: str) -> bool:
    """Whether a text is a pattern."""
    return any(letter in text for letter in "*?[")


def pattern_matcher(parts: Sequence[str]) -> Callable[[PurePath], bool]:
    """Make a function that says whether a relative path has these parts.

    They are patterns, in the case of the system; ``**`` is any number of folders.
    """

    def matches(names: Sequence[str], parts: Sequence[str]) -> bool:
        if not parts:
            return not names
        if parts[0] == "**":
            rests = (names[start:] for start in range(len(names) + 1))
            return any(matches(rest, parts[1:]) for rest in rests)
        return bool(names) and fnmatch(names[0], parts[0]) and matches(names[1:], parts[1:])

    return lambda path: matches(path.parts, parts)


def listed(files: Iterable[str | Path]) -> str:
    """Names for a message: the first ones, and how many more."""
    return some_names([repr(str(file)) for file in files], 3)
