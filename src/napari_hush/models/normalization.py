"""Scaling of intensities for the network, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_hush.errors import DataError

EPSILON = 1e-6
"""Added to standard deviations, so that no division is by zero."""


@dataclass(frozen=True)
class Normalization:
    """Scaling per channel: ``(x - mean) / (std + 1e-6)``, in intensities of the source.

    For other scalings, `means` are the intensities that become 0, and `stds` their
    distances to those that become 1.
    """

    means: tuple[float, ...]
    stds: tuple[float, ...]

    @property
    def scales(self) -> tuple[float, ...]:
        """Divisors of the scaling, one per channel."""
        return tuple(std + EPSILON for std in self.stds)

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Scale intensities ``(B, C, *spatial)`` for the network, float32."""
        mean, scale = self._constants(batch)
        return ((batch - mean) / scale).float()

    def normalize_array(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """`normalize` a float array, which is overwritten."""
        self._check(batch.shape[1])
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        batch -= np.array(self.means, batch.dtype).reshape(shape)
        batch *= np.array(1 / (np.array(self.stds) + EPSILON), batch.dtype).reshape(shape)
        return batch.astype(np.float32, copy=False)

    def denormalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Inverse of `normalize`: intensities, float32."""
        mean, scale = self._constants(batch)
        return (batch * scale + mean).float()

    def _constants(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._check(batch.shape[1])
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        constants = torch.tensor((self.means, self.stds), dtype=torch.float64).to(batch)
        return constants[0].reshape(shape), constants[1].reshape(shape) + EPSILON

    def _check(self, channels: int) -> None:
        if channels != len(self.means):
            raise DataError(
                f"The image has {channels} channels but the statistics are of "
                f"{len(self.means)}; give images of {len(self.means)} channels."
            )


def exact_float(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """The narrowest float that holds every value of `dtype` (64 bit integers nearly)."""
    exact = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.float32 if exact else np.float64
