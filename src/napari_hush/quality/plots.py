"""Plots of losses, residuals and autocorrelations, with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.quality.report import as_image
from napari_hush.quality.residual import check_residual
from napari_hush.system.optional import require

_RANGE = 99.5
"""Percentile of the absolute residual at the ends of the color map."""


def plot_losses(losses: Mapping[str, Sequence[float]], ax: Any = None) -> Any:
    """Plot the losses of a training by epoch.

    Parameters
    ----------
    losses : mapping
        Those of `CAREamist.get_losses`.
    ax : matplotlib Axes, optional
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    HushError
        If matplotlib is not installed (``pip install "napari-hush[plot]"``).
    DataError
        If there are no losses yet.
    """
    if not losses["train_epoch"]:
        raise DataError("There are no losses of a whole epoch yet; train for one first.")
    ax = _axes(ax)
    for name, label in (("train", "training"), ("val", "validation")):
        if losses[f"{name}_epoch"]:
            epochs = 1 + np.array(losses[f"{name}_epoch"])
            ax.plot(epochs, losses[f"{name}_loss"], marker=".", label=label)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.legend()
    return ax


def plot_residual(
    noisy: Any, denoised: Any, axes: str | None = None, ax: Any = None
) -> Any:
    """Show the residual, noisy minus denoised, of the first plane and channel.

    Parameters
    ----------
    noisy, denoised, axes
        Images as for `check_residual`.
    ax : matplotlib Axes, optional
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib Axes
        The color map is symmetric around 0.

    Raises
    ------
    HushError
        If matplotlib is not installed, or the images do not match.
    """
    before, after = _plane(noisy, axes), _plane(denoised, axes)
    if before.shape != after.shape:
        raise DataError(
            f"The noisy image has planes of {before.shape} pixels and the denoised one of "
            f"{after.shape}; give images of one shape."
        )
    residual = before - after
    most = float(np.percentile(np.abs(residual), _RANGE)) or 1.0
    ax = _axes(ax)
    image = ax.imshow(residual, cmap="RdBu", vmin=-most, vmax=most)
    ax.figure.colorbar(image, ax=ax)
    ax.set_title("residual")
    return ax


def plot_autocorrelation(
    image: Any, denoised: Any = None, axes: str | None = None, ax: Any = None
) -> Any:
    """Show the autocorrelation of an image, or of the residual of a denoised one.

    Parameters
    ----------
    image, denoised, axes
        An image, or a noisy and a denoised one as for `check_residual`. Of one image the
        first plane and channel counts.
    ax : matplotlib Axes, optional
        Axes to draw into; by default those of a new figure.

    Returns
    -------
    matplotlib Axes
        Offsets along Y and X in pixels; the value at offset 0 is 1.

    Raises
    ------
    HushError
        If matplotlib is not installed, or the images do not match.
    """
    if denoised is None:
        values = autocorrelation(_plane(image, axes))
    else:
        values = check_residual(image, denoised, axes).map
    height, width = values.shape
    edges = [-(width // 2), (width - 1) // 2, (height - 1) // 2, -(height // 2)]
    ax = _axes(ax)
    half = np.array([-0.5, 0.5, 0.5, -0.5])
    shown = ax.imshow(values, cmap="RdBu", vmin=-1, vmax=1, extent=edges + half)
    ax.figure.colorbar(shown, ax=ax)
    ax.set(xlabel="offset along X (pixels)", ylabel="offset along Y (pixels)")
    return ax


def autocorrelation(image: Any) -> NDArray[np.float64]:
    """Autocorrelation of all pixels of an image, structure included.

    Offsets wrap around. `check_data` and `check_residual` estimate the autocorrelation of
    the noise alone.

    Parameters
    ----------
    image : array_like
        Real numbers, in any number of dimensions.

    Returns
    -------
    ndarray
        float64 in the shape of the image; offset 0, with the value 1, is at ``size // 2``
        along every axis.

    Raises
    ------
    DataError
        If the image is constant or a pixel is not finite.
    """
    pixels = np.asarray(image, np.float64)
    if not np.isfinite(pixels).all() or not np.ptp(pixels):
        raise DataError(
            "The image is constant or has NaN or infinite pixels, so it has no "
            "autocorrelation; give one of finite pixels that differ."
        )
    spectrum = np.fft.fftn((pixels - pixels.mean()) / np.ptp(pixels))
    values = np.fft.fftshift(np.fft.ifftn(np.abs(spectrum) ** 2).real)
    result: NDArray[np.float64] = values / values.max()
    return result


def _plane(image: Any, axes: str | None) -> NDArray[np.float64]:
    """First plane of the first channel and sample, ``(Y, X)``."""
    if axes is None and np.ndim(image) == 2:
        axes = "YX"
    pixels = as_image(image, axes).samples[0]
    index = (slice(0, 1),) * (len(pixels.shape) - 2)
    height, width = pixels.shape[-2:]
    plane = np.asarray(pixels[(*index, slice(0, height), slice(0, width))], np.float64)
    return plane.reshape(height, width)


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    plot = require("matplotlib.pyplot", "plot", "Plotting")
    return plot.subplots()[1]
