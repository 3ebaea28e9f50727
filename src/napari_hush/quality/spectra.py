"""Error of a result and of Gaussian blurs, estimated from spectra without ground truth.

With noisy y = s + n, result f and residual r = y - f, the mean squared error of f is
``E r² - E n² + 2 E n f`` in each band of frequencies. The first is measured, the second is
the noise, known from where there is no signal. The third, noise that the result keeps, is
known for a blur. For other results it lies between two bounds: all bands of y are passed
by the same factor for signal and noise, as a blur does, or what of the residual is
incoherent with y tells that the signal is passed by more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_hush.quality.correlation import NoiseCorrelation

Floats = NDArray[np.float64]

_EDGES = np.append(np.geomspace(1 / 256, 0.5, 10), 1)  # of the bands, cycles per pixel
_TAPER = 0.25  # share of a side over which the planes fade out at their borders
_WHITE = 0.15  # correlation below which noise counts as white
_ENOUGH = 200  # frequencies in a band whose power may be all noise
_MOST_PIXELS = 2**21
_LEAST_SIGNAL = 3.0, 0.03  # in standard errors, and relative to the noise
_LESS = 0.5  # between the bounds of the noise that is kept


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
    frequency: Floats
    """Mean of the squared frequency, in cycles per pixel."""

    @cached_property
    def signal(self) -> Floats:
        """Power of the signal."""
        return self.noisy - self.noise

    @cached_property
    def kept(self) -> Floats:
        """Share of the noise that the result keeps."""
        power = np.maximum(self.noisy, 1e-300)
        most = 1 - self.cross / power
        incoherent = np.maximum(self.residual - self.cross**2 / power, 0)
        ratio = self.signal / np.maximum(self.noise, 1e-300)
        least = most - np.sqrt(ratio * incoherent / power)
        return most - _LESS * (most - np.clip(least, np.minimum(most, 0), most))

    @cached_property
    def errors(self) -> Floats:
        """Mean squared error of the result, per band."""
        return self.residual - self.noise + 2 * self.kept * self.noise

    @cached_property
    def lost(self) -> Floats:
        """Power of the signal that the residual holds, per band."""
        return np.clip(self.residual - self.noise, 0, self.signal)

    @property
    def error(self) -> float:
        """Mean squared error of the result."""
        return float(self.errors.sum())

    @property
    def noise_kept(self) -> float:
        """Share of the noise variance that the result keeps."""
        return float((self.kept * self.noise).sum())

    @property
    def structure(self) -> float:
        """Share of the signal that the residual holds."""
        signal = float(self.signal.sum())
        return float(self.lost.sum()) / signal if signal > 0 else 0.0

    @property
    def uncertainty(self) -> float:
        """Of errors, from the number of pixels."""
        return float(3 * np.sqrt(2 / self.modes.sum()))

    def blur_noise(self, sigma: float) -> float:
        """Share of the noise variance that a blur of `sigma` pixels keeps."""
        return float((self._passed(sigma) * self.noise).sum())

    def blur_error(self, sigma: float) -> float:
        """Mean squared error of a Gaussian blur of `sigma` pixels; infinity for flat."""
        passed = self._passed(sigma)
        return float((passed**2 * self.noise + (1 - passed) ** 2 * self.signal).sum())

    def _passed(self, sigma: float) -> Floats:
        passed: Floats = np.exp(-2 * np.pi**2 * sigma**2 * self.frequency)
        return passed


def spectra_of(noisy: Floats, residual: Floats, noise: NoiseCorrelation) -> Spectra | None:
    """Spectra of planes ``(n, Y, X)``; None if they are constant."""
    few = max(1, _MOST_PIXELS // noisy[0].size)
    chosen = np.unique(np.linspace(0, len(noisy) - 1, few).astype(int))
    noisy, residual = noisy[chosen], residual[chosen]
    height, width = noisy.shape[-2:]
    window = np.outer(_taper(height), _taper(width))
    planes = [
        np.fft.rfft2((p - (p * window).sum((1, 2), keepdims=True) / window.sum()) * window)
        for p in (noisy, residual)
    ]
    fy: Floats = np.abs(np.fft.fftfreq(height)).astype(np.float64)
    fx: Floats = np.fft.rfftfreq(width).astype(np.float64)
    band = np.digitize(fy, _EDGES)[:, None] * (len(_EDGES) + 1) + np.digitize(fx, _EDGES)
    twice = np.full(len(fx), 2.0)  # rfft2 leaves out half of the frequencies
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    weight = np.broadcast_to(twice, band.shape).copy()
    weight[0, 0] = 0  # brightness

    def total(values: NDArray[Any]) -> Floats:
        return np.asarray(np.bincount(band.ravel(), (values * weight).ravel()), np.float64)

    modes = total(np.ones(band.shape))
    used = modes > 0
    modes = modes[used] * len(noisy)
    scale = (window**2).sum() * height * width * len(noisy)
    powers = [
        total((np.conj(a) * b).real.sum(0))[used] / scale
        for a, b in ((planes[0], planes[0]), (planes[1], planes[1]), (planes[1], planes[0]))
    ]
    shape = total(_shape(noise, fy, fx))[used] / (height * width)
    squared = total(fy[:, None] ** 2 + fx**2)[used] / total(np.ones(band.shape))[used]
    level = _noise_power(powers[0], shape, modes)
    if not level.sum() > 0:
        return None
    unit = level.sum()
    return Spectra(
        modes, powers[0] / unit, level / unit, powers[1] / unit, powers[2] / unit, squared
    )


def _noise_power(noisy: Floats, shape: Floats, modes: Floats) -> Floats:
    """Power of the noise, as much as fits under that of the noisy image."""
    most = (modes >= min(_ENOUGH, modes.max())) & (shape > 0.1 * shape.max())
    noise = shape * (noisy[most] / shape[most]).min()
    errors, share = _LEAST_SIGNAL
    least = noise * (1 + errors * np.sqrt(2 / modes) + share)
    return np.where(noisy < least, noisy, noise)


def _shape(noise: NoiseCorrelation, fy: Floats, fx: Floats) -> Floats:
    """Spectrum of noise of variance 1, from its autocorrelation."""
    if max(np.abs(noise.y[1:3]).max(), np.abs(noise.x[1:3]).max()) < _WHITE:
        return np.ones((len(fy), len(fx)))
    lags = len(noise.map) // 2
    offset = np.arange(-lags, lags + 1)
    fade = 1 - np.abs(offset) / (lags + 1)  # keeps the spectrum positive
    waves = [np.exp(-2j * np.pi * np.outer(f, offset)) for f in (fy, fx)]
    spectrum = (waves[0] @ (noise.map * np.outer(fade, fade)) @ waves[1].T).real
    result: Floats = np.maximum(spectrum, 1e-3)
    return result


def _taper(size: int) -> Floats:
    """Window along one axis: 1 in the middle, fading out to both ends."""
    from_end = np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5
    rise: Floats = np.sin(np.pi / 2 * np.minimum(from_end / (_TAPER * size / 2), 1)) ** 2
    return rise
