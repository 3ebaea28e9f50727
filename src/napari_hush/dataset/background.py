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
    values = patch.astype(np.float64)
    # At large offsets, bins of the values themselves may have equal borders.
    counts, _ = np.histogram(values - values.min(), _BINS)
    shares = counts[counts > 0] / patch.size
    return float(-(shares * np.log2(shares)).sum())


MEASURES: dict[str, Callable[[NDArray[Any]], float]] = {
    "mean": lambda patch: float(patch.mean(dtype=np.float64)),
    "std": lambda patch: float(patch.std(dtype=np.float64)),
    "entropy": entropy,
    "max": lambda patch: float(patch.max()),
}


def foreground(
    units: Sequence[Any],
    windows: Windows,
    patch_size: tuple[int, ...],
    config: BackgroundConfig,
    rng: np.random.Generator,
    valid: Sequence[Any] | None = None,
) -> NDArray[np.bool_]:
    """Which windows to keep: those above the threshold, and a share of the others.

    Only channel 0 of the `units` ``(C, (Z), Y, X)`` counts, and only where `valid`, of the
    same sizes, is True.
    """
    measure = MEASURES[config.measure]
    patches = (patch[0] for patch in _patches(units, windows, patch_size))
    if valid is not None:
        kept = _patches(valid, windows, patch_size)
        patches = (p[v[0]] for p, v in zip(patches, kept, strict=True))
    scores = np.array([measure(patch) if patch.size else -np.inf for patch in patches])
    return (scores >= config.threshold) | (rng.random(len(windows)) < config.kept)


def marked(
    masks: Sequence[Any],
    windows: Windows,
    patch_size: tuple[int, ...],
    kept: float,
    rng: np.random.Generator,
    valid: Sequence[Any] | None = None,
) -> NDArray[np.bool_]:
    """Which windows to keep: those with a pixel in the mask, and a share of the others.

    `masks` are ``(C, (Z), Y, X)`` each, of the sizes of the units, and so is `valid`, which
    is False at pixels that do not count; `kept` is the share of windows outside the mask
    that are kept, 0 to 1.
    """
    patches = _patches(masks, windows, patch_size)
    if valid is not None:
        kept_pixels = _patches(valid, windows, patch_size)
        patches = (p.any(0) & v.any(0) for p, v in zip(patches, kept_pixels, strict=True))
    inside = np.array([bool(patch.any()) for patch in patches], bool)
    return inside | (rng.random(len(windows)) < kept)


def touches(
    masks: Sequence[Any], windows: Windows, patch_size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Which windows have a pixel where `masks` ``(C, (Z), Y, X)`` are not zero."""
    return np.array([bool(p.any()) for p in _patches(masks, windows, patch_size)], bool)


def _patches(units: Sequence[Any], windows: Windows, patch_size: tuple[int, ...]) -> Any:
    for unit, *corner in windows.tolist():
        pixels = units[unit]
        region = [slice(c, c + p) for c, p in zip(corner, patch_size, strict=True)]
        yield pixels[(slice(0, pixels.shape[0]), *region)]
