"""Settings of glibc's malloc for the memory pattern of networks.

glibc returns large blocks to the system as soon as they are freed, and must get every page
again, zeroed, a moment later. A training step frees and allocates hundreds of megabytes,
so this takes a quarter of its time (`docs/performance.md`, "Freed memory").

Pages that are new to the process are cheaper in huge pages of two megabytes, which torch
requests if an environment variable is set before its first allocation.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Options of ``mallopt`` (malloc.h)."""
_KEPT = 2**31 - 1
"""Free bytes that glibc keeps while a network computes."""
_BLOCK = 2**29
"""Size of the largest block that glibc keeps while a network computes."""
_USUAL = 2**25
"""Size of the largest block that glibc keeps otherwise."""

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages

_lock = threading.Lock()
_inside = 0


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep freed memory in this context, and return it to the system at the end.

    Applies to the whole process. It may be nested and used from several threads; the end
    of the last context returns the memory. Without glibc it has no effect.
    """
    global _inside
    libc = _glibc()
    if libc is None:
        yield
        return
    with _lock:
        _inside += 1
        libc.mallopt(_MMAP_THRESHOLD, _BLOCK)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                libc.mallopt(_MMAP_THRESHOLD, _USUAL)
                libc.mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
                libc.malloc_trim(0)


@functools.cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    known = hasattr(libc, "gnu_get_libc_version") and hasattr(libc, "malloc_trim")
    return libc if known else None
