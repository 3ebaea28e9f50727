"""CZI files of Zeiss microscopes, read plane by plane with pylibCZIrw.

Use it as a custom reader: ``data_type="custom"``, ``read_source_func=read_czi``,
``extension_filter="*.czi"``; for one of several scenes
``functools.partial(read_czi, scene=1)``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.axes import validate_axes
from napari_hush.errors import DataError, HushError, UnreadableFileError
from napari_hush.io.lazy import Bounds, SerialPixels, extent
from napari_hush.io.metadata import ImageMetadata
from napari_hush.system.optional import require

_TYPES = {"Gray8": "uint8", "Gray16": "uint16", "Gray32Float": "float32"}
_COLOURS = {"Bgr24": "uint8", "Bgr48": "uint16"}


def read_czi(path: str | Path, axes: str, *, scene: int | None = None) -> CziPixels:
    """Open a CZI file without reading its pixels.

    Parameters
    ----------
    path : str or Path
        The file.
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
        If it has dimensions that `axes` lack, several scenes of which none is chosen, or
        pixels of several types.
    HushError
        If pylibCZIrw is not installed.
    """
    return CziPixels(Path(path), axes, scene)


class CziPixels(SerialPixels):
    """Pixels of one scene that stay in the CZI file; 0 where no tile covers the scene.

    The file is opened for each read, since its handle can neither be pickled nor used by
    two threads at once.
    """

    def __init__(self, path: Path, axes: str, scene: int | None = None) -> None:
        self.path = path
        self._axes = validate_axes(axes)
        self._scene = scene
        with _opened(path) as file:
            sizes, self._corner, self._starts = _sizes(path, file, scene)
            types = set(file.pixel_types.values())
        if len(types) != 1 or not types <= {*_TYPES, *_COLOURS}:
            raise DataError(
                f"{str(path)!r} has pixels of type {', '.join(sorted(types))}; export it "
                f"with one of {', '.join((*_TYPES, *_COLOURS))} for all channels."
            )
        (self._type,) = types
        if self._type in _COLOURS:
            if sizes.get("C", 1) > 1:
                raise DataError(
                    f"{str(path)!r} has several channels with several colors each; export "
                    "the channels one by one."
                )
            sizes["C"] = 3
        # A time series may also be called samples.
        self._file_letters = (
            {"S": "T"} if "S" in self._axes and "T" not in self._axes else {}
        )
        letters = [self._file_letters.get(a, a) for a in self._axes]
        if lost := {a: n for a, n in sizes.items() if n > 1 and a not in letters}:
            listed = ", ".join(f"{a} = {n}" for a, n in lost.items())
            raise DataError(
                f"{str(path)!r} has dimensions that the axes {axes!r} lack: {listed}; add "
                "them to the axes or export a part of the file."
            )
        super().__init__(
            [sizes.get(a, 1) for a in letters], (_TYPES | _COLOURS)[self._type]
        )

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        letters = [self._file_letters.get(a, a) for a in self._axes]
        box = dict(zip(letters, bounds, strict=True))
        t, c, z = (box.get(a, (0, 1)) for a in "TCZ")
        (top, bottom), (left, right) = box["Y"], box["X"]
        x, y = self._corner
        roi = (x + left, y + top, right - left, bottom - top)
        coloured = self._type in _COLOURS
        channels = (0, 1) if coloured else c
        out = np.empty(extent((t, c, z, box["Y"], box["X"])), self.dtype)
        with self._lock, _opened(self.path) as file:
            for frame, channel, depth in itertools.product(
                range(*t), range(*channels), range(*z)
            ):
                numbers = {"T": frame, "C": channel, "Z": depth}
                plane = {a: start + numbers[a] for a, start in self._starts.items()}
                pixels = file.read(roi=roi, plane=plane, scene=self._scene)
                into = out[frame - t[0], :, depth - z[0]]
                if coloured:
                    into[...] = np.moveaxis(pixels, -1, 0)[slice(*c)]
                else:
                    into[channel - c[0]] = pixels[..., 0]
        order = ["TCZYX".index(a) for a in letters]
        rest = [i for i in range(5) if i not in order]
        return out.transpose([*rest, *order]).reshape(extent(bounds))


def czi_metadata(path: str | Path) -> ImageMetadata:
    """Pixel sizes of a CZI file in micrometers; the reader chooses its axes."""
    with _opened(Path(path)) as file:
        known: Any = file.metadata
        for part in ("ImageDocument", "Metadata", "Scaling", "Items", "Distance"):
            known = (known or {}).get(part)
    steps = known if isinstance(known, list) else [known] if known else []
    scale = {s["@Id"]: float(s["Value"]) * 1e6 for s in steps if s.get("Value")}
    scale = {a: size for a, size in scale.items() if a in "ZYX"}
    return ImageMetadata.of(None, scale, dict.fromkeys(scale, "micrometer"))


def _sizes(
    path: Path, file: Any, scene: int | None
) -> tuple[dict[str, int], tuple[int, int], dict[str, int]]:
    """Sizes by letter, corner (x, y) of the scene, first index along T, C and Z."""
    scenes = file.scenes_bounding_rectangle
    if scene is None and len(scenes) > 1:
        raise DataError(
            f"{str(path)!r} has the scenes {', '.join(map(str, scenes))}; choose one: "
            "functools.partial(read_czi, scene=0)."
        )
    if scene is not None and scene not in scenes:
        raise DataError(
            f"{str(path)!r} has no scene {scene}; it has "
            f"{', '.join(map(str, scenes)) or 'no scenes, so leave the scene out'}."
        )
    ranges = {a: (int(s), int(e)) for a, (s, e) in file.total_bounding_box.items()}
    where = scenes[scene] if scene is not None else file.total_bounding_rectangle
    sizes = {a: end - start for a, (start, end) in ranges.items() if a not in "XYS"}
    sizes |= {"Y": int(where.h), "X": int(where.w)}
    starts = {a: ranges[a][0] for a in "TCZ" if a in ranges}
    return sizes, (int(where.x), int(where.y)), starts


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    czi = require("pylibCZIrw.czi", "czi", "Reading CZI files")
    try:
        with czi.open_czi(str(path)) as file:
            yield file
    except (HushError, MemoryError):
        raise
    except Exception as error:  # the library raises many kinds on damaged files
        raise UnreadableFileError(
            f"{str(path)!r} cannot be read as a CZI file ({error}); replace it or leave "
            "it out."
        ) from error
