"""Sample images: simulated ones for each method, and a real micrograph.

No dependency has a raw, noisy micrograph, so demo and tutorials train on simulated ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError

OFFSET = 100.0
"""Gray value of the camera in the dark."""
GAIN = 2.0
"""Gray values per photon."""
READ_NOISE = 1.6
"""Standard deviation of the noise of the camera, in photons."""
PIXEL_SIZE = 0.065
"""Size of a pixel of the simulated images along Y and X, in micrometers."""

_SIZE = 512
_PEAK_PHOTONS = 30.0  # expected in the brightest pixels: a short exposure
_DARKEST_PHOTONS = 2.0  # autofluorescence of the medium
_PSF_SIGMA = 1.4  # blur of the objective in pixels, near Nyquist sampling
_HAZE_SIGMA = 14.0  # out-of-focus blur in pixels
_CELL_SPACING = 178.0
_FRAMES, _FRAME_SIZE, _VESICLES = 20, 192, 60  # of the movie
_HOT_SHARE, _HOT_VALUE = 2e-4, 300  # of all pixels; gray values above the others
_LINE_NOISE = 14.0  # standard deviation of the noise that the amplifier smears
_LINE_SHARES = (0.75, 0.55, 0.35)  # of it in the same pixel, the next and the one after


def simulated(seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Simulate a camera image of cells with a labeled cytoskeleton, and its ground truth.

    Each pixel counts photons, ``n ~ Poisson(p)``, and the camera adds read noise:
    ``noisy = OFFSET + GAIN * (n + READ_NOISE * g)`` with ``g ~ Normal(0, 1)``, rounded to
    gray values. The noise is independent between pixels, with a variance of
    ``GAIN * (truth - OFFSET) + (GAIN * READ_NOISE)**2``, plus 1/12 for the rounding.

    Parameters
    ----------
    seed : int
        The same seed gives the same images.

    Returns
    -------
    noisy : (512, 512) array of uint16
        One exposure, in gray values.
    truth : (512, 512) array of float32
        Expected value in gray values.
    """
    rng = np.random.default_rng(seed)
    return _exposed(rng, _cells(rng), _PEAK_PHOTONS)


def movie(seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Simulate a movie of such cells in which vesicles move, and its ground truth.

    The exposures are a quarter as long, with noise as that of `simulated`. Each vesicle
    goes straight ahead, by about half a pixel per frame.

    Parameters
    ----------
    seed : int
        The same seed gives the same movies.

    Returns
    -------
    noisy : (20, 192, 192) array of uint16
        Frames along T, in gray values.
    truth : (20, 192, 192) array of float32
        Expected value in gray values.
    """
    rng = np.random.default_rng(seed)
    cells = _cells(rng)[:_FRAME_SIZE, :_FRAME_SIZE]
    places = rng.uniform(0, _FRAME_SIZE, (_VESICLES, 2))
    speeds, weights = rng.normal(0, 0.4, (_VESICLES, 2)), rng.uniform(2, 6, _VESICLES)
    moving = [
        _blurred(_splat(places + time * speeds, weights, _FRAME_SIZE), _PSF_SIGMA)
        for time in range(_FRAMES)
    ]
    light = cells + np.stack(moving) / moving[0].max()
    return _exposed(rng, light, _PEAK_PHOTONS / 4)


def hot_pixels(seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """The images of `simulated` from a camera on which 2 of 10,000 pixels are too bright.

    Parameters
    ----------
    seed : int
        The same seed gives the same images.

    Returns
    -------
    noisy : (512, 512) array of uint16
        One exposure; the hot pixels, at random places, are brighter by 300 gray values.
    truth : (512, 512) array of float32
        Expected value in gray values, without hot pixels.
    """
    noisy, truth = simulated(seed)
    hot = np.random.default_rng(seed).random(noisy.shape) < _HOT_SHARE
    noisy[hot] += np.uint16(_HOT_VALUE)
    return noisy, truth


def line_noise(seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The cells of `simulated` from a scanning microscope with a slow amplifier.

    Gaussian noise with a standard deviation of 14 gray values is smeared along X: each
    pixel has 0.75 times its noise, 0.55 times that of its left neighbor and 0.35 times
    that of the pixel before. The noise is the same in bright and dark parts.

    Parameters
    ----------
    seed : int
        The same seed gives the same images.

    Returns
    -------
    noisy : (512, 512) array of float32
        One scan, with noise that is correlated along X.
    truth : (512, 512) array of float32
        Expected value in gray values.
    """
    _, truth = simulated(seed)
    white = np.random.default_rng(seed).normal(0, _LINE_NOISE, truth.shape)
    noise = sum(
        share * np.roll(white, shift, axis=1) for shift, share in enumerate(_LINE_SHARES)
    )
    return (truth + noise).astype(np.float32), truth


def two_exposures(
    seed: int = 0,
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.float32]]:
    """Two exposures of the same, unmoved cells: a pair for Noise2Noise.

    Parameters
    ----------
    seed : int
        The same seed gives the same images.

    Returns
    -------
    first, second : (512, 512) arrays of uint16
        The exposures; the first is that of `simulated`. Their noise is independent.
    truth : (512, 512) array of float32
        Expected value of both, in gray values.
    """
    first, truth = simulated(seed)
    photons = (truth - OFFSET) / GAIN
    return first, _exposure(np.random.default_rng(seed + 1), photons), truth


