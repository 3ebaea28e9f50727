"""Device, precision and memory of a computation."""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from napari_hush.errors import ConfigurationError
from napari_hush.system.job_env import local_rank

_log = logging.getLogger(__name__)

Precision = Literal["32", "bf16"]


def choose_device(wish: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"`` into a device.

    Raises ConfigurationError if the machine does not have it.
    """
    _do_without_lost_threads()
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", _own_gpu())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wish)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = _own_gpu() if device.index is None else device.index
        if index >= count:
            raise ConfigurationError(
                f"The device is {wish!r} but torch sees {count} NVIDIA GPUs; "
                "use 'auto' or 'cpu', or install a torch built for your GPU."
            )
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError(
            "The device is 'mps' but torch sees no Apple GPU; use 'auto' or 'cpu'."
        )
    return device


_computed = False
_threads_lost = False


def _note_fork() -> None:
    global _threads_lost
    _threads_lost = _computed


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


def _do_without_lost_threads() -> None:
    """Compute with one thread after a fork: OpenMP would wait for those of the parent."""
    global _computed, _threads_lost
    if _threads_lost and torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        _log.warning(
            "This process was forked from one that had computed, so it computes with one "
            "thread, and results may differ by rounding; start it with the method 'spawn' "
            "to use all threads."
        )
    _computed, _threads_lost = True, False


def _own_gpu() -> int:
    """GPU of this process, one of several on this machine."""
    return local_rank() % max(1, torch.cuda.device_count())


def choose_precision(
    wish: Literal["auto", "32", "bf16"], device: torch.device
) -> Precision:
    """Choose bfloat16 for ``"auto"`` where it is faster than float32.

    These are NVIDIA GPUs from Ampere on, CPUs with AMX, and AMD's with AVX512-BF16. The
    choice depends on the hardware alone, so the same call gives the same bits.
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = device.type == "cpu" and _cpu_gains_from_bfloat16()
    return "bf16" if native else "32"


_FAST_BFLOAT16 = ({"amx_bf16"}, {"avx512_bf16", "sse4a"})
"""Instructions of CPUs on which bfloat16 is faster; SSE4a is on AMD's alone.

Convolutions with AVX512-BF16 take half the time of float32 on an AMD EPYC, and twice the
time on a Xeon without AMX. Without any of them bfloat16 is emulated, ten times slower.
"""


def _cpu_gains_from_bfloat16() -> bool:
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is None:  # torch before 2.11
        return False
    has = {name for name, value in get_capabilities().items() if value}
    return any(needed <= has for needed in _FAST_BFLOAT16)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, on any device."""
    # MPS and CPUs raise a plain RuntimeError.
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)
    )


# glibc returns large blocks to the system as soon as they are freed, and must get every
# page again, zeroed, a moment later. A training step frees and allocates hundreds of
# megabytes, so this takes a quarter of its time (docs/dev/performance.md, "Freed memory").
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Options of ``mallopt`` (malloc.h)."""
_KEPT = 2**31 - 1
"""Free bytes that glibc keeps while a network computes."""
_BLOCK = 2**29
"""Size of the largest block that glibc keeps while a network computes."""
_USUAL = 2**25
"""Size of the largest block that glibc keeps otherwise."""

# New pages are cheaper in huge pages, which torch requests if this is set before its first
# allocation.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

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
