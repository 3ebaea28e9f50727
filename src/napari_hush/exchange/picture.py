"""A grey picture as PNG, for the cover of a model."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIDE = 256
"""Pixels of each half of a cover along Y and X."""


def cover(noisy: NDArray[Any], clean: NDArray[Any]) -> bytes:
    """A PNG twice as wide as high: `noisy` on the left, `clean` on the right.

    Parameters
    ----------
    noisy, clean : ndarray
        ``(C, (Z), Y, X)``; the first channel and the middle plane are shown, each between
        its quantiles 0.5 % and 99.5 %.
    """
    halves = [_grey(_square(_plane(pixels))) for pixels in (noisy, clean)]
    return png(np.concatenate(halves, axis=1))


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Grey values ``(Y, X)`` as a PNG file."""
    height, width = pixels.shape
    # Each row begins with the number of its filter, 0 for none.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return (
        struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))
    )


def _plane(pixels: NDArray[Any]) -> NDArray[Any]:
    first: NDArray[Any] = pixels[0]
    return first if first.ndim == 2 else first[len(first) // 2]


def _square(plane: NDArray[Any]) -> NDArray[Any]:
    """Its middle, enlarged by repeating pixels."""
    side = min(*plane.shape, _SIDE)
    top, left = ((size - side) // 2 for size in plane.shape)
    index = np.arange(_SIDE) * side // _SIDE
    return plane[np.ix_(top + index, left + index)]


def _grey(plane: NDArray[Any]) -> NDArray[np.uint8]:
    low, high = np.quantile(plane, (0.005, 0.995))
    share = (plane - low) / max(high - low, np.finfo(np.float32).tiny)
    grey: NDArray[np.uint8] = (share.clip(0, 1) * 255).astype(np.uint8)
    return grey
