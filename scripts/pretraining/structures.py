"""Random structures as microscopes see them, before optics and noise; 2D and 3D.

Each function takes a random generator and a shape ``(Y, X)`` or ``(Z, Y, X)`` and returns
a float64 array of that shape: the density of what emits (or lets through) light, not
negative, in no particular unit. Lengths are in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.random import Generator

Density = NDArray[np.float64]
Shape = tuple[int, ...]


def flat(rng: Generator, shape: Shape) -> Density:
    """Nothing but a level, or a slope across the image."""
    slope = rng.normal(0, rng.choice([0, 0.3]), len(shape))
    grid = np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij")
    level = 1 + sum(part * axis for part, axis in zip(slope, grid, strict=True))
    return np.maximum(np.broadcast_to(level, shape), 0.05)


def smooth(rng: Generator, shape: Shape) -> Density:
    """Light without detail: out-of-focus cells, wide glows, slopes in any direction."""
    glow = _texture(rng, shape, rng.uniform(10, 45)) ** rng.uniform(0.7, 3)
    return glow + rng.uniform(0, 2) * flat(rng, shape)


def filaments(rng: Generator, shape: Shape) -> Density:
    """Fibers such as microtubules and actin: random walks that keep their direction."""
    density = np.zeros(shape)
    count = round(rng.uniform(0.3, 1.2) * np.prod(shape) / np.mean(shape))
    for _ in range(max(3, min(count, 120))):
        path = _walk(rng, shape, rng.integers(40, 240), rng.uniform(0.01, 0.12))
        _deposit(density, path, rng.uniform(0.3, 1))
    return density


def spots(rng: Generator, shape: Shape) -> Density:
    """Points such as vesicles, transcripts and beads, of various brightness."""
    density = np.zeros(shape)
    count = int(10 ** rng.uniform(-3.5, -1.8) * np.prod(shape)) + 5
    places = tuple(rng.integers(0, size, count) for size in shape)
    np.add.at(density, places, rng.gamma(rng.uniform(0.7, 4), 1, count))
    size = rng.choice([0, rng.uniform(0.5, 2.5)])
    return ndimage.gaussian_filter(density, size) if size else density


def membranes(rng: Generator, shape: Shape) -> Density:
    """Borders of cells that touch, of uneven brightness."""
    first, second = _distances_to_seeds(rng, shape, rng.uniform(10, 45))[0].T
    wall = np.exp(-(((second - first) / rng.uniform(0.8, 3)) ** 2)).reshape(shape)
    return wall * (0.3 + _texture(rng, shape, 8))


def tissue(rng: Generator, shape: Shape) -> Density:
    """Cells that touch, each with its own level, with borders and nuclei."""
    distances, nearest = _distances_to_seeds(rng, shape, rng.uniform(14, 50))
    first, second = distances.T
    level = rng.gamma(2, 0.3, nearest.max() + 1)[nearest[:, 0]]
    wall = np.exp(-(((second - first) / rng.uniform(0.8, 2.5)) ** 2))
    nucleus = first < rng.uniform(3, 9)
    parts = rng.uniform(-0.8, 1.5, 2)
    density = np.maximum(level + parts[0] * wall + parts[1] * nucleus, 0)
    return density.reshape(shape) * (0.6 + 0.8 * _texture(rng, shape, rng.uniform(1, 5)))


def nuclei(rng: Generator, shape: Shape) -> Density:
    """Ellipsoids with chromatin-like texture."""
    density = np.zeros(shape)
    radius = rng.uniform(5, 26)
    for _ in range(rng.integers(3, max(4, int(0.5 * np.prod(np.array(shape) / radius))))):
        center = rng.uniform(0, shape)
        radii = radius * rng.uniform(0.6, 1.4, len(shape))
        paint(rng, density, center, radii, rng.uniform(0.3, 1))
        if density.max() > 0 and (density > 0).mean() > 0.5:
            break
    grain = _texture(rng, shape, rng.uniform(1, 4))
    return density * (1 + rng.uniform(0, 1.6) * (grain - 0.5)).clip(0)


def cytoplasm(rng: Generator, shape: Shape) -> Density:
    """Spread cells with a smooth, mottled inside and a dark nucleus."""
    outline = _texture(rng, shape, rng.uniform(8, 24))
    inside = ndimage.gaussian_filter((outline > rng.uniform(0.4, 0.6)).astype(float), 1)
    holes = np.zeros(shape)
    for _ in range(rng.integers(2, 14)):
        paint(rng, holes, rng.uniform(0, shape), rng.uniform(5, 16, len(shape)), 1.0)
    mottle = 0.4 + _texture(rng, shape, rng.uniform(1, 6))
    return inside * mottle * (1 - rng.uniform(0.3, 0.95) * (holes > 0))


def vessels(rng: Generator, shape: Shape) -> Density:
    """Tubes of various widths, filled or with a dark inside, as in angiography."""
    axis = np.ones(shape, bool)
    for _ in range(rng.integers(2, 9)):
        path = _walk(rng, shape, rng.integers(100, 400), rng.uniform(0.01, 0.05))
        axis[tuple(np.floor(path).astype(int).T)] = False
    if axis.all():
        return np.zeros(shape)
    distance = ndimage.distance_transform_edt(axis)
    radius = rng.uniform(1.5, 9) * (0.6 + 0.8 * _texture(rng, shape, 20))
    tube = (distance < radius).astype(float)
    if rng.random() < 0.4:
        tube -= rng.uniform(0.3, 0.9) * (distance < radius - rng.uniform(1, 3))
    return tube


def bacteria(rng: Generator, shape: Shape) -> Density:
    """Short rods, often in clusters."""
    density = np.zeros(shape)
    width, clusters = rng.uniform(1.5, 5), rng.integers(1, 8)
    centers = rng.uniform(0, shape, (clusters, len(shape)))
    for _ in range(rng.integers(10, 90)):
        center = centers[rng.integers(clusters)] + rng.normal(0, 25, len(shape))
        radii = np.full(len(shape), width)
        radii[-1] *= rng.uniform(1.5, 5)
        paint(rng, density, center, radii, rng.uniform(0.4, 1))
    return density


def fractal(rng: Generator, shape: Shape) -> Density:
    """Texture at all scales, its power falling with a random exponent."""
    falloff = rng.uniform(0.8, 1.9) + 0.5 * (len(shape) - 2)
    return _spectrum(rng, shape, falloff) ** rng.choice([1, 2])


def speckle(rng: Generator, shape: Shape) -> Density:
    """Unresolved structure: speckle of a few pixels over a soft background."""
    parts = (ndimage.gaussian_filter(rng.normal(0, 1, shape), 1.2) for _ in range(2))
    intensity = sum(part**2 for part in parts)
    return np.asarray(intensity / intensity.mean() * (0.3 + _texture(rng, shape, 20)))


def sections(rng: Generator, shape: Shape) -> Density:
    """As electron microscopes see thin sections: dark membranes on gray, dark bodies."""
    gray = 1 + 0.4 * (_texture(rng, shape, rng.uniform(2, 10)) - 0.5)
    dark = np.zeros(shape)
    for spacing in rng.uniform(8, 60, rng.integers(1, 4)):
        first, second = _distances_to_seeds(rng, shape, spacing)[0].T
        wall = np.exp(-(((second - first) / rng.uniform(0.8, 2)) ** 2)).reshape(shape)
        dark = np.maximum(dark, rng.uniform(0.3, 0.8) * wall)
    bodies = np.zeros(shape)
    for _ in range(rng.integers(0, 12)):
        paint(rng, bodies, rng.uniform(0, shape), rng.uniform(2, 10, len(shape)), 0.5)
    return np.maximum(gray - np.maximum(dark, bodies), 0.05)


def shapes(rng: Generator, shape: Shape) -> Density:
    """Overlapping opaque pieces of all sizes with sharp edges ("dead leaves")."""
    density = np.full(shape, rng.uniform(0.2, 1))
    grain = _texture(rng, shape, rng.uniform(1, 6)) - 0.5
    largest = 0.35 * min(shape[-2:])
    for radius in sorted(largest * rng.power(0.7, rng.integers(20, 160)), reverse=True):
        radii = max(radius, 1.0) * rng.uniform(0.4, 1.6, len(shape))
        tone = rng.uniform(0.05, 1)
        paint(rng, density, rng.uniform(0, shape), radii, tone, over=True)
    return density * (1 + rng.uniform(0, 0.8) * grain)


KINDS: Mapping[str, Callable[[Generator, Shape], Density]] = {
    made.__name__: made
    for made in (
        *(flat, smooth, filaments, spots, membranes, tissue, nuclei, cytoplasm),
        *(vessels, bacteria, fractal, speckle, sections, shapes),
    )
}
"""All structures by name."""


def scene(rng: Generator, shape: Shape, kind: str | None = None) -> Density:
    """One of `KINDS`, by default drawn at random, or in a third of scenes two together.

    A part of a fifth of scenes is empty.

    Returns
    -------
    float64 array of `shape`
        From 0 to about 1 (the 99.9th percentile), seldom more than 1.5.
    """
    names = [kind] if kind else list(rng.choice(list(KINDS), 1 + (rng.random() < 0.35)))
    density = np.zeros(shape)
    for name in names:
        part = KINDS[name](rng, shape)
        density += rng.uniform(0.2, 1) * part / max(float(np.quantile(part, 0.999)), 1e-9)
    if kind is None and rng.random() < 0.2:
        outline = _texture(rng, shape, rng.uniform(12, 50))
        present = outline > np.quantile(outline, rng.uniform(0.2, 0.8))
        density *= ndimage.gaussian_filter(present.astype(float), rng.uniform(0, 3))
    density /= max(float(np.quantile(density, 0.999)), 1e-9)
    return np.minimum(density, 1.5) ** rng.uniform(0.8, 1.5)


def _texture(rng: Generator, shape: Shape, scale: float) -> Density:
    """Smooth random values from 0 to 1 that change over `scale` pixels."""
    noise = ndimage.gaussian_filter(rng.normal(0, 1, shape), scale, mode="wrap")
    return np.asarray(0.5 + 0.2 * noise / max(float(noise.std()), 1e-12)).clip(0, 1)


def _spectrum(rng: Generator, shape: Shape, falloff: float) -> Density:
    """Random values from 0 to 1 whose amplitude falls with frequency to the `falloff`."""
    squares: Any = 0
    for axis, size in enumerate(shape):
        frequencies = np.fft.rfftfreq if axis == len(shape) - 1 else np.fft.fftfreq
        along = [1] * len(shape)
        along[axis] = -1
        squares = squares + frequencies(size).reshape(along) ** 2
    radius = np.sqrt(squares) + 1 / max(shape)
    waves = np.fft.rfftn(rng.normal(0, 1, shape)) / radius**falloff
    values = np.fft.irfftn(waves, shape, axes=range(len(shape)))
    return np.asarray((values - values.min()) / max(float(np.ptp(values)), 1e-12))


def _walk(rng: Generator, shape: Shape, length: int, bend: float) -> Density:
    """Positions inside `shape` along a path that bends by about `bend` per pixel."""
    heading = rng.normal(0, 1, len(shape))
    heading /= np.linalg.norm(heading)
    turns = ndimage.gaussian_filter1d(rng.normal(0, 1, (length, len(shape))), 5, axis=0)
    steps = heading + np.cumsum(turns * bend * 4, axis=0)
    steps /= np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    path = rng.uniform(0, shape) + np.cumsum(steps, axis=0)
    return path[((path >= 0) & (path < np.array(shape) - 1)).all(1)]


def _deposit(density: Density, path: Density, amount: float) -> None:
    """Add `amount` at each position, shared between the nearest pixels."""
    first = np.floor(path).astype(int)
    part = path - first
    for corner in np.ndindex(*(2,) * density.ndim):
        share = np.prod(np.where(corner, part, 1 - part), axis=1)
        np.add.at(density, tuple((first + corner).T), amount * share)


def paint(
    rng: Generator,
    density: Density,
    center: NDArray[Any],
    radii: NDArray[Any],
    value: float,
    *,
    over: bool = False,
) -> None:
    """Draw a rotated ellipsoid: its larger value counts, or it covers what is there."""
    reach = float(max(radii)) + 1
    first = np.maximum(np.floor(center - reach), 0).astype(int)
    last = np.minimum(np.ceil(center + reach), density.shape).astype(int)
    if (last <= first).any():
        return
    axes = [
        np.arange(low, high) - middle
        for low, high, middle in zip(first, last, center, strict=True)
    ]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    rotation, _ = np.linalg.qr(rng.normal(0, 1, (len(radii), len(radii))))
    distance = np.linalg.norm((offsets @ rotation) / radii, axis=-1)
    inside = np.clip((1 - distance) * min(radii) + 0.5, 0, 1)  # smooth over one pixel
    box = density[tuple(map(slice, first, last))]
    box[...] = box + inside * (value - box) if over else np.maximum(box, value * inside)


def _distances_to_seeds(
    rng: Generator, shape: Shape, spacing: float
) -> tuple[Density, NDArray[np.int64]]:
    """For each pixel the distances to the two nearest random seeds, and their numbers."""
    count = max(4, round(float(np.prod((np.array(shape) + 2 * spacing) / spacing))))
    seeds = rng.uniform(-spacing, np.array(shape) + spacing, (count, len(shape)))
    pixels = np.stack(np.indices(shape), -1).reshape(-1, len(shape))
    distances, nearest = cKDTree(seeds).query(pixels, k=2)
    return distances, nearest
