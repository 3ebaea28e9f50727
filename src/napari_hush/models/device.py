"""Device and precision of a computation."""

from __future__ import annotations

import functools
import math
import time
from typing import Literal

import torch
from torch.nn import functional

from napari_hush.errors import ConfigurationError
from napari_hush.system.job_env import local_rank

Precision = Literal["32", "bf16"]


def choose_device(wish: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"`` into a device.

    Raises ConfigurationError if the machine does not have it.
    """
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
                f"The device {wish!r} was asked for but torch sees {count} NVIDIA GPUs; "
                "use 'auto' or 'cpu', or install a torch built for your GPU."
            )
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigurationError(
            "The device 'mps' was asked for but torch sees no Apple GPU; use 'auto' or "
            "'cpu'."
        )
    return device


def _own_gpu() -> int:
    """GPU of this process, one of several on this machine."""
    return local_rank() % max(1, torch.cuda.device_count())


def choose_precision(
    wish: Literal["auto", "32", "bf16"], device: torch.device
) -> Precision:
    """Choose bfloat16 for ``"auto"`` where it is faster than float32.

    These are NVIDIA GPUs from Ampere on, CPUs with AMX, and CPUs with AVX512-BF16 on which
    a convolution is measured to be faster: it takes from half to twice as long as in
    float32. Elsewhere bfloat16 is emulated, up to ten times slower.
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = device.type == "cpu" and _cpu_gains_from_bfloat16()
    return "bf16" if native else "32"


_MIN_SPEED_UP = 1.2
"""Least speed-up that is worth the rounding of bfloat16."""


@functools.cache
def _cpu_gains_from_bfloat16() -> bool:
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is None:  # torch before 2.11
        return False
    has = get_capabilities()
    if has.get("amx_bf16"):
        return True
    return bool(has.get("avx512_bf16")) and _speed_of_bfloat16() >= _MIN_SPEED_UP


def _speed_of_bfloat16(turns: int = 5) -> float:
    """Speed-up of a convolution and its gradients over float32, each best of `turns`."""
    seconds = {torch.float32: math.inf, torch.bfloat16: math.inf}
    for _ in range(turns):
        for dtype in seconds:
            x = torch.ones((4, 32, 64, 64), dtype=dtype)
            x = x.to(memory_format=torch.channels_last).requires_grad_()
            weight = torch.ones((32, 32, 3, 3), dtype=dtype, requires_grad=True)
            start = time.perf_counter()
            functional.conv2d(x, weight, padding=1).sum().backward()  # type: ignore[no-untyped-call]
            seconds[dtype] = min(seconds[dtype], time.perf_counter() - start)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` means that memory ran out, on any device."""
    # MPS and CPUs raise a plain RuntimeError.
    words = ("out of memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)
    )
