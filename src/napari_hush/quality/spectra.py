"""Error of a result and of Gaussian blurs, estimated from spectra without ground truth.

With a noisy image y = s + n, a result f and the residual r = y - f, the mean squared error
of f is ``E r² - E n² + 2 E n f`` in each band of frequencies. The first is measured, the
second is known from bands without signal. The third, noise that the result keeps, is known
for a blur. For other results it is between two bounds: either f passes the same share of
signal and noise in a band, as a blur does, or the part of r that is incoherent with y is
due to signal being passed by more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.quality.correlation import NoiseCorrelation

Floats = NDArray[np.float64]

_EDGES = np.geomspace(1 / 256, 0.5, 14)  # of the bands along each axis, cycles per pixel
_TAPER = 0.25  # share of a side over which the planes fade out at their borders
_WHITE = 0.15  # correlation below which noise counts as white
_FREE = 0.2  # share of the noise that is in bands without signal
_MOST_PIXELS = 2**21
_UNKNOWN = 0.03  # uncertainty of the noise in a band, white
_UNKNOWN_CORRELATED = 0.15  # ... and correlated
_NOTHING = 0.04  # correlation that is due to chance
_MOST = 0.5  # of the signal
_FLAT = 1e9  # sigma of a blur, in pixels, that leaves nothing
_LESS = 0.5  # between the bounds of the noise that is kept


class _Bands:
    """Bands of frequencies along one axis of `size` pixels.

    ``members[band, index]`` is 1 for the frequencies of a band.
    """

    def __init__(self, size: int) -> None:
        self.frequency: Floats = np.fft.fftfreq(size).astype(np.float64)
        band = np.digitize(np.abs(self.frequency), _EDGES)
        self.members: Floats = (band == np.unique(band)[:, None]).astype(np.float64)

    def passed(self, sigma: float) -> Floats:
        """Mean of the amplitude that a Gaussian blur passes in each band."""
        waves = np.square(2 * np.pi * np.minimum(sigma, _FLAT) * self.frequency)
        factor = np.exp(-waves / 2)
        mean: Floats = self.members @ factor / self.members.sum(1)
        return mean


@dataclass(frozen=True, eq=False)
class Spectra:
    """Power in bands of frequencies, each ``(bands,)``, in units of the noise variance."""

    modes: Floats
    """Number of frequencies in each band."""
    noisy: Floats
    noise: Floats
    residual: Floats
    cross: Floats
    """Of the residual and the noisy image."""
    bands: tuple[_Bands, _Bands]
    """Along Y and X; their products are the bands."""
    unknown: float
    """Share of the noise that may be signal."""

    @cached_property
    def signal(self) -> Floats:
        """Power of the signal."""
        return self.noisy - self.noise

    @cached_property
    def kept(self) -> Floats:
        """Share of the noise that the result keeps."""
        power = np.maximum(self.noisy, 1e-300)
        most = np.minimum(1 - self.cross / power, 1)
        incoherent = np.maximum(self.residual - self.cross**2 / power, 0)
        ratio = self.signal / np.maximum(self.noise, 1e-300)
        least = most - np.sqrt(ratio * incoherent / power)
        kept: Floats = most - _LESS * (most - np.clip(least, np.minimum(most, 0), most))
        return kept

    @cached_property
    def lost(self) -> Floats:
        """Power of the signal that the residual holds."""
        return np.clip(self.residual - self.noise, 0, self.signal)

    @property
    def error(self) -> float:
        """Mean squared error of the result."""
        return float((self.residual - self.noise + 2 * self.kept * self.noise).sum())

    @property
    def noise_kept(self) -> float:
        """Share of the noise variance that the result keeps."""
        return float((self.kept * self.noise).sum())

    @property
    def noise_left(self) -> float:
        """Standard deviation of the noise in the result, over that of all noise."""
        return float(np.sqrt((np.minimum(self.kept**2, 1) * self.noise).sum()))

    @property
    def structure(self) -> float:
        """Share of the signal that the residual holds."""
        signal = float(self.signal.sum())
        return float(self.lost.sum()) / signal if signal > 0 else 0.0

    @property
    def uncertainty(self) -> float:
        """Of errors, from the number of pixels."""
        return float(np.sqrt(2 / self.modes.sum()))

    @property
    def lost_most(self) -> bool:
        """Whether most of the signal is lost, of an image that has some."""
        some = float(self.signal.sum()) > 2 * (3 * self.uncertainty + self.unknown)
        return some and self.structure > _MOST

    def of_blur(self, sigma: float) -> Spectra:
        """Spectra of a Gaussian blur of `sigma` pixels in place of the result.

        0 is the noisy image itself, infinity a flat image.
        """
        passed, squared = (
            np.outer(*(band.passed(s) for band in self.bands)).ravel()
            for s in (sigma, np.sqrt(2) * sigma)
        )
        return replace(
            self,
            residual=(1 - 2 * passed + squared) * self.noisy,
            cross=(1 - passed) * self.noisy,
        )

    def with_gain(self) -> tuple[float, Spectra]:
        """Gain that fits the result to the noisy image, and spectra of the fit."""
        result = self.noisy - 2 * self.cross + self.residual
        common = self.noisy - self.cross
        power = float(result.sum())
        gain = float(common.sum()) / power if power > 0 else 0.0
        return gain, replace(
            self,
            residual=self.noisy - 2 * gain * common + gain**2 * result,
            cross=self.noisy - gain * common,
        )


def correlated(noise: NoiseCorrelation) -> bool:
    """Whether the noise of neighbors has much in common."""
    near = max(np.abs(noise.y[1:3]).max(), np.abs(noise.x[1:3]).max())
    return bool(near > _WHITE)


def spectra_of(
    noisy: Floats, residual: Floats, noise: NoiseCorrelation | None
) -> Spectra | None:
    """Spectra of planes ``(n, Y, X)``; None if they are constant.

    `noise` is its autocorrelation, None for white noise.
    """
    few = max(1, _MOST_PIXELS // noisy[0].size)
    chosen = np.unique(np.linspace(0, len(noisy) - 1, few).astype(int))
    before, removed = _transformed(noisy[chosen]), _transformed(residual[chosen])
    bands = _Bands(noisy.shape[1]), _Bands(noisy.shape[2])

    def total(values: Floats) -> Floats:
        """Sum over the frequencies of each band, without that of the brightness."""
        values[0, 0] = 0
        result: Floats = (bands[0].members @ values @ bands[1].members.T).ravel()
        return result

    squares = (np.abs(before) ** 2).mean(0)
    power = total(squares)
    modes = total(np.ones(before.shape[1:])) * len(chosen)
    if noise is None:
        unknown, level = _UNKNOWN, modes * _white(squares) / len(chosen)
    else:
        unknown, level = _UNKNOWN_CORRELATED, _colored(power, _folded(noise, bands))
    least = level * (1 + 3 * np.sqrt(2 / np.maximum(modes, 1)) + unknown)
    level = np.where(power < least, power, level)
    unit = level.sum()
    if not unit > 0:
        return None
    return Spectra(
        modes,
        power / unit,
        level / unit,
        total((np.abs(removed) ** 2).mean(0)) / unit,
        total((np.conj(removed) * before).real.mean(0)) / unit,
        bands,
        unknown if noise is not None else 0.0,
    )


def _transformed(planes: Floats) -> NDArray[np.complex128]:
    """Fourier transforms of planes that fade out at their borders."""
    window = np.outer(*(_taper(size) for size in planes.shape[1:]))
    mean = (planes * window).sum((1, 2), keepdims=True) / window.sum()
    result: NDArray[np.complex128] = np.fft.fft2((planes - mean) * window)
    return result


def _taper(size: int) -> Floats:
    """Window along one axis: 1 in the middle, fading out to both ends."""
    from_end = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    rise: Floats = np.sin(np.pi / 2 * np.minimum(from_end / (_TAPER * size / 2), 1)) ** 2
    return rise


def _white(squares: Floats) -> float:
    """Power of white noise per frequency, from second differences along both axes."""
    waves = [np.sin(np.pi * np.fft.fftfreq(size)) ** 4 for size in squares.shape]
    weight = np.outer(*waves)
    return float((squares * weight).sum() / weight.sum())


def _colored(noisy: Floats, shape: Floats) -> Floats:
    """Power of correlated noise, as in the bands where it leaves least to the signal.

    `shape` is its power up to a factor.
    """
    density = noisy / shape
    order = np.argsort(density)
    below = np.cumsum(shape[order]) / shape.sum()
    result: Floats = shape * density[order][np.searchsorted(below, _FREE)]
    return result


def _folded(noise: NoiseCorrelation, bands: tuple[_Bands, _Bands]) -> Floats:
    """Power of noise of variance 1 in the bands, from its autocorrelation."""
    lags = len(noise.map) // 2
    offset = np.arange(-lags, lags + 1)
    fade = np.clip(2 - 2 * np.abs(offset) / (lags + 1), 0, 1)
    values = np.where(np.abs(noise.map) < _NOTHING, 0, noise.map) * np.outer(fade, fade)
    waves = [np.exp(-2j * np.pi * np.outer(band.frequency, offset)) for band in bands]
    power = (waves[0] @ values @ waves[1].T).real
    result: Floats = (bands[0].members @ power @ bands[1].members.T).ravel()
    return np.asarray(np.maximum(result, 1e-3 * result.mean()), np.float64)
