"""OME-Zarr, versions 0.1 to 0.6: metadata of images, and the images that a store holds.

Only the paths of the resolutions are needed; anything else that cannot be understood is
unknown. Every value may be of any type.
"""

from __future__ import annotations

import itertools
import operator
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari_hush.io.contents import Contents, Part
from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of, number_of
from napari_hush.io.zarr.store import (
    address_of,
    attributes_of,
    exists,
    is_group,
    members_of,
    opened,
    within,
)

_IMPLIED = "TCZYX"
"""Axes of versions 0.1 and 0.2, which do not name them."""
_KINDS = {"time": "T", "channel": "C"}

Attributes = Mapping[str, Any]


def ome_attributes(attributes: Attributes) -> dict[str, Any]:
    """The attributes of OME-Zarr, which have a separate key since version 0.5."""
    ome = attributes.get("ome")
    return {**attributes, **ome} if isinstance(ome, dict) else dict(attributes)


def dicts(value: Any) -> list[dict[str, Any]]:
    """The mappings of a list; empty for anything else."""
    found = value if isinstance(value, list) else []
    return [each for each in found if isinstance(each, dict)]


def paths(value: Any) -> list[str]:
    """The paths of a list of mappings with the key "path"."""
    found = [each.get("path") for each in dicts(value)]
    return [path for path in found if isinstance(path, str)]


def channel_labels(attributes: Attributes) -> list[Any]:
    """Names of channels in display settings, which may have any shape."""
    omero = ome_attributes(attributes).get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    return [
        one.get("label") if isinstance(one, dict) else None
        for one in (channels if isinstance(channels, list) else [])
    ]


def unusable(attributes: Attributes) -> tuple[str, ...]:
    """The entry of multiscales, for a warning; empty if there is none."""
    known = ome_attributes(attributes)
    return (
        (f"multiscales = {known['multiscales']!r:.40}",) if "multiscales" in known else ()
    )


@dataclass(frozen=True)
class Multiscale:
    """An image in several resolutions."""

    known: Attributes
    """Its entry in the list of multiscales."""
    channels: Sequence[Any] = ()
    """Names of channels."""
    version: Any = None

    @classmethod
    def all_of(cls, attributes: Attributes) -> list[Multiscale]:
        """Those of a group that have a resolution, in their order."""
        ome = ome_attributes(attributes)
        labels = channel_labels(attributes)
        found = [
            cls(known, labels, known.get("version", ome.get("version")))
            for known in dicts(ome.get("multiscales"))
        ]
        return [each for each in found if each.levels]

    @property
    def name(self) -> str:
        """Its name, for messages."""
        name = self.known.get("name")
        return name if isinstance(name, str) else ""

    @property
    def levels(self) -> list[str]:
        """Paths of the resolutions in the group, finest first."""
        return paths(self.known.get("datasets"))

    def metadata(
        self, level: str, ndim: int, names: str | None
    ) -> tuple[str, ImageMetadata]:
        """Axes and metadata of a resolution; `names` count if the metadata have none."""
        datasets = dicts(self.known.get("datasets"))
        dataset = next(each for each in datasets if each.get("path") == level)
        steps = [*_steps(dataset.get("coordinateTransformations"))]
        named = self._axes(steps)
        if not dicts(self.known.get("coordinateSystems")):
            steps += _steps(self.known.get("coordinateTransformations"))
        sizes, corner, unknown = _placed(steps, ndim)
        if named is None and self.version in (None, "0.1", "0.2") and ndim == len(_IMPLIED):
            named = list(_IMPLIED)
        if named is not None and (not isinstance(named, list) or len(named) != ndim):
            unknown.append(f"axes of {ndim} dimensions = {named!r:.40}")
            named = None
        if named is None:
            named = list(names or UNNAMED * ndim)
        letters = [_letter(axis) for axis in named]
        letters = [a if letters.count(a) == 1 else UNNAMED for a in letters]
        units = [axis.get("unit") if isinstance(axis, dict) else None for axis in named]
        axes = "".join(letters)
        return axes, ImageMetadata.of(
            axes,
            {a: n for a, n in zip(letters, sizes, strict=False) if a in "TZYX"},
            dict(zip(letters, units, strict=True)),
            channels=self.channels,
            position={a: n for a, n in zip(letters, corner, strict=False) if n},
            unknown=unknown,
        )

    def _axes(self, steps: Sequence[Attributes]) -> Any:
        """The entry of the axes: a list of names or mappings, or anything else."""
        systems = dicts(self.known.get("coordinateSystems"))
        if not systems:
            return self.known.get("axes")
        output = steps[-1].get("output") if steps else None
        name = output.get("name") if isinstance(output, dict) else output
        fits = (each for each in systems if each.get("name") == name)
        return next(fits, systems[0]).get("axes")


def _letter(axis: Any) -> str:
    name, kind = (
        (axis.get("name"), axis.get("type")) if isinstance(axis, dict) else (axis, None)
    )
    return _KINDS.get(str(kind)) or letters_of([name]) or UNNAMED


def _steps(value: Any) -> Iterator[Attributes]:
    """Transformations, those inside sequences one by one."""
    for step in dicts(value):
        if step.get("type") == "sequence":
            for inner in dicts(step.get("transformations")):
                yield {"output": step.get("output"), **inner}
        else:
            yield step


def _placed(
    steps: Sequence[Attributes], ndim: int
) -> tuple[list[Any], list[Any], list[str]]:
    """Size of a pixel and place of the first one along each axis, and what is unknown."""
    sizes: list[Any] = [1.0] * ndim
    corner: list[Any] = [0.0] * ndim
    kinds = set()
    for step in steps:
        kind = str(step.get("type"))
        if kind == "identity":
            continue
        values: Any = step.get(kind)
        known = kind in ("scale", "translation") and isinstance(values, list)
        if not known or len(values) != ndim:
            return [], [], [f"{kind:.40} of {ndim} dimensions = {values!r:.40}"]
        kinds.add(kind)
        for axis, value in enumerate(values):
            number = number_of(value)
            if kind == "scale":
                sizes[axis] = _combined(sizes[axis], value, number, operator.mul)
                corner[axis] = _combined(corner[axis], None, number, operator.mul)
            else:
                corner[axis] = _combined(corner[axis], value, number, operator.add)
    return (sizes if "scale" in kinds else [], corner if "translation" in kinds else [], [])


def _combined(
    before: Any, value: Any, number: float | None, combine: Callable[[float, float], float]
) -> Any:
    if number is None or not isinstance(before, float):
        return before if not isinstance(before, float) else value
    return combine(before, number)


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
    """The images of a Zarr store, or of a group in one; those below "labels" are none."""
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
    """The images of all groups inside a group, and the arrays beside them."""
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
