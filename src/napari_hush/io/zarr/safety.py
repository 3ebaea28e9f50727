"""Zarr arrays from others: no links out of the store, no chunks beyond their size."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec
from zarr.codecs._v2 import V2Codec
from zarr.storage import LocalStore

from napari_hush.io.bounded import SLACK, unpacked
from napari_hush.io.contents import check_inside
from napari_hush.system.memory import require_memory

_LARGE = 2**28
"""Bytes of a chunk above which there must be enough free memory for it."""


class InnerStore(LocalStore):
    """A store in a folder; links that lead out of it are refused."""

    async def get(self, key: str, *how: Any, **more: Any) -> Any:
        """The bytes of a key."""
        check_inside(os.path.join(self.root, key), self.root)
        return await super().get(key, *how, **more)


def bound_codecs(array: Any) -> None:
    """Make an array that was opened for reading raise a ValueError for larger chunks."""
    found = array.async_array
    pipeline = found.codec_pipeline
    size = _bytes(array.chunks, array.dtype)
    codecs = [_bounded(codec, size, array.dtype) for codec in pipeline]
    # The array is a frozen dataclass, and nobody else has it.
    object.__setattr__(found, "codec_pipeline", pipeline.from_codecs(codecs))


def _bytes(shape: Sequence[int], dtype: Any) -> int:
    return math.prod(shape) * int(dtype.itemsize) + SLACK


def _bounded(codec: Any, limit: int, dtype: Any) -> Any:
    if isinstance(codec, V2Codec):
        filters: Any = tuple(_Filter(each, limit) for each in codec.filters or ()) or None
        compressor: Any = codec.compressor and _Filter(codec.compressor, limit)
        return replace(codec, filters=filters, compressor=compressor)
    if isinstance(codec, ShardingCodec):
        size = _bytes(codec.chunk_shape, dtype)
        codecs = tuple(_bounded(each, size, dtype) for each in codec.codecs)
        return replace(codec, codecs=codecs)
    return _Bounded(codec, limit) if isinstance(codec, BytesBytesCodec) else codec


def _decoded(codec: Mapping[str, Any], packed: Any, limit: int) -> bytes | None:
    if limit > _LARGE:
        require_memory(limit, "A chunk of the Zarr array", "save it with smaller chunks")
    return unpacked(codec, packed, limit)


@dataclass(frozen=True)
class _Filter:
    """A codec of numcodecs, in arrays of version 2."""

    codec: Any
    limit: int

    def decode(self, packed: Any) -> Any:
        plain = _decoded(self.codec.get_config(), packed, self.limit)
        return self.codec.decode(packed) if plain is None else plain


@dataclass(frozen=True)
class _Bounded(BytesBytesCodec):
    """A codec of arrays of version 3."""

    codec: Any
    limit: int
    is_fixed_size = False

    def to_dict(self) -> Any:
        return self.codec.to_dict()

    def evolve_from_array_spec(self, array_spec: Any) -> _Bounded:
        return replace(self, codec=self.codec.evolve_from_array_spec(array_spec))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        named = self.codec.to_dict()
        known = {**(named.get("configuration") or {})}
        known["id"] = str(named["name"]).removeprefix("numcodecs.")
        packed = chunk_bytes.to_bytes()
        plain = await asyncio.to_thread(_decoded, known, packed, self.limit)
        if plain is not None:
            return chunk_spec.prototype.buffer.from_bytes(plain)
        (found,) = await self.codec.decode([(chunk_bytes, chunk_spec)])
        return found
