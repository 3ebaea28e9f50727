"""Whether neighboring frames of a movie are alike, and whether something moves too fast.

Structure is what neighboring pixels share, along both axes; noise of independent pixels
adds nothing to it, and noise of lines only along one. So the structure in the differences
of frames says what changed, whatever the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.io import Image

_FRAMES = 12  # consecutive frames that are read
_SIDE = 128  # of the regions that are read, in pixels
_REGIONS = 16  # of them at most
_BIN = 2  # side of the bins whose neighbors are compared, in pixels
_CERTAIN = 4.0  # standard errors from which structure is significant
_ALIKE = 0.5  # share of the structure that may change from frame to frame
_FAST = 0.4  # ... of what changes at all, from which it is too fast
_LITTLE = 0.01  # share of the structure that may change too fast without a warning


@dataclass(frozen=True)
class FrameAdvice:
    """How much the frames of a movie differ, and the recommended `time_context`."""

    time_context: int
    """Frames before and after each frame to train with; 0 for none."""
    changed: float
    """Share of the structure that differs between neighboring frames, 0 to 1."""
    too_fast: bool
    """Whether something changes faster than frames are taken."""
    reason: str
    """One sentence."""


def advise_frames(image: Image, seed: int, most_pixels: int) -> FrameAdvice | None:
    """Advice for a movie, from at most `most_pixels`; None for images of few frames.

    Of several channels the one counts that changes most.
    """
    sizes = dict(zip(image.axes.axes, image.axes.shape, strict=True))
    times = sizes.get("T", 1)
    if times < 3:
        return None
    regions = _read(image, times, seed, most_pixels)
    found = [_measured(regions[:, :, channel]) for channel in range(regions.shape[2])]
    known = [one for one in found if one is not None]
    if not known:
        reason = "There is too little structure to compare neighboring frames."
        return FrameAdvice(0, 1.0, False, reason)
    changed, fast = max(known)
    if changed > _ALIKE:
        reason = (
            f"Neighboring frames differ in {changed:.0%} of their structure, which changes "
            "faster than frames are taken; train with a time_context of 0."
        )
        return FrameAdvice(0, changed, True, reason)
    context = 2 if times >= 5 else 1
    reason = (
        f"Neighboring frames are alike ({changed:.0%} of the structure changes), so a "
        f"time_context of {context} removes more noise."
    )
    if fast > _LITTLE:
        reason += (
            " Something changes faster than frames are taken, though: compare it with the "
            "result of a time_context of 0."
        )
    return FrameAdvice(context, changed, fast > _LITTLE, reason)


def _read(image: Image, times: int, seed: int, most: int) -> NDArray[np.float64]:
    """Regions ``(n, T, C, Y, X)`` of consecutive frames; of volumes, one plane."""
    samples = image.samples
    channels, *planes, height, width = samples[0].shape
    rng = np.random.default_rng(seed)
    frames = min(times, _FRAMES)
    shape = min(height, _SIDE), min(width, _SIDE)
    number = max(1, min(most // (frames * channels * shape[0] * shape[1]), _REGIONS))
    regions = []
    for _ in range(number):
        first = int(rng.integers(len(samples) // times)) * times
        first += int(rng.integers(times - frames + 1))
        z = [slice(int(one), int(one) + 1) for one in (rng.integers(n) for n in planes)]
        y, x = (
            int(rng.integers(n - side + 1))
            for n, side in zip((height, width), shape, strict=True)
        )
        box = (slice(0, channels), *z, slice(y, y + shape[0]), slice(x, x + shape[1]))
        movie = [np.asarray(samples[first + t][box], np.float64) for t in range(frames)]
        regions.append(np.stack(movie).reshape(frames, channels, *shape))
    return np.stack(regions)


def _measured(regions: NDArray[np.float64]) -> tuple[float, float] | None:
    """Share of the structure of ``(n, T, Y, X)`` that changes, and that changes too fast.

    None if no structure is significant.
    """
    n, t, height, width = regions.shape
    height, width = height // _BIN, width // _BIN
    cut = regions[..., : height * _BIN, : width * _BIN]
    bins = cut.reshape(n, t, height, _BIN, width, _BIN).mean((3, 5))
    bins = bins - bins.mean()
    whole, error = _structure(bins)
    if not whole > _CERTAIN * error:
        return None
    next_, error = _structure(bins[:, 1:] - bins[:, :-1])
    last, _ = _structure(bins[:, t // 2 :] - bins[:, : t - t // 2])
    if next_ < _CERTAIN * error:
        return 0.0, 0.0
    changed = min(next_ / (2 * whole), 1.0)
    return changed, changed if next_ > _FAST * last else 0.0


def _structure(planes: NDArray[np.float64]) -> tuple[float, float]:
    """Covariance of neighbors, the smaller of those along Y and X, and its error."""
    along = [
        (planes[..., 1:, :] * planes[..., :-1, :]).mean((2, 3)).ravel(),
        (planes[..., 1:] * planes[..., :-1]).mean((2, 3)).ravel(),
    ]
    least: NDArray[Any] = min(along, key=np.mean)
    return float(least.mean()), float(least.std() / np.sqrt(max(least.size - 1, 1)))
