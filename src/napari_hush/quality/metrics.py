"""Metrics of an image against the ground truth; pixels masked in either do not count."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_hush.deprecation import former_keywords
from napari_hush.errors import DataError

Floats = NDArray[np.float64]

_SIGMA = 1.5  # of the Gaussian window of SSIM, in pixels (Wang 2004)
_RADIUS = 5  # ... which is 11 pixels wide
K1, K2 = 0.01, 0.03  # keep SSIM finite where there is nothing (Wang 2004)


@former_keywords(truth="ground_truth")
def psnr(image: ArrayLike, ground_truth: ArrayLike, *, data_range: float) -> float:
    """Peak signal to noise ratio: ``10 log10(data_range**2 / mean squared error)``.

    Parameters
    ----------
    image, ground_truth : array_like
        Image and ground truth of one shape, in the same gray values.
    data_range : float
        The peak, in gray values: 255 for 8-bit images, or the range of the ground truth.
        PSNRs are comparable for the same range only, so it has no default.

    Returns
    -------
    float
        In dB; infinite for equal images.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is not finite, or the range is not above 0.
    """
    a, b = _pair(image, ground_truth)
    _check_range(data_range)
    return _decibel((a - b) / data_range)


@former_keywords(truth="ground_truth")
def si_psnr(image: ArrayLike, ground_truth: ArrayLike) -> float:
    """Scale-invariant PSNR (Weigert et al., Nature Methods 2018).

    The map ``a * image + b`` onto the ground truth is fitted by least squares, and the
    peak is the range of the ground truth, so offset and gain do not count.

    Parameters
    ----------
    image, ground_truth : array_like
        Image and ground truth of one shape; their gray values may differ.

    Returns
    -------
    float
        In dB; infinite if the map is exact.

    Raises
    ------
    DataError
        If the shapes differ, a pixel is not finite, or the ground truth is constant.
    """
    a, b = _pair(image, ground_truth)
    span = float(b.max() - b.min())
    if span == 0:
        raise DataError(
            f"The ground truth is {b.flat[0]:g} everywhere, so it has no range; give a "
            "ground truth with structure."
        )
    gain, _ = match_gain(a, b)
    a, b = a - a.mean(), b - b.mean()
    return _decibel((gain * a - b) / span)


def match_gain(result: ArrayLike, target: ArrayLike) -> tuple[float, float]:
    """Gain and offset of the gray values of a result, fitted by least squares.

    Parameters
    ----------
    result, target : array_like
        Images of one shape. The target may be noisy.

    Returns
    -------
    gain, offset : float
        ``gain * result + offset`` is closest to the target; the gain is 0 for a constant
        result.

    Raises
    ------
    DataError
        If the shapes differ or a pixel is not finite.
    """
    a, b = _pair(result, target)
    centers = float(a.mean()), float(b.mean())
    a, b = a - centers[0], b - centers[1]
    unit = float(np.abs(a).max())  # squares of small numbers vanish
    if not unit:
        return 0.0, centers[1]
    a /= unit
    gain = float(np.vdot(a, b) / np.vdot(a, a)) / unit
    return gain, centers[1] - gain * centers[0]


@former_keywords(truth="ground_truth")
def ssim(image: ArrayLike, ground_truth: ArrayLike, *, data_range: float) -> float:
    """Structural similarity (Wang et al., IEEE TIP 2004), with a Gaussian window.

    The window has a sigma of 1.5 pixels and is 11 pixels wide along every dimension; the
    mean is over the places where it fits.

    Parameters
    ----------
    image, ground_truth : array_like
        Image and ground truth of one shape, every dimension 11 pixels or more.
    data_range : float
        As for `psnr`.

    Returns
    -------
    float
        1 for equal images, about 0 for unrelated ones.

    Raises
    ------
    DataError
        If the shapes differ, a dimension is too short, a pixel is masked or not finite, or
        the range is not above 0.
    """
    a, b = _pair(image, ground_truth, whole=True)
    _check_range(data_range)
    if min(a.shape, default=0) < 2 * _RADIUS + 1:
        raise DataError(
            f"SSIM has a window of {2 * _RADIUS + 1} pixels but the images have shape "
            f"{a.shape}; compare images that are at least as large along every axis."
        )
    return float(np.mean(np.prod(_similarities(a / data_range, b / data_range), axis=0)))


@former_keywords(truth="ground_truth")
def multiscale_ssim(
    image: ArrayLike, ground_truth: ArrayLike, *, data_range: float
) -> float:
    """Multiscale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

    The similarities of contrast and structure at five scales, each half as large as the one
    before, to the power of the weights of the paper; that of brightness counts at the last
    scale. Negative ones, of inverted structure, count as 0.

    Parameters
    ----------
    image, ground_truth : array_like
        Image and ground truth of one shape, every dimension 176 pixels or more.
    data_range : float
        As for `psnr`.

    Returns
    -------
    float
        1 for equal images, 0 for unrelated ones.

    Raises
    ------
    DataError
        As for `ssim`.
    """
    a, b = _pair(image, ground_truth, whole=True)
    _check_range(data_range)
    smallest = (2 * _RADIUS + 1) * 2 ** (len(_SCALES) - 1)
    if min(a.shape, default=0) < smallest:
        raise DataError(
            f"Multiscale SSIM needs {smallest} pixels along every axis but the images have "
            f"shape {a.shape}; use SSIM."
        )
    a, b = a / data_range, b / data_range
    result = 1.0
    for scale, weight in enumerate(_SCALES):
        if scale:
            a, b = _halved(a), _halved(b)
        brightness, structure = _similarities(a, b)
        last = scale == len(_SCALES) - 1
        value = float(np.mean(brightness * structure if last else structure))
        result *= max(0.0, value) ** weight
    return result


_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of multiscale SSIM, from the finest scale on."""


