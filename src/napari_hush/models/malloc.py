"""Memory that a network frees is kept for its next step, where the C library allows it.

glibc gives large blocks back to the system as soon as they are freed, and gets every page
of them back, zeroed, a moment later. A training step frees and takes hundreds of megabytes,
so that this costs a quarter of its time (`docs/performance.md`, "Freed memory").

The first time pages must come from the system all the same. Linux hands them out two
megabytes at once where it is asked to; torch does so if a variable says so before it takes
its first memory. Where somebody has set it, or torch was at work before, it stays so.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What ``mallopt`` calls them (malloc.h)."""
_KEPT = 2**31 - 1
"""Bytes that may lie free before any are given back, while a network computes."""
_BLOCK = 2**29
"""Bytes of the largest block that is kept, while a network computes."""
_USUAL = 2**25
"""Bytes up to which glibc keeps blocks once a program has freed one of that size."""

_LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"
"""What torch calls asking for large pages."""

os.environ.setdefault(_LARGE_PAGES, "1")

_lock = threading.Lock()
_inside = 0


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Keep what is freed inside; give it back to the system at the end.

    Holds for the whole process and may be entered several times, from any thread; the last
    one to leave gives the memory back. Does nothing where the C library is not glibc.
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