def short_and_long(seed: int = 0) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Short and long exposures of two scenes: pairs for CARE.

    The cells are others than those of `simulated` with the same seed, which can serve as
    test image.

    Parameters
    ----------
    seed : int
        The same seed gives the same images.

    Returns
    -------
    short : (2, 512, 512) array of uint16
        Noisy images, one per scene along S.
    long : (2, 512, 512) array of float32
        The same scenes without noise, in the same gray values.
    """
    short, long = zip(*(simulated(seed + scene) for scene in (1, 2)), strict=True)
    return np.stack(short), np.stack(long)


def _cells(rng: np.random.Generator) -> NDArray[np.float64]:
    """The light of cells, 1 where they are brightest."""
    scene = np.zeros((_SIZE, _SIZE))
    for centre in _cell_centres(rng):
        scene += _cell(rng, centre)
    sharp = _blurred(scene, _PSF_SIGMA)
    light = sharp + 0.45 * _blurred(scene, _HAZE_SIGMA)
    light /= np.quantile(light, 0.998)
    return light


def _exposed(
    rng: np.random.Generator, light: NDArray[np.float64], peak: float
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Exposures of `light` and their expected values; `peak` photons where it is 1."""
    photons = _DARKEST_PHOTONS + (peak - _DARKEST_PHOTONS) * light
    return _exposure(rng, photons), (OFFSET + GAIN * photons).astype(np.float32)


def _exposure(rng: np.random.Generator, photons: NDArray[Any]) -> NDArray[np.uint16]:
    """One exposure of the camera, given the expected `photons` of each pixel."""
    counted = rng.poisson(photons) + READ_NOISE * rng.standard_normal(photons.shape)
    noisy = np.clip(np.rint(OFFSET + GAIN * counted), 0, np.iinfo(np.uint16).max)
    return noisy.astype(np.uint16)


def real() -> NDArray[np.uint8]:
    """A real micrograph of stained tissue, from scikit-image.

    Glands of a colon in transmitted light, with structure at every scale and little,
    correlated noise: for trying the dock, not for evaluating Noise2Void.

    Returns
    -------
    (512, 512) array of uint8
        Transmitted light; stained structures are dark.

    Raises
    ------
    HushError
        If scikit-image is not installed.
    """
    try:
        from skimage.data import immunohistochemistry
    except ImportError as error:
        raise HushError(
            "The real sample image comes with scikit-image, which is not installed; "
            "install it with 'pip install scikit-image' or use the simulated sample."
        ) from error
    green: NDArray[np.uint8] = np.ascontiguousarray(immunohistochemistry()[..., 1])
    return green


