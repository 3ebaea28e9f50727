"""The check of the data before training, as a task. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.config import Configuration
    from napari_hush.events import OnProgress
    from napari_hush.quality import DataReport
    from napari_hush.widgets.jobs.tasks import StopRequest

PATCHES = 2
"""Patches in the preview."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A training patch, or its middle plane."""

    pixels: NDArray[np.float32]
    """``(Y, X)``, intensities of the image."""
    masked: NDArray[np.bool_]
    """``(Y, X)``, True where training masks a pixel."""


@dataclass(frozen=True, eq=False)
class DataCheckResult:
    """A report on the data, and a few patches."""

    report: DataReport
    patches: tuple[Patch, ...]


@dataclass(frozen=True, eq=False)
class DataCheck:
    """Checks the noise of a layer and cuts a few patches; returns `DataCheckResult`."""

    source: Any
    """Array, on disk or in memory."""
    configuration: Configuration
    name: str

    def __call__(self, report: OnProgress, stop: StopRequest) -> DataCheckResult:
        from napari_hush.io import Image
        from napari_hush.quality import check_data

        axes = self.configuration.data_config.axes
        image = Image.from_array(self.source, axes, f"“{self.name}”")
        return DataCheckResult(check_data(image), _patches(image, self.configuration))

    def __str__(self) -> str:
        return f"check of “{self.name}”"


def _patches(image: Any, configuration: Configuration) -> tuple[Patch, ...]:
    import torch

    from napari_hush.n2v import mask

    data, algorithm = configuration.data_config, configuration.algorithm_config
    rng = np.random.default_rng(data.seed)
    samples = image.samples
    cut = []
    for _ in range(PATCHES):
        sample = samples[int(rng.integers(len(samples)))]
        window = []
        for patch, n in zip(data.patch_size, sample.shape[1:], strict=True):
            size = min(patch, n)
            corner = int(rng.integers(n - size + 1))
            window.append(slice(corner, corner + size))
        cut.append(np.asarray(sample[(slice(0, 1), *window)], np.float32))
    batch = torch.from_numpy(np.stack(cut))
    hidden = np.zeros(batch.shape, bool)
    if not algorithm.needs_targets:
        generator = torch.Generator().manual_seed(data.seed)
        masked = mask(batch, algorithm.n2v_config, generator)
        hidden = (masked.patches != batch).numpy()
        flat = hidden.reshape(len(batch), -1)
        for row, pixels in zip(flat, masked.pixels.numpy(), strict=True):
            row[pixels] = True  # also where the new value equals the old one
    plane = batch.shape[2] // 2  # of volumes
    return tuple(
        Patch(pixels[0], spots[0])
        if pixels.ndim == 3
        else Patch(pixels[0, plane], spots[0, plane])
        for pixels, spots in zip(batch.numpy(), hidden, strict=True)
    )
