"""Noise variance as a function of intensity, and residuals in units of the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.quality.correlation import noise_correlation
from napari_hush.quality.intensities import PhotonTransfer, noise_level, photon_transfer
from napari_hush.quality.report import as_image, constant_error
from napari_hush.quality.sampling import MOST_PIXELS, cut_blocks, read_regions, rounding


@dataclass(frozen=True)
class NoiseModel:
    """Noise variance of each channel: ``gain * value + offset``, as of photons."""

    channels: tuple[PhotonTransfer, ...]

    def sigma(self, values: Any, channel: int = 0) -> NDArray[np.float64]:
        """Standard deviation of the noise of pixels of these gray values, above 0."""
        model = self.channels[channel]
        variance = model.gain * np.asarray(values, dtype=np.float64) + model.offset
        result: NDArray[np.float64] = np.sqrt(np.maximum(variance, model.least))
        return result


def noise_model(
    noisy: Any, axes: str | None = None, *, seed: int = 0, most_pixels: int = MOST_PIXELS
) -> NoiseModel:
    """Fit noise variance against intensity in small cells of a noisy image.

    Parameters
    ----------
    noisy : Image or array
        It may be on disk.
    axes, seed, most_pixels
        See `check_data`.

    Raises
    ------
    ConfigurationError, DataError
        As `check_data`.
    """
    image = as_image(noisy, axes)
    regions = read_regions(image, seed, most_pixels)
    channels = []
    for channel in range(len(regions[0])):
        planes = [plane for region in regions for plane in region[channel]]
        blocks = cut_blocks(regions, channel, seed)
        noise = noise_correlation(blocks, rounding(regions[0].dtype))
        transfer = photon_transfer(planes)
        if noise is None or transfer is None:
            missing = "no noise to measure"
            raise constant_error(image.name, channel, len(regions[0]), missing)
        # The fit takes noise for white; correlated noise differs less between neighbors.
        white = 6 - 8 * noise.y[1] + 2 * noise.y[2]
        factor = 6 / max(float(white), 0.5)
        least = max(factor * transfer.least, (0.1 * noise_level(blocks, noise)) ** 2)
        channels.append(
            PhotonTransfer(factor * transfer.gain, factor * transfer.offset, least)
        )
    return NoiseModel(tuple(channels))


def normalized_residual(
    noisy: Any,
    denoised: Any,
    model: NoiseModel,
    *,
    channel: int = 0,
    gain: float = 1.0,
    offset: float = 0.0,
) -> NDArray[np.float32]:
    """Residual of one channel in units of the local noise.

    Parameters
    ----------
    noisy, denoised : array_like
        Pixels of one channel, of one shape; a plane or any part is enough.
    model : NoiseModel
        From `noise_model` of the whole noisy image.
    channel : int
        Their channel.
    gain, offset : float
        Brings the result to the gray values of the noisy image, see `match_gain`.

    Returns
    -------
    ndarray of float32
        ``(noisy - denoised) / sigma``: noise with a standard deviation of 1 wherever only
        noise was removed.

    Raises
    ------
    DataError
        If the shapes differ.
    """
    if np.shape(noisy) != np.shape(denoised):
        raise DataError(
            f"The noisy image has shape {np.shape(noisy)} but the result has "
            f"{np.shape(denoised)}; give pixels of one shape."
        )
    result = gain * np.asanyarray(denoised, dtype=np.float64) + offset
    noise = np.asanyarray(noisy, dtype=np.float64) - result  # masked pixels stay masked
    residual: NDArray[np.float32] = (noise / model.sigma(result, channel)).astype("f4")
    return residual
