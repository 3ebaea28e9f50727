"""The few steps of masking that torch would share out among its threads.

On a CPU they are done by numpy in the thread at hand: waiting for other threads, which
may be busy elsewhere, takes far longer than such a step, and numpy's sorting of many short
rows is some ten times faster as well.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def copied(flat: Tensor) -> Tensor:
    """A copy of float32 `flat`."""
    if flat.device.type == "cpu":
        return torch.from_numpy(flat.numpy().copy())
    return flat.clone()


def looked_up(table: Tensor, rows: Tensor) -> Tensor:
    """``table[rows]``."""
    if table.device.type == "cpu":
        return torch.from_numpy(table.numpy().take(rows.numpy(), axis=0))
    return table[rows]


def limits(flat: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest value of each row of ``(n, P)``, both ``(n, 1)``."""
    if flat.device.type == "cpu":
        rows = flat.numpy()
        low, high = rows.min(1, keepdims=True), rows.max(1, keepdims=True)
        return torch.from_numpy(low), torch.from_numpy(high)
    return flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)


def windows_sorted(flat: Tensor, first: Tensor, steps: Tensor, left_out: Tensor) -> Tensor:
    """The values in windows in rising order, those left out at the end.

    Parameters
    ----------
    flat : Tensor
        ``(n, P)`` float32.
    first : Tensor
        ``(n, K)`` int64: the first pixel of each window.
    steps : Tensor
        ``(N,)`` int64: how far the window's pixels are from its first.
    left_out : Tensor
        ``(n, K, M)`` int64: which places of its window are left out.

    Returns
    -------
    Tensor
        ``(n, K, N)`` float32, infinite where values were left out.
    """
    if flat.device.type == "cpu":
        rows = np.arange(len(flat))[:, None] * flat.shape[1]
        pixels = (first.numpy() + rows)[..., None] + steps.numpy()
        values = flat.numpy().ravel().take(pixels)
        np.put_along_axis(values, left_out.numpy(), np.inf, -1)
        values.sort(-1)
        return torch.from_numpy(values)
    pixels = first[..., None] + steps
    values = flat.gather(1, pixels.flatten(1)).reshape(pixels.shape)
    values.scatter_(-1, left_out, torch.inf)
    return values.sort(-1).values
