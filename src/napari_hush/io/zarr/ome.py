"""Metadata of OME-Zarr images, versions 0.1 to 0.6, read leniently.

Only the paths of the resolutions are needed; anything else that cannot be understood is
unknown. Every value may be of any type.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from napari_hush.io.metadata import UNNAMED, ImageMetadata, letters_of, number_of

_IMPLIED = "TCZYX"
"""Axes of versions 0.1 and 0.2, which do not name them."""
_KINDS = {"time": "T", "channel": "C"}

Attributes = Mapping[str, Any]


def ome_attributes(attributes: Attributes) -> dict[str, Any]:
    """The attributes of OME-Zarr, which have a key of their own since version 0.5."""
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
        """Axes and metadata of a resolution, given by its path, of `ndim` dimensions.

        `names` are axes known from elsewhere, which count if these metadata have none.
        Axes without a name are `UNNAMED`.
        """
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
    """Sizes of a pixel and place of the first one along each axis, and what is unknown.

    Values that are no numbers are returned as they are. Lists are empty where there is
    no transformation of the kind, or one of another kind.
    """
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
    return (
        sizes if "scale" in kinds else [],
        corner if "translation" in kinds else [],
        [],
    )


def _combined(
    before: Any, value: Any, number: float | None, combine: Callable[[float, float], float]
) -> Any:
    if number is None or not isinstance(before, float):
        return before if not isinstance(before, float) else value
    return combine(before, number)
