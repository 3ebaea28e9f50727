"""PNG, JPEG, BMP, GIF and WebP images, read with Pillow.

Pixels are as they are stored: a rotation that a camera notes is not applied. Transparency
is left out. The steps of an animation are T.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.io.lazy import chunk_cache
from napari_hush.io.metadata import ImageMetadata
from napari_hush.io.readers import base
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.io.lazy import Bounds

_FORMATS = ("Png", "Jpeg", "Bmp", "Gif", "WebP")
_GRAY = {"1": "uint8", "L": "uint8", "LA": "uint8", "I;16": "uint16"}
_BOMB = 2**24, 10_000
"""More pixels than this, and so many for a byte of the file: it is damaged."""


class PicturePixels(base.FilePixels):
    """Pixels of a picture: YX, or YXC for colors, after T for an animation.

    Gray values that are stored as equal colors are gray, unless `axes` name C. The file is
    decoded as a whole, and kept in the chunk cache.
    """

    kind = "a picture"

    def __init__(self, path: Path, axes: str = "") -> None:
        with _opened(path) as picture:
            layers, dtype = _layers(picture)
            frames = _frames(picture)
            width, height = picture.size
            count = frames * height * width * layers
            if count > _BOMB[0] and count > _BOMB[1] * path.stat().st_size:
                raise ValueError(f"it promises {frames} x {height} x {width} pixels")
            self._gray = (
                layers == 3 and "C" not in axes and _has_no_color(_decoded(picture, path))
            )
        if self._gray:
            layers = 1
        named = "T" * (frames > 1) + "YX" + "C" * (layers == 3)
        sizes = {"T": frames, "Y": height, "X": width, "C": layers}
        shape = [sizes[a] for a in named]
        super().__init__(path, shape, dtype, named, ImageMetadata(named), shape)

    def _read(self, bounds: Bounds) -> NDArray[Any]:
        if self._is_all(bounds):
            return self._whole()
        whole = chunk_cache.get((str(self.path), self.stamp, self.shape), self._whole)
        return whole[tuple(slice(*pair) for pair in bounds)].copy()

    def _whole(self) -> NDArray[Any]:
        with self._reading(), _opened(self.path) as picture:
            pixels = _decoded(picture, self.path)
        return (pixels[..., 0] if self._gray else pixels).reshape(self.shape)


def _has_no_color(pixels: NDArray[Any]) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def _layers(picture: Any) -> tuple[int, str]:
    """Number of colors, 1 or 3, and dtype of a picture."""
    if _is_deep(picture):
        return 3 if picture.tile[0][3].startswith("RGB") else 1, "uint16"
    # Later frames of an animation may have colors.
    gray = picture.mode in _GRAY and _frames(picture) == 1
    return (1, _GRAY[picture.mode]) if gray else (3, "uint8")


def _frames(picture: Any) -> int:
    animated = picture.format in ("PNG", "GIF", "WEBP")
    return int(getattr(picture, "n_frames", 1)) if animated else 1


def _is_deep(picture: Any) -> bool:
    """Whether colors or transparent pixels have 16 bits, of which Pillow reads 8."""
    return (
        picture.format == "PNG"
        and picture.mode != "I;16"
        and bool(picture.tile)
        and str(picture.tile[0][3]).endswith(";16B")
    )


def _decoded(picture: Any, path: Path) -> NDArray[Any]:
    """Pixels of all frames, the colors last; a new array."""
    if _is_deep(picture):
        codecs = require("imagecodecs", "tiff", "Reading PNG files with 16 bits per color")
        pixels = codecs.png_decode(path.read_bytes())
        return np.array(pixels[..., : _layers(picture)[0]])
    layers, dtype = _layers(picture)
    if layers == 1:
        gray = picture if picture.mode in ("L", "I;16") else picture.convert("L")
        return np.array(gray, dtype)
    parts = []
    for number in range(_frames(picture)):
        if number:
            picture.seek(number)
        # Transparent entries of a palette cannot become RGB without a warning.
        way = "RGBA" if picture.mode in ("P", "PA") else "RGB"
        parts.append(np.array(picture.convert(way))[..., :3])
    return parts[0] if len(parts) == 1 else np.stack(parts)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The picture of a file; unlike ``Image.open`` of any size."""
    from PIL import Image

    with base.reading(path, "a picture"), open(path, "rb") as file:
        start = file.read(16)
        for name in _FORMATS:
            import_module(f"PIL.{name}ImagePlugin")
            make, accepts = Image.OPEN[name.upper()]
            if accepts is None or accepts(start) is True:
                file.seek(0)
                yield make(file, str(path))
                return
        raise ValueError("it is none of PNG, JPEG, BMP, GIF and WebP")
