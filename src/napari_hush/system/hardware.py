"""The device and its memory, in words."""

from __future__ import annotations

import os
import sys

import psutil

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
