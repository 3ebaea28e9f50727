"""Scaling of intensities for the network, and back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_hush.errors import DataError, counted

FORMER_EPSILON = 1e-6
"""Added to standard deviations by version 0.1, and by CAREamics."""


@dataclass(frozen=True)
class Normalization:
    """Scaling per channel: ``(x - mean) / (std + epsilon)``, in intensities of the source.

    For other scalings, `means` are the intensities that become 0, and `stds` their
    distances to those that become 1.
    """

    means: tuple[float, ...]
    stds: tuple[float, ...]
    epsilon: float = 0.0
    """0, so that results do not depend on the unit; 1e-6 in models of version 0.1."""

    @property
    def scales(self) -> tuple[float, ...]:
        """Divisors of the scaling, one per channel."""
        return tuple(std + self.epsilon for std in self.stds)

    def as_json(self) -> str:
        """JSON for files and hashes, which are without `epsilon` as in version 0.1."""
        values = asdict(self)
        if self.epsilon == FORMER_EPSILON:
            del values["epsilon"]
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str, channels: int) -> Normalization:
        """Parse the result of `as_json`; ValueError if it is not of so many `channels`."""
        found = json.loads(text)
        means, stds = (tuple(map(float, found[name])) for name in ("means", "stds"))
        epsilon = float(found.get("epsilon", FORMER_EPSILON))
        finite = np.isfinite([*means, *stds, epsilon]).all()
        if not len(means) == len(stds) == channels or not finite:
            raise ValueError(f"the statistics are not those of {channels} channels")
        return cls(means, stds, epsilon)

    def for_frames(self, frames: int) -> Normalization:
        """The same for inputs with so many `frames` of each channel."""
        if frames == 1:
            return self
        means, stds = (
            tuple(value for value in values for _ in range(frames))
            for values in (self.means, self.stds)
        )
        return Normalization(means, stds, self.epsilon)

    def normalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Scale intensities ``(B, C, *spatial)`` for the network, float32."""
        mean, scale = self._constants(batch)
        return ((batch - mean) / scale).float()

    def normalize_array(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """`normalize` a float array, which is overwritten."""
        self._check(batch.shape[1])
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        batch -= np.array(self.means, batch.dtype).reshape(shape)
        batch *= np.array(1 / np.array(self.scales), batch.dtype).reshape(shape)
        return batch.astype(np.float32, copy=False)

    def denormalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Inverse of `normalize`: intensities, in the dtype of `batch`."""
        mean, scale = self._constants(batch)
        return batch * scale + mean

    def _constants(self, batch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self._check(batch.shape[1])
        shape = (1, -1) + (1,) * (batch.ndim - 2)
        constants = torch.tensor((self.means, self.stds), dtype=torch.float64).to(batch)
        return constants[0].reshape(shape), constants[1].reshape(shape) + self.epsilon

    def _check(self, channels: int) -> None:
        if channels != len(self.means):
            raise DataError(
                f"The image has {counted(channels, 'channel')} but the statistics are of "
                f"{len(self.means)}; give images with {len(self.means)}."
            )


def exact_float(dtype: np.dtype[Any]) -> type[np.float32 | np.float64]:
    """The narrowest float that holds every value of `dtype` (64 bit integers nearly)."""
    exact = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.float32 if exact else np.float64
