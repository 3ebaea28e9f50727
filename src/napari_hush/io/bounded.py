"""Compressed bytes, unpacked no further than to a limit, whatever they claim."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Any

SLACK = 2**22
"""Bytes that pieces may have beyond their pixels."""
PACKBITS = "TIFF PackBits"
"""The codec of TIFF; that of numcodecs packs Boolean values."""
_ZSTD = b"\x28\xb5\x2f\xfd"
_ZSTD_BLOCK = 2**17
"""Largest size of a block of Zstandard, unpacked."""

_STREAMS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "gzip": lambda known: zlib.decompressobj(31),
    "zlib": lambda known: zlib.decompressobj(),
    "bz2": lambda known: bz2.BZ2Decompressor(),
    "lzma": lambda known: lzma.LZMADecompressor(
        known.get("format", lzma.FORMAT_AUTO), filters=known.get("filters")
    ),
}


def unpacked(codec: Mapping[str, Any], packed: Any, limit: int) -> bytes | None:
    """Unpack `packed` with a `codec` of numcodecs (its configuration) or `PACKBITS`.

    Returns None for codecs that unpack no more than they claim, once the claim is checked,
    and for those that unpack nothing.
    Raises a ValueError if there are more than `limit` bytes, or they are damaged.
    """
    method = str(codec["id"])
    if method in _CLAIMS:
        claimed = _CLAIMS[method](memoryview(packed).tobytes())
        if claimed > limit:
            raise ValueError(f"it claims {claimed} bytes, more than {limit}")
    if method not in _STREAMS:
        return None
    packed = memoryview(packed).tobytes()
    parts, size = list[bytes](), 0
    while packed or not parts:  # streams may follow one another
        stream = _STREAMS[method](codec)
        try:
            parts.append(stream.decompress(packed, limit + 1 - size))
        except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
            if parts:  # padding
                break
            raise ValueError(str(error)) from error
        size += len(parts[-1])
        if size > limit:
            raise ValueError(f"it holds more than {limit} bytes")
        if not stream.eof:
            if len(parts) > 1 and not parts[-1]:  # padding as well
                break
            raise ValueError("it is truncated")
        packed = stream.unused_data
    return b"".join(parts)


def _packbits(packed: bytes) -> int:
    at = size = 0
    while at < len(packed):
        count = packed[at]
        size += count + 1 if count < 128 else (257 - count if count > 128 else 0)
        at += count + 2 if count < 128 else (2 if count > 128 else 1)
    return size


def _zstd(packed: bytes) -> int:
    """Size in the header of a frame; without one, the most that its blocks can hold."""
    if not packed.startswith(_ZSTD) or len(packed) < 6:
        return len(packed)
    flags = packed[4]
    single, width = flags >> 5 & 1, (0, 2, 4, 8)[flags >> 6]
    at = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    width = width or single
    if width:
        return int.from_bytes(packed[at : at + width], "little") + 256 * (width == 2)
    size, last = 0, False
    while not last and at + 3 <= len(packed):
        header = int.from_bytes(packed[at : at + 3], "little")
        last, kind, length = bool(header & 1), header >> 1 & 3, header >> 3
        size += length if kind < 2 else _ZSTD_BLOCK
        at += 3 + (1 if kind == 1 else length)
    return size


_CLAIMS: Mapping[str, Callable[[bytes], int]] = {
    "blosc": lambda packed: int.from_bytes(packed[4:8], "little"),
    "lz4": lambda packed: int.from_bytes(packed[:4], "little"),
    PACKBITS: _packbits,
    "zstd": _zstd,
}
