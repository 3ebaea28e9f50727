"""Which patches hold structure rather than background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.config import BackgroundConfig
    from napari_hush.dataset.patch_plan import Windows

_BINS = 256


def entropy(patch: NDArray[Any]) -> float:
    """Shannon entropy in bits of the patch's intensities, in 256 equal bins (0 to 8)."""
    counts, _ = np.histogram(patch, _BINS)
    shares = counts[counts > 0] / patch.size
    return float(-(shares * np.log2(shares)).sum())


MEASURES: dict[str, Callable[[NDArray[Any]], float]] = {
    "mean": lambda patch: float(patch.mean(dtype=np.float64)),
    "std": lambda patch: float(patch.std(dtype=np.float64)),
    "entropy": entropy,
}


def foreground(
    units: Sequence[Any],
    windows: Windows,
    patch_size: tuple[int, ...],
    config: BackgroundConfig,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which windows to keep: those above the threshold, and a share of the others.

    Only channel 0 of the `units` ``(C, (Z), Y, X)`` counts.
    """
    measure = MEASURES[config.measure]
    scores = np.array([measure(p[0]) for p in _patches(units, windows, patch_size)])
    return (scores >= config.threshold) | (rng.random(len(windows)) < config.kept)


def marked(
    masks: Sequence[Any],
    windows: Windows,
    patch_size: tuple[int, ...],
    kept: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which windows to keep: those with a pixel in the mask, and a share of the others.

    `masks` are ``(C, (Z), Y, X)`` each, of the sizes of the units; `kept` is the share of
    windows outside the mask that are kept, 0 to 1.
    """
    inside = np.array([bool(p.any()) for p in _patches(masks, windows, patch_size)])
    return inside | (rng.random(len(windows)) < kept)


def _patches(units: Sequence[Any], windows: Windows, patch_size: tuple[int, ...]) -> Any:
    for unit, *corner in windows.tolist():
        pixels = units[unit]
        region = [slice(c, c + p) for c, p in zip(corner, patch_size, strict=True)]
        yield pixels[(slice(0, pixels.shape[0]), *region)]