def _similarities(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Similarity of brightness, and of contrast and structure, where the window fits."""
    centre = float(b.mean())  # variances of large intensities lose digits
    a, b = a - centre, b - centre
    mean_a, mean_b = _windowed(a), _windowed(b)
    var_a = _windowed(a * a) - mean_a**2
    var_b = _windowed(b * b) - mean_b**2
    covariance = _windowed(a * b) - mean_a * mean_b
    mean_a, mean_b = mean_a + centre, mean_b + centre
    c1, c2 = K1**2, K2**2
    brightness = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return brightness, (2 * covariance + c2) / (var_a + var_b + c2)


def _halved(array: Floats) -> Floats:
    """Means of two pixels along every axis; an odd last one is left out."""
    for axis in range(array.ndim):
        pairs = array.take(range(array.shape[axis] // 2 * 2), axis=axis)
        even, odd = (pairs.take(range(k, pairs.shape[axis], 2), axis=axis) for k in (0, 1))
        array = (even + odd) / 2
    return array


def _pair(image: Any, ground_truth: Any, *, whole: bool = False) -> tuple[Floats, Floats]:
    pair = []
    for name, given in (("image", image), ("ground truth", ground_truth)):
        array = np.asarray(given)
        if array.dtype.kind not in "buif":
            raise DataError(
                f"The pixels of the {name} are of type {array.dtype}; convert them to real "
                "numbers first."
            )
        if array.size == 0:
            raise DataError(f"The {name} has no pixels; give one that has some.")
        pair.append(array.astype(np.float64))
    a, b = pair
    if a.shape != b.shape:
        raise DataError(
            f"The image has shape {a.shape} and the ground truth {b.shape}; only images of "
            "one shape can be compared."
        )
    masked = np.ma.getmaskarray(image) | np.ma.getmaskarray(ground_truth)
    if masked.all():
        raise DataError("All pixels are masked; unmask those to compare.")
    if masked.any() and whole:
        raise DataError(
            f"SSIM needs all pixels of its windows but {np.count_nonzero(masked)} are "
            "masked; compare a part without masked pixels, or use PSNR."
        )
    if masked.any():
        a, b = a[~masked], b[~masked]
    for name, array in (("image", a), ("ground truth", b)):
        if not np.isfinite(array).all():
            raise DataError(
                f"The {name} has NaN or infinite pixels; replace them before comparing."
            )
    return a, b


def _check_range(data_range: float) -> None:
    if not (np.isfinite(data_range) and data_range > 0):
        raise DataError(
            f"data_range is {data_range}; it must be above 0, such as 255 for 8-bit images."
        )


def _decibel(difference: Floats) -> float:
    """PSNR, from the difference in units of the peak."""
    error = float(np.mean(difference**2))
    return -10 * float(np.log10(error)) if error else float("inf")


def gaussian() -> Floats:
    """Weights of the window of SSIM along an axis."""
    offset = np.arange(-_RADIUS, _RADIUS + 1)
    weights: Floats = np.exp(-(offset**2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    return weights


def _windowed(array: Floats) -> Floats:
    """Gaussian mean around each pixel, where the window fits."""
    weights = gaussian()
    for axis in range(array.ndim):
        size = array.shape[axis] - 2 * _RADIUS
        array = np.sum(
            [w * array.take(range(k, k + size), axis=axis) for k, w in enumerate(weights)],
            axis=0,
        )
    return array
