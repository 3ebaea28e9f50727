"""Decoded chunks kept in memory, so that neighbours are not decoded again."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

CACHE_BYTES = 256 * 2**20
"""Bytes of decoded pixels that one process keeps."""


class ChunkCache:
    """The chunks used last, up to so many bytes; safe to share between threads.

    Parameters
    ----------
    limit : int
        Bytes that the kept chunks may take together.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self._chunks: OrderedDict[Hashable, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes that the kept chunks take."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._chunks)

    def get(self, key: Hashable, load: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Give the chunk of that key, from memory or else by `load`.

        Two threads that miss the same chunk at once both load it. The array is shared and
        therefore read-only.
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
        """Forget all chunks."""
        with self._lock:
            self._chunks.clear()
            self._bytes = 0

    def start_afresh(self) -> None:
        """Become as new, in a process that was just forked.

        A lock that another thread held during the fork would stay locked for ever.
        """
        self._lock = threading.Lock()
        self._chunks = OrderedDict()
        self._bytes = 0


chunk_cache = ChunkCache()
"""The one cache of this process."""

if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=chunk_cache.start_afresh)
