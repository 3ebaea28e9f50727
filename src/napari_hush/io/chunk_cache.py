"""A cache of decoded chunks, so that neighboring reads do not decode them again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE_BYTES = 256 * 2**20
"""Bytes of decoded pixels in the cache of a process."""


class ChunkCache:
    """The chunks used last, at most `limit` bytes together; thread-safe."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self._chunks: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of all cached chunks."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._chunks)

    def get(self, key: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the chunk of `key`, from memory or else by `load`; it is read-only.

        Two threads that miss the same chunk at once both load it.
        """
        with self._lock:
            if (chunk := self._chunks.get(key)) is not None:
                self._chunks.move_to_end(key)
                return chunk
        chunk = np.asarray(load())
        chunk.setflags(write=False)
        with self._lock:
            if chunk.nbytes <= self.limit and key not in self._chunks:
                self._chunks[key] = chunk
                self._bytes += chunk.nbytes
                while self._bytes > self.limit:
                    self._bytes -= self._chunks.popitem(last=False)[1].nbytes
        return chunk

    def clear(self) -> None:
        """Remove all chunks."""
        with self._lock:
            self._chunks.clear()
            self._bytes = 0

    def start_afresh(self) -> None:
        """Reset after a fork: a lock held by another thread would stay locked forever."""
        self._lock = threading.Lock()
        self._chunks = OrderedDict()
        self._bytes = 0


chunk_cache = ChunkCache()
"""The cache of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=chunk_cache.start_afresh)
