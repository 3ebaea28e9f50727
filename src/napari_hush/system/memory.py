"""Free memory, errors for what does not fit, and the device in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from napari_hush.errors import HushError, OutOfMemoryError


def free_memory() -> int:
    """Bytes of available memory."""
    return int(psutil.virtual_memory().available)


def require_memory(needed: int, what: str, advice: str) -> None:
    """Raise an OutOfMemoryError if fewer than `needed` bytes are available.

    `what` begins the message, `advice` ends it.
    """
    if needed > (free := free_memory()):
        raise OutOfMemoryError(
            f"{what} would take {format_bytes(needed)} of memory and {format_bytes(free)} "
            f"are free; {advice}."
        )


@contextmanager
def explain_memory_error(job: str) -> Iterator[None]:
    """Turn a MemoryError during a `job` into an OutOfMemoryError with advice."""
    try:
        yield
    except MemoryError as error:
        if isinstance(error, HushError):
            raise
        raise OutOfMemoryError(
            f"Memory ran out during {job}, with {format_bytes(free_memory())} free now; "
            "close other programs, or use smaller images, tiles or batches."
        ) from error


def format_bytes(count: float) -> str:
    """Bytes as text, ``"1.5 GB"``."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"


GIB = 1024**3


def describe_machine(device: str) -> str:
    """``"CPU, 2 cores · 3.1 of 16 GB in use"``, or the name and memory of a GPU.

    Neither imports torch nor initializes a GPU.
    """
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None and torch.cuda.is_initialized():
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return f"{name} · {(total - free) / GIB:.1f} of {total / GIB:.0f} GB"
    memory = psutil.virtual_memory()
    used, total = (memory.total - memory.available) / GIB, memory.total / GIB
    cores = os.cpu_count() or 1
    place = "Apple GPU" if device.startswith("mps") else f"CPU, {cores} cores"
    return f"{place} · {used:.1f} of {total:.0f} GB in use"