@dataclass(frozen=True)
class SampleImages:
    """The images of a sample, all with the same axes and pixel size."""

    noisy: NDArray[Any]
    axes: str = "YX"
    target: NDArray[Any] | None = None
    """Images that Noise2Noise or CARE compare results with."""
    ground_truth: NDArray[Any] | None = None
    """The images without noise."""
    scale: Mapping[str, float] = field(
        default_factory=lambda: {"Y": PIXEL_SIZE, "X": PIXEL_SIZE}
    )
    """Size of a pixel by axis, in micrometers; empty if it is not known."""

    def named(self) -> dict[str, NDArray[Any]]:
        """The noisy images as ``""``, and those of ``target`` and ``ground_truth``."""
        images = {"": self.noisy, "target": self.target, "ground_truth": self.ground_truth}
        return {name: image for name, image in images.items() if image is not None}


def _noisy_and_truth(images: tuple[NDArray[Any], NDArray[Any]]) -> SampleImages:
    noisy, truth = images
    return SampleImages(noisy, ground_truth=truth)


def _two_exposures() -> SampleImages:
    first, second, truth = two_exposures()
    return SampleImages(first, target=second, ground_truth=truth)


def _short_and_long() -> SampleImages:
    short, long = short_and_long()
    return SampleImages(short, "SYX", target=long)


def _movie() -> SampleImages:
    noisy, truth = movie()
    return SampleImages(noisy, "TYX", ground_truth=truth)


@dataclass(frozen=True)
class Sample:
    """One of `SAMPLES`."""

    sentence: str
    """Its content and the method that it is for."""
    images: Callable[[], SampleImages]
    """Makes the images."""


SAMPLES: Mapping[str, Sample] = {
    "cells": Sample(
        "simulated cells with independent noise, for N2V",
        lambda: _noisy_and_truth(simulated()),
    ),
    "hot": Sample(
        "the same cells with hot pixels, for N2V2",
        lambda: _noisy_and_truth(hot_pixels()),
    ),
    "lines": Sample(
        "the same cells with noise along lines, for structN2V",
        lambda: _noisy_and_truth(line_noise()),
    ),
    "pairs": Sample("two exposures of the same cells, for Noise2Noise", _two_exposures),
    "care": Sample("short and long exposures of two scenes, for CARE", _short_and_long),
    "movie": Sample("a simulated movie in which vesicles move, for time context", _movie),
    "tissue": Sample(
        "a section of stained tissue, real, with little noise; needs scikit-image",
        lambda: SampleImages(real(), scale={}),
    ),
}
"""The samples of ``hush sample`` by name; those with a method are simulated.

:meta hide-value:
"""


