"""The images in a Zarr store: of a plate, a well, a collection, or groups of images."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from napari_hush.io.contents import Contents, Part
from napari_hush.io.zarr.ome import Multiscale, ome_attributes, paths
from napari_hush.io.zarr.remote import address_of
from napari_hush.io.zarr.store import (
    attributes_of,
    exists,
    is_group,
    members_of,
    opened,
    within,
)

T = TypeVar("T")

_DEEP = 6
"""Depth of groups that are searched for images."""
_AT_ONCE = 16
"""Requests to a server."""
LAYOUT = "bioformats2raw.layout"
_HOLDING = {"plate", "well", "series", LAYOUT}
"""Attributes of groups that hold images."""
_IMAGE = re.compile(rb"<(?:\w+:)?Image\s")
_XML_BYTES = 2**28


def zarr_contents(path: Path) -> Contents:
    """The images of a Zarr store, or of a group in one; no pixels are read.

    Images below "labels" are none. Raises the errors of `opened`, and an
    UnreadableFileError if metadata name an image outside of the store.
    """
    node = opened(path)
    if not is_group(node):
        return Contents.single(path)
    attributes = node.attrs.asdict()
    if scales := Multiscale.all_of(attributes):
        others = [f"the multiscale image {s.name!r} ({s.levels[0]})" for s in scales[1:]]
        return Contents(path, (Part(path),), left_out=tuple(others))
    known, kind = ome_attributes(attributes), "field"
    parts: list[Part] = []
    left_out: list[str] = []
    if isinstance(known.get("plate"), dict):
        parts = _of_plate(path, known["plate"])
    elif isinstance(known.get("well"), dict):
        parts = _parts(path, enumerate(_fields(path)))
    if not parts:
        kind, parts = "series", _series(path, known)
    if not parts and address_of(path) is None:
        found, left_out = _parts_below(path, path, _DEEP, set())
        parts = [part._replace(number=n) for n, part in enumerate(found)]
    if not parts:
        return Contents.single(path)
    if len(parts) == 1 and not parts[0].missing:
        kind = "image"
    return Contents(path, tuple(parts), kind, tuple(left_out))


def _parts(store: Path, images: Iterable[tuple[int, Path]]) -> list[Part]:
    """Images with their numbers; those that are not there are missing."""
    images = list(images)
    there = _for_each(exists, [image for _, image in images])
    lacks = ["" if is_there else "all of it" for is_there in there]
    return [
        Part(image, number, _inside(store, image), missing)
        for (number, image), missing in zip(images, lacks, strict=True)
    ]


def _for_each(function: Callable[[Path], T], places: Sequence[Path]) -> list[T]:
    """Call a function for each place, several at a time at an address."""
    if not places or address_of(places[0]) is None:
        return [function(place) for place in places]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(function, places))


def _of_plate(path: Path, plate: dict[str, Any]) -> list[Part]:
    """The fields of all wells; of a well that is not there, as many as others have."""
    wells = [within(path, name) for name in dict.fromkeys(paths(plate.get("wells")))]
    found = _for_each(lambda well: _fields(well) if exists(well) else None, wells)
    most = max((len(fields) for fields in found if fields), default=1)
    return _parts(
        path,
        [
            each
            for well, fields in zip(wells, found, strict=True)
            for each in enumerate(
                [well / str(n) for n in range(most)] if fields is None else fields
            )
        ],
    )


def _fields(well: Path) -> list[Path]:
    known = ome_attributes(attributes_of(well)).get("well")
    if isinstance(known, dict):
        return [within(well, name) for name in dict.fromkeys(paths(known.get("images")))]
    if address_of(well) is not None:
        return []
    return [part.reference for part in _parts_below(well, well, 1, set())[0]]


def _series(path: Path, known: dict[str, Any]) -> list[Part]:
    """The series of a collection as bioformats2raw writes it."""
    if LAYOUT not in known and "series" not in known:
        return []
    about = path / "OME"
    if exists(about):
        known = {**known, **ome_attributes(attributes_of(about))}
    listed = known.get("series")
    listed = listed if isinstance(listed, list) else []
    names = [name for name in listed if isinstance(name, str)]
    xml = about / "METADATA.ome.xml"
    if not names:
        promised = _images_in(xml) if xml.is_file() else 0
        numbers = itertools.count()
        there = len([*itertools.takewhile(lambda n: exists(path / str(n)), numbers)])
        names = [str(number) for number in range(max(promised, there))]
    return _parts(path, enumerate(within(path, name) for name in dict.fromkeys(names)))


def _images_in(xml: Path) -> int:
    """Number of images in a file of OME-XML."""
    with xml.open("rb") as file:
        return len(_IMAGE.findall(file.read(_XML_BYTES)))


def _parts_below(
    store: Path, path: Path, depth: int, seen: set[str]
) -> tuple[list[Part], list[str]]:
    """The images of all groups inside a group, and the arrays beside them.

    A plate, well or collection stands for its images. Links are followed, each folder once.
    """
    if (here := os.path.realpath(path)) in seen:
        return [], []
    seen.add(here)
    parts: list[Part] = []
    arrays: list[str] = []
    for member in members_of(path, with_folders=True).values():
        name = _inside(store, member)
        attributes: dict[str, Any] = {}
        if exists(member):
            node = opened(member)
            if not is_group(node):
                arrays.append(f"the array {name!r}")
                continue
            attributes = ome_attributes(node.attrs.asdict())
        if member.name == "labels" or "image-label" in attributes:
            continue
        if Multiscale.all_of(attributes):
            parts.append(Part(member, name=name))
        elif _HOLDING & attributes.keys():
            held = zarr_contents(member).images
            parts += [p._replace(name=_inside(store, p.reference)) for p in held]
        elif depth:
            inner = _parts_below(store, member, depth - 1, seen)
            parts += inner[0]
            arrays += inner[1]
    return parts, arrays


def _inside(store: Path, image: Path) -> str:
    return image.relative_to(store).as_posix()
