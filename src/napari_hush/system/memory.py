"""Free memory, errors for what does not fit, and the device in words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

from napari_hush.errors import HushError, OutOfMemoryError

ROOT = Path("/")
"""Where the system's files about cgroups are."""


def free_memory() -> int:
    """Bytes of available memory, of the machine and of each cgroup of this process.

    Containers, SLURM and systemd limit memory by cgroups.
    """
    free = [int(psutil.virtual_memory().available)]
    return max(0, min(free + [limit - used for limit, used in _cgroups()]))


@cache
def total_memory() -> int:
    """Bytes of memory that this process may use at most, as at the first call."""
    limits = [limit for limit, _ in _cgroups()]
    return min([int(psutil.virtual_memory().total), *limits])


_LIMITS = {
    "memory.max": ("memory.current", "inactive_file"),
    "memory.high": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}
"""Files of a limit, of the memory in use, and its cached part that is freed on demand.

The first two are of version 2, where the word "max" is no limit, the last is of version 1.
"""


def _cgroups() -> Iterator[tuple[int, int]]:
    """Limit and use in bytes of the cgroups of this process and all around them."""
    base = ROOT / "sys/fs/cgroup"
    folders = {base, base / "memory"}  # in a container, its own
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            mount = base / "memory" if controllers else base
            inner = mount / path.strip("/")
            folders |= {inner, *inner.parents} if ".." not in inner.parts else set()
    for folder in folders:
        for name, (usage, cached) in _LIMITS.items():
            if (limit := _text(folder / name).strip()).isdecimal():
                used = int(_text(folder / usage).strip() or 0)
                stat = _text(folder / "memory.stat").split()
                freed = dict(zip(stat[::2], stat[1::2], strict=False)).get(cached, 0)
                yield int(limit), max(0, used - int(freed))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def require_memory(needed: int, what: str, advice: str) -> None:
    """Raise an OutOfMemoryError if fewer than `needed` bytes are available.

    `what` begins the message, `advice` ends it.
    """
    if needed > (free := free_memory()):
        raise OutOfMemoryError(
            f"{what} would take {format_bytes(needed)} of memory but only "
            f"{format_bytes(free)} are free; {advice}."
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
    total = total_memory() / GIB
    used = total - min(total, free_memory() / GIB)
    cores = os.cpu_count() or 1
    place = "Apple GPU" if device.startswith("mps") else f"CPU, {cores} cores"
    return f"{place} · {used:.1f} of {total:.0f} GB in use"
