"""Optics and detectors: from a density to the expected image and to a noisy one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.random import Generator

FWHM = 2.3548
"""Width at half height of a Gaussian of standard deviation 1."""
_BITS = {8: 255, 12: 4095, 16: 65535}


@dataclass(frozen=True)
class Optics:
    """How the image of a density is formed.

    Attributes
    ----------
    psf_width : float
        Width of the point spread function at half height, in pixels of Y and X.
    psf_depth : float
        The same along Z, in planes; without effect in 2D.
    haze : float
        Share of the light that comes blurred from out of focus, 0 to 1.
    haze_width : float
        Standard deviation of that blur, in pixels.
    background : float
        Light everywhere, in units of the brightest structure.
    shading : float
        By how much the illumination falls towards a border, 0 to 1.
    """

    psf_width: float = 2.0
    psf_depth: float = 4.0
    haze: float = 0.0
    haze_width: float = 12.0
    background: float = 0.02
    shading: float = 0.0

    def image(self, density: NDArray[Any]) -> NDArray[np.float64]:
        """The expected image of `density`, ``(Y, X)`` or ``(Z, Y, X)``, not negative."""
        sigma = [self.psf_width / FWHM] * density.ndim
        if density.ndim == 3:
            sigma[0] = self.psf_depth / FWHM
        image = ndimage.gaussian_filter(np.asarray(density, np.float64), sigma)
        if self.haze:
            blurred = ndimage.gaussian_filter(image, self.haze_width)
            image = (1 - self.haze) * image + self.haze * blurred
        image = image + self.background
        if self.shading:
            image = image * np.linspace(1, 1 - self.shading, image.shape[-1])
        return np.maximum(image, 0)


@dataclass(frozen=True)
class Detector:
    """How the expected image becomes gray values.

    A pixel that expects p photons counts ``n ~ Poisson(p)``, or with excess noise
    (electron multiplication) a value of variance ``excess * p``; its gray value is
    ``offset + gain * (n + read_noise * g)`` with ``g ~ Normal(0, 1)``.

    Attributes
    ----------
    photons : float
        Photons expected where the image is 1.
    gain, offset : float
        Gray values per photon, and without light.
    read_noise : float
        Standard deviation of the electronics, in photons.
    excess : float
        Variance of the counts in units of the photons, at least 1.
    lines : float
        Standard deviation of an offset that all pixels of a row share, in photons.
    hot : float
        Share of pixels that read too much.
    bits : int or None
        Gray values are whole numbers of 8, 12 or 16 bit, or floating point (None).
    """

    photons: float = 50.0
    gain: float = 1.0
    offset: float = 0.0
    read_noise: float = 0.0
    excess: float = 1.0
    lines: float = 0.0
    hot: float = 0.0
    bits: int | None = None

    def expected(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Mean gray value of each pixel, before clipping."""
        return np.asarray(self.offset + self.gain * self.photons * image, np.float64)

    def exposed(self, image: NDArray[Any], rng: Generator) -> NDArray[np.float64]:
        """One noisy exposure of `image`, in gray values."""
        light = self.photons * np.asarray(image, np.float64)
        counted = self.excess * rng.poisson(light / self.excess)
        counted = counted + self.read_noise * rng.standard_normal(light.shape)
        if self.lines:
            rows = (*light.shape[:-1], 1)
            counted = counted + self.lines * rng.standard_normal(rows)
        gray = self.offset + self.gain * counted
        if self.hot:
            bright = rng.random(light.shape) < self.hot
            gray = np.where(bright, gray + 3 * np.ptp(gray) * rng.random(light.shape), gray)
        if self.bits is not None:
            gray = np.clip(np.rint(gray), 0, _BITS[self.bits])
        return gray

    def variance(self, image: NDArray[Any]) -> NDArray[np.float64]:
        """Variance of the gray values, without hot pixels and clipping."""
        light = self.photons * np.asarray(image, np.float64)
        rounding = 0 if self.bits is None else 1 / 12
        electronic = self.read_noise**2 + self.lines**2
        return np.asarray(self.gain**2 * (self.excess * light + electronic) + rounding)


def random_optics(rng: Generator) -> Optics:
    """Draw optics as microscopes have them: widths of 0.7 to 4 pixels, haze in a third."""
    width = float(np.exp(rng.uniform(np.log(0.7), np.log(4))))
    return Optics(
        psf_width=width,
        psf_depth=width * rng.uniform(0.5, 2.5),
        haze=float(rng.choice([0, 0, rng.uniform(0.1, 0.6)])),
        haze_width=rng.uniform(6, 25),
        background=10 ** rng.uniform(-3, -0.5),
        shading=float(rng.choice([0, 0, rng.uniform(0.1, 0.5)])),
    )


def random_detector(rng: Generator, *, lines: bool = False) -> Detector:
    """Draw a detector: 0.5 to 1,000 photons, read noise in half of them, some 8 to 16 bit.

    With `lines`, rows have an offset each, for methods that mask whole lines.
    """
    photons = float(np.exp(rng.uniform(np.log(0.5), np.log(1000))))
    noisy = rng.random() < 0.5
    detector = Detector(
        photons=photons,
        read_noise=noisy * 10 ** rng.uniform(-0.5, 1.0) * min(1.0, photons / 5),
        excess=float(rng.choice([1, 1, 1, 2])),
        lines=lines * rng.uniform(0.05, 0.6) * np.sqrt(photons + 1),
        hot=float(rng.choice([0, 0, 1e-4, 10 ** rng.uniform(-3.5, -1.7)])),
    )
    bits = rng.choice([0, 8, 12, 16])
    if not bits:  # any unit: gray values mean nothing by themselves
        unit = 10 ** rng.uniform(-3, 4)
        return replace(detector, gain=unit, offset=unit * rng.choice([0, 0, 10, 100]))
    highest = _BITS[int(bits)]
    offset = highest * rng.choice([0, 0.02, 0.05])
    gain = min((highest - offset) * rng.uniform(0.3, 0.9) / (1.3 * photons), highest / 8)
    return replace(detector, gain=gain, offset=offset, bits=int(bits))
