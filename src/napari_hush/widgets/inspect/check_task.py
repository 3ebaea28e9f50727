"""The check of the data before training, as a task and in words. No Qt here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.config.methods import method_of
from napari_hush.errors import DataError

if TYPE_CHECKING:
    from napari_hush.config import Configuration, N2VManipulateConfig
    from napari_hush.events import OnProgress
    from napari_hush.io import Image
    from napari_hush.quality import DataReport
    from napari_hush.widgets.jobs.tasks import StopRequest

PATCHES = 2
"""Patches in the preview."""
MOST_PIXELS = 2**20
"""Pixels to measure; more take longer and rarely change the advice."""
MOST = 0.5
"""Share of the noise that training must not keep: it would seem to do nothing."""
_ALONG = {"horizontal": "X", "vertical": "Y"}


@dataclass(frozen=True, eq=False)
class Patch:
    """A training patch, or its middle plane."""

    pixels: NDArray[np.float32]
    """``(Y, X)``, intensities of the image."""
    masked: NDArray[np.bool_]
    """``(Y, X)``, True where training masks a pixel."""


@dataclass(frozen=True, eq=False)
class DataCheckResult:
    """A report on the data, and a few patches if they were asked for."""

    report: DataReport | None
    """None if there is a `problem`."""
    patches: tuple[Patch, ...] = ()
    problem: str = ""
    """Why the noise cannot be measured."""
    unusable: bool = False
    """Whether no training on the whole image can work, as it is constant or not finite."""


@dataclass(frozen=True, eq=False)
class DataCheck:
    """Checks the noise of a layer, and cuts a few patches; returns `DataCheckResult`."""

    source: Any
    """Array, on disk or in memory."""
    axes: str
    """Of `source`, for the engine."""
    name: str
    configuration: Configuration | None = None
    """Settings to cut patches with; None for no patches, which need torch."""
    known: DataReport | None = None
    """The report on `source`, if it was made before."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> DataCheckResult:
        from napari_hush.io import Image
        from napari_hush.quality import check_data

        image = Image.from_array(self.source, self.axes, f"“{self.name}”")
        try:
            found = self.known or check_data(image, most_pixels=MOST_PIXELS)
        except DataError as error:
            size = math.prod(self.source.shape)
            is_read = isinstance(self.source, np.ndarray) or size <= MOST_PIXELS
            unusable = is_read and _is_unusable(image)
            return DataCheckResult(None, problem=str(error), unusable=unusable)
        if self.configuration is None:
            return DataCheckResult(found)
        return DataCheckResult(found, _patches(image, self.configuration))

    def __str__(self) -> str:
        return f"check of “{self.name}”"


def _is_unusable(image: Image) -> bool:
    """Whether a channel is constant or has pixels that are not finite."""
    ranges = [
        [(channel.min(), channel.max()) for channel in np.asarray(sample)]
        for sample in image.samples
    ]
    lows, highs = np.moveaxis(np.asarray(ranges, np.float64), 2, 0)
    low, high = lows.min(0), highs.max(0)
    return not (np.isfinite(low) & np.isfinite(high) & (low < high)).all()


def noise_line(report: DataReport) -> tuple[str, str]:
    """The noise in one line, and its kind: ``"plain"``, ``"problem"`` or ``"failed"``."""
    advice = report.advice
    if advice.method == "none":
        return (
            "✗ Noise is correlated in all directions: N2N fits, N2V does not",
            "failed",
        )
    if advice.method == "structn2v":
        along = _ALONG.get(advice.axis, "X and Y")
        return f"▲ Noise is correlated along {along}: structN2V fits", "problem"
    if advice.method == "n2v2":
        return "✓ Independent noise with hot pixels: N2V2 fits", "plain"
    return "✓ Independent noise: N2V fits", "plain"


def why_training_cannot_work(
    report: DataReport | None, configuration: Configuration
) -> str:
    """Why training would keep most of the noise, in a sentence; empty if it can work.

    Training with targets can always work; without a `report`, nothing is known.
    """
    algorithm = configuration.algorithm_config
    if report is None or algorithm.needs_targets:
        return ""
    label = method_of(configuration).label
    if report.advice.method == "none":
        return (
            f"The noise is correlated in all directions, so {label} would keep it; train "
            "on pairs of images (N2N), or on raw images that were not smoothed or enlarged."
        )
    letter, share = _kept(report, algorithm.n2v_config)
    if share < MOST:
        return ""
    advice = report.advice
    return (
        f"The noise is correlated along {letter}, so {label} with these settings would "
        f"keep {share:.0%} of it; use structN2V with axis {advice.axis} and span "
        f"{advice.span}."
    )


def _kept(report: DataReport, masking: N2VManipulateConfig) -> tuple[str, float]:
    """The axis along which `masking` leaves most of the noise predictable, and how much."""
    from napari_hush.quality.advice import leak

    hidden = set(masking.hidden(3) if masking.hides_neighbours else ())
    found = []
    for letter, step in (("X", (0, 0, 1)), ("Y", (0, 1, 0))):
        half = 0
        while tuple((half + 1) * n for n in step) in hidden:
            half += 1
        profiles = [getattr(one.noise, letter.lower()) for one in report.channels]
        found.append((letter, max(leak(profile, half) for profile in profiles)))
    return max(found, key=lambda one: one[1])


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
