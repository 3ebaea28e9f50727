"""Where to compute, and how precisely."""

from __future__ import annotations

from typing import Literal

import torch

from napari_hush.errors import ConfigurationError

Precision = Literal["32", "bf16"]


def choose_device(wish: str) -> torch.device:
    """Turn ``"auto"``, ``"cpu"``, ``"mps"``, ``"cuda"`` or ``"cuda:1"`` into a device.

    Raises
    ------
    ConfigurationError
        If the machine does not have it.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wish)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
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


def choose_precision(
    wish: Literal["auto", "32", "bf16"], device: torch.device
) -> Precision:
    """Decide on bfloat16 where the hardware multiplies it faster than float32.

    These are NVIDIA GPUs from Ampere on and CPUs with AMX or AVX512-BF16; elsewhere
    bfloat16 is emulated, up to ten times slower.
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        native = device.type == "cpu" and _cpu_multiplies_bfloat16()
    return "bf16" if native else "32"


def _cpu_multiplies_bfloat16() -> bool:
    ask = getattr(torch.cpu, "get_capabilities", None)
    if ask is None:  # torch before 2.11 has no public way to ask
        return False
    has = ask()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))
