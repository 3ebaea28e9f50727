"""Free memory, and errors for what does not fit."""

from __future__ import annotations

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
