"""Pairs of noisy and clean files, found by their names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from unicodedata import normalize

from napari_hush.errors import ConfigurationError, SourceTypeError
from napari_hush.io.contents import split_reference
from napari_hush.io.file_names import listed, split_ending


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
