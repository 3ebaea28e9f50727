"""Names of files: their order, endings and patterns, and those that are no images."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePath

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


def listed(files: Iterable[str | Path], limit: int = 3) -> str:
    """Names for a message: the first ones, and how many more."""
    names = [repr(str(file)) for file in files]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