def _cell_centres(rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """Places of cells, on a jittered grid that extends over the border."""
    steps = np.arange(0.1, _SIZE / _CELL_SPACING + 1)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    columns = columns + 0.5 * (np.arange(len(steps)) % 2)[:, None]
    grid = np.stack([rows, columns], axis=-1).reshape(-1, 2) * _CELL_SPACING
    shaken = grid + rng.uniform(-38, 38, grid.shape) - 0.3 * _CELL_SPACING
    return list(shaken)


def _cell(rng: np.random.Generator, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """One cell: filaments from the nucleus outwards, vesicles and a faint body."""
    rows, columns = np.ogrid[:_SIZE, :_SIZE]
    outline = _Outline(rng, centre)
    reach = outline.reach(rows, columns)
    nucleus = _step(0.36 - reach, 0.03)
    thickness = 1.25 - 0.55 * np.clip(reach, 0, 1)
    body = 0.1 * _step(1.0 - reach, 0.05) * thickness * (1 - 0.8 * nucleus)
    filaments = _filaments(rng, outline) * (1 - 0.7 * nucleus)
    return rng.uniform(0.7, 1.25) * (body + filaments + _vesicles(rng, outline))


class _Outline:
    """The border of a cell: a circle with a few slow waves."""

    def __init__(self, rng: np.random.Generator, centre: NDArray[np.float64]) -> None:
        self.centre = centre
        self.radius = rng.uniform(82, 108)
        self.orders = np.arange(2, 6)
        self.depths = rng.normal(0, 0.16, 4) / self.orders**0.7
        self.phases = rng.uniform(0, 2 * np.pi, 4)

    def radius_at(self, angle: NDArray[np.float64]) -> NDArray[np.float64]:
        waves = self.depths * np.cos(self.orders * angle[..., None] + self.phases)
        radius: NDArray[np.float64] = self.radius * np.exp(waves.sum(axis=-1))
        return radius

    def reach(
        self, rows: NDArray[np.float64], columns: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Distance from the center: 0 in the center, 1 on the border."""
        down, right = rows - self.centre[0], columns - self.centre[1]
        distance: NDArray[np.float64] = np.hypot(down, right)
        return distance / self.radius_at(np.arctan2(down, right))


def _filaments(rng: np.random.Generator, outline: _Outline) -> NDArray[np.float64]:
    """Curved lines that start around the nucleus."""
    number, steps, stride = 64, 420, 0.5
    start = rng.uniform(0, 2 * np.pi, number)
    distance = outline.radius_at(start) * rng.uniform(0.3, 0.5, number)
    places = outline.centre + distance[:, None] * _towards(start)
    # The direction drifts smoothly; each filament has its constant bend.
    bends = rng.normal(0, 0.0035, (number, 1)) + np.cumsum(
        rng.normal(0, 0.0006, (number, steps)), axis=1
    )
    course = start[:, None] + rng.normal(0, 0.55, (number, 1)) + np.cumsum(bends, axis=1)
    track = places[:, None] + np.cumsum(stride * _towards(course), axis=1)
    limit = rng.uniform(0.8, 1.0, (number, 1))
    inside = outline.reach(track[..., 0], track[..., 1]) < limit
    # A filament ends where it first meets the border.
    alive = np.logical_and.accumulate(inside, axis=1)
    weights = alive * rng.uniform(0.45, 1.0, (number, 1))
    return _splat(track.reshape(-1, 2), (stride * weights).ravel())


def _vesicles(rng: np.random.Generator, outline: _Outline) -> NDArray[np.float64]:
    """Bright points in the whole cell."""
    number = 26
    angle = rng.uniform(0, 2 * np.pi, number)
    distance = outline.radius_at(angle) * np.sqrt(rng.uniform(0.12, 0.85, number))
    places = outline.centre + distance[:, None] * _towards(angle)
    return _splat(places, rng.uniform(2.5, 7.5, number))


def _towards(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _splat(
    places: NDArray[np.float64], weights: NDArray[np.float64], size: int = _SIZE
) -> NDArray[np.float64]:
    """Draw points, each spread over the four nearest pixels, into a square of `size`."""
    image = np.zeros((size, size))
    corner = np.floor(places).astype(np.intp)
    rest = places - corner
    for down in (0, 1):
        for right in (0, 1):
            row, column = corner[:, 0] + down, corner[:, 1] + right
            share = np.abs(1 - down - rest[:, 0]) * np.abs(1 - right - rest[:, 1])
            here = (row >= 0) & (row < size) & (column >= 0) & (column < size)
            np.add.at(image, (row[here], column[here]), (weights * share)[here])
    return image


def _step(values: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """A soft step from 0 to 1 at a value of 0."""
    step: NDArray[np.float64] = 0.5 * (1 + np.tanh(values / width))
    return step


def _blurred(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Gaussian blur, symmetric at the border."""
    margin = int(4 * sigma) + 1
    padded = np.pad(image, margin, mode="symmetric")
    damping = [
        np.exp(-2 * (np.pi * sigma * frequency) ** 2)
        for frequency in (np.fft.fftfreq(padded.shape[0]), np.fft.rfftfreq(padded.shape[1]))
    ]
    spectrum = np.fft.rfft2(padded) * damping[0][:, None] * damping[1]
    blurred: NDArray[np.float64] = np.fft.irfft2(spectrum, s=padded.shape)
    return np.maximum(blurred[margin:-margin, margin:-margin], 0)
