"""What memory there is, and refusing what would not fit before it is taken."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from napari_hush.errors import HushError, OutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterator


def free_memory() -> int:
    """Bytes of memory that can be taken now."""
    return int(psutil.virtual_memory().available)


def require_memory(needed: int, what: str, advice: str) -> None:
    """Refuse what takes more memory than there is.

    Parameters
    ----------
    needed : int
        Bytes.
    what : str
        What takes them, as the start of a sentence.
    advice : str
        What to do instead, as the end of one.

    Raises
    ------
    OutOfMemoryError
        If there is less.
    """
    if needed > (free := free_memory()):
        raise OutOfMemoryError(
            f"{what} would take {format_bytes(needed)} of memory and {format_bytes(free)} "
            f"are free; {advice}."
        )


@contextmanager
def explain_memory_error(job: str) -> Iterator[None]:
    """Turn memory that runs out in the middle of a `job` into a sentence.

    Raises
    ------
    OutOfMemoryError
        In place of a MemoryError.
    """
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
    """So many bytes, for people: ``"1.5 GB"``."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} PB"
