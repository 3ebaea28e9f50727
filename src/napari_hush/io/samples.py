"""Sample images: a simulated micrograph and a movie with ground truth, and a real one.

No dependency has a raw, noisy micrograph, so the demo trains on the simulated one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import HushError

OFFSET = 100.0
"""Gray value of the camera in the dark."""
GAIN = 2.0
"""Gray values per photon."""
READ_NOISE = 1.6
"""Standard deviation of the noise of the camera, in photons."""

_SIZE = 512
_PEAK_PHOTONS = 30.0  # expected in the brightest pixels: a short exposure
_DARKEST_PHOTONS = 2.0  # autofluorescence of the medium
_PSF_SIGMA = 1.4  # blur of the objective in pixels, near Nyquist sampling
_HAZE_SIGMA = 14.0  # out-of-focus blur in pixels
_CELL_SPACING = 178.0
_FRAMES, _FRAME_SIZE, _VESICLES = 20, 192, 60  # of the movie


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
    counted = rng.poisson(photons) + READ_NOISE * rng.standard_normal(photons.shape)
    noisy = np.clip(np.rint(OFFSET + GAIN * counted), 0, np.iinfo(np.uint16).max)
    return noisy.astype(np.uint16), (OFFSET + GAIN * photons).astype(np.float32)


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
