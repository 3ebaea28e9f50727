"""CZI files of Zeiss microscopes, read plane by plane with pylibCZIrw."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import validate_axes
from napari_hush.errors import DataError
from napari_hush.io.contents import Contents, Part, split_reference
from napari_hush.io.lazy import Bounds, extent
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.readers import base
from napari_hush.system.optional import require

_TYPES = {"Gray8": "uint8", "Gray16": "uint16", "Gray32Float": "float32"}
_COLORS = {"Bgr24": "uint8", "Bgr48": "uint16"}
_OTHERS = "VHIRB"
"""Views, phases, illuminations, rotations and blocks."""
_DIMENSIONS = f"T{_OTHERS}CZ"
"""Dimensions of the planes of a file."""
_WORDS = {"T": "time points", "Z": "Z planes", "C": "channels"}
_IMAGE = ("Information", "Image")


def read_czi(path: str | Path, axes: str, *, scene: int | None = None) -> CziPixels:
    """Open a CZI file without base.reading its pixels, with axes of your choice.

    ``data_type="czi"`` reads all scenes with the axes of the file. As a custom reader:
    ``data_type="custom"``, ``read_source_func=read_czi``, ``extension_filter="*.czi"``.

    Parameters
    ----------
    path : str or Path
        The file, or ``"run.czi#1"`` for scene 1.
    axes : str
        Axes of the result, in any order, with every dimension of more than one step. T may
        be called S. The colors of a camera (blue, green, red) are C.
    scene : int, optional
        Number of the scene; required if there are several.

    Returns
    -------
    CziPixels
        Shape in the order of `axes`; uint8, uint16 or float32.

    Raises
    ------
    UnreadableFileError
        If the file is no CZI or is damaged.
    DataError
        If it has dimensions that `axes` lack, several scenes of which none is chosen,
        color channels besides others, or lacks planes.
    HushError
        If pylibCZIrw is not installed.
    """
    return CziPixels(Path(path), validate_axes(axes), scene)


class _Scene(NamedTuple):
    """The planes of a scene, and where they are."""

    present: NDArray[np.bool_]
    """Whether a plane is there, by its number along `_DIMENSIONS`."""
    first: tuple[int, ...]
    """The first number along each of them."""
    box: tuple[int, int, int, int]
    """Left, top, right and bottom in pixels."""
    types: frozenset[str]
    """Types of its pixels."""


class CziPixels(base.FilePixels):
    """Pixels of one scene, all tiles of a mosaic together; 0 where no tile covers it.

    Without `axes` those of the file are used, and colors are red, green, blue.
    """

    kind = "a CZI file"

    def __init__(self, path: Path, axes: str = "", scene: int | None = None) -> None:
        file, _ = split_reference(path)
        with _opened(file) as czi:
            scenes = _scenes(czi)
            number = _number(path, list(scenes), scene, must_choose=bool(axes))
            found = scenes[number]
            times, lacks, _ = base.usable_times(found.present, "planes")
            base.check_complete(path, lacks)
            counts = (times, *found.present.shape[1:])
            sizes = dict(zip(_DIMENSIONS, counts, strict=True))
            left, top, right, bottom = found.box
            sizes |= {"Y": bottom - top, "X": right - left}
            others = [a for a in _OTHERS if sizes[a] > 1]
            dtype, self._colored = _dtype(file, found.types, sizes["C"])
            if self._colored:
                sizes["C"] = 3
            self._rgb = not axes
            axes = axes or f"T{'S' * bool(others)}{'ZYXC' if self._colored else 'CZYX'}"
            kept = base.squeezed(axes, [sizes.get(a, 0) for a in axes])
            corner = self._corner = (left, top)
            metadata = base.known(kept, lambda: _metadata(czi, kept, self._colored, corner))
        # A time series, and views or phases, may also be called samples.
        another = others[0] if others else "" if "T" in axes else "T"
        self._letters = [another or a if a == "S" else a for a in axes]
        self._first = dict(zip(_DIMENSIONS, found.first, strict=True))
        self._scene = number if len(scenes) > 1 else None
        if lost := {a: n for a, n in sizes.items() if n > 1 and a not in self._letters}:
            listed = ", ".join(f"{a} = {n}" for a, n in lost.items())
            raise DataError(
                f"{str(file)!r} has dimensions that the axes {axes!r} lack: {listed}; add "
                "them to the axes or export a part of the file."
            )
        shape = [sizes.get(a, 1) for a in self._letters]
        super().__init__(path, shape, dtype, axes, metadata)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        box = dict(zip(self._letters, bounds, strict=True))
        (top, bottom), (left, right) = box["Y"], box["X"]
        x, y = self._corner
        roi = (x + left, y + top, right - left, bottom - top)
        loops = [a for a in _DIMENSIONS if a in box and not (a == "C" and self._colored)]
        colors = box["C"] if self._colored else (0, 1)
        area = ((top, bottom), (left, right), colors)
        out = np.empty(extent((*(box[a] for a in loops), *area)), self.dtype)
        with self._reading(), _opened(self.file) as czi:
            for index in np.ndindex(out.shape[: len(loops)]):
                plane = dict(self._first)
                for letter, number in zip(loops, index, strict=True):
                    plane[letter] += box[letter][0] + number
                pixels = czi.read(roi=roi, plane=plane, scene=self._scene)
                if self._colored and self._rgb:
                    pixels = pixels[..., ::-1]
                out[index] = pixels[..., slice(*colors)]
        stored = [*loops, "Y", "X", "C" if self._colored else ""]
        order = [stored.index(a) for a in self._letters if a in stored]
        rest = [i for i in range(out.ndim) if i not in order]
        return out.transpose([*rest, *order]).reshape(extent(bounds))


def czi_contents(path: Path) -> Contents:
    """The scenes of a file."""
    file, _ = split_reference(path)
    with _opened(file) as czi:
        scenes = _scenes(czi)
        planned, names = {}, {}
        with suppress(Exception):  # metadata never cost pixels
            planned, names = _planned(czi), _scene_names(czi)
    fewer = []
    for letter, count in planned.items():
        sizes = [each.present.shape[_DIMENSIONS.index(letter)] for each in scenes.values()]
        if count > max(sizes, default=count):
            fewer.append(f"{max(sizes)} of {count} {_WORDS[letter]}")
    found = []
    for number, scene in scenes.items():
        _, lacks, said = base.usable_times(scene.present, "planes")
        name = names.get(str(number), "")
        found.append(Part(path, number, name, lacks, said or " and ".join(fewer)))
    return base.contents_of(path, found)


def _number(path: Path, scenes: list[int], scene: int | None, *, must_choose: bool) -> int:
    """The scene that a caller or a reference names, else the first."""
    file, number = split_reference(path)
    listed = ", ".join(map(str, scenes))
    if scene is None and number is None and len(scenes) > 1 and must_choose:
        raise DataError(
            f"{str(file)!r} has the scenes {listed}; choose one: "
            "functools.partial(read_czi, scene=0)."
        )
    if scene is not None and scene not in scenes:
        raise DataError(f"{str(file)!r} has no scene {scene}; it has {listed}.")
    return base.image_number(path, scenes) if scene is None else scene


def _scenes(czi: Any) -> dict[int, _Scene]:
    """The scenes of a file, by number; pyramids are left out."""
    tiles: dict[int, list[tuple[Any, ...]]] = {}

    def note(_: int, tile: Any) -> bool:
        at, area = tile.coordinate.to_dict(), tile.logicalRect
        plane = tuple(at.get(a, 0) for a in _DIMENSIONS)
        box = (area.x, area.y, area.x + area.w, area.y + area.h)
        tiles.setdefault(at.get("S", 0), []).append((plane, box, tile.pixelType.name))
        return True

    czi.enumerate_subblocks_subset(note, only_layer0=True)
    if min(tiles, default=0) < 0:
        raise ValueError(f"it has a scene {min(tiles)}")
    return {number: _scene(found) for number, found in sorted(tiles.items())}


def _scene(tiles: list[tuple[Any, ...]]) -> _Scene:
    planes = np.array([plane for plane, _, _ in tiles])
    first = planes.min(0)
    counts = planes.max(0) - first + 1
    if math.prod(counts.tolist()) > base.MOST_PLANES:
        raise ValueError(f"it has planes up to {planes.max(0).tolist()}")
    present = np.zeros(counts, bool)
    present[tuple((planes - first).T)] = True
    boxes = np.array([box for _, box, _ in tiles])
    if (boxes[:, 2:] <= boxes[:, :2]).any():
        raise ValueError("it has tiles without pixels")
    box = (*boxes[:, :2].min(0).tolist(), *boxes[:, 2:].max(0).tolist())
    return _Scene(
        present, tuple(first.tolist()), box, frozenset(kind for *_, kind in tiles)
    )


def _dtype(file: Path, types: frozenset[str], channels: int) -> tuple[np.dtype[Any], bool]:
    """Dtype of the pixels, and whether they are colors."""
    colored = types <= set(_COLORS)
    if not (colored or types <= set(_TYPES)):
        raise DataError(
            f"{str(file)!r} has pixels of type {', '.join(sorted(types))}; export it with "
            f"those of {', '.join(_TYPES)}, or with one of {', '.join(_COLORS)}."
        )
    if colored and channels > 1:
        raise base.several_colors(file)
    return np.result_type(*((_TYPES | _COLORS)[each] for each in types)), colored


def _metadata(czi: Any, axes: str, colored: bool, corner: tuple[int, int]) -> ImageMetadata:
    """Pixel sizes and position in micrometers, seconds between frames, channel names."""
    found = _under(czi, "Scaling", "Items", "Distance")
    scale = {each["@Id"]: float(each["Value"]) * 1e6 for each in found if each.get("Value")}
    scale = {a: size for a, size in scale.items() if a in "ZYX"}
    channels = _under(czi, *_IMAGE, "Dimensions", "Channels", "Channel")
    names = [] if colored else [each.get("@Name") for each in channels]
    units = {**dict.fromkeys(scale, "micrometer"), "T": "second"}
    pairs = zip("XY", corner, strict=True)
    position = {a: at * scale[a] for a, at in pairs if a in scale}
    sizes = {**scale, "T": _time_step(czi)}
    return ImageMetadata.of(axes, sizes, units, channels=names, position=position)


def _time_step(czi: Any) -> Any:
    """Seconds between time points, the mean of them if they are listed."""
    (times,) = _under(czi, *_IMAGE, "Dimensions", "T", "Positions") or [{}]
    if "Interval" in times:
        return times["Interval"].get("Increment")
    listed = str((times.get("List") or {}).get("Offsets", "")).split()
    if len(listed) < 2:
        return None
    return (float(listed[-1]) - float(listed[0])) / (len(listed) - 1)


def _scene_names(czi: Any) -> dict[str, str]:
    found = _under(czi, *_IMAGE, "Dimensions", "S", "Scenes", "Scene")
    return {str(each.get("@Index")): str(each.get("@Name", "")) for each in found}


def _planned(czi: Any) -> dict[str, int]:
    """Counts along T, Z and C that the acquisition was planned with."""
    (image,) = _under(czi, *_IMAGE) or [{}]
    texts = {a: str(image.get(f"Size{a}", "")) for a in _WORDS}
    return {a: int(text) for a, text in texts.items() if text.isdecimal()}


def _under(czi: Any, *names: str) -> list[Any]:
    """The elements of the metadata with this path."""
    found = czi.metadata
    for name in ("ImageDocument", "Metadata", *names):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, list) else [found] if found else []


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    library = require("pylibCZIrw.czi", "microscopes", "Reading CZI files")
    with base.reading(file, "a CZI file"), library.open_czi(str(file)) as czi:
        yield czi
