"""How the built-in denoiser scales each sample of an image, by its own statistics."""

from __future__ import annotations

import math
from itertools import islice
from typing import Any

import numpy as np
import torch

from napari_hush.dataset.statistics import Statistics, regions, require_finite
from napari_hush.models.built_in import SPIKE, within_squares, without_spikes
from napari_hush.models.normalization import Normalization, exact_float

_ROUNDING = 1e-6  # share of the spread that may be due to rounding


def own_scalings(
    sample: Any, name: str, most_pixels: float = math.inf
) -> tuple[Normalization, Normalization]:
    """Scaling of a sample ``(C, (Z), Y, X)`` for a built-in denoiser, and of results.

    By its mean and its standard deviation within squares of 32 pixels, to which hot pixels
    do not count; a constant channel stays as it is. Parts of samples with more than
    `most_pixels` are read, evenly spread. Raises DataError with the image's `name` for NaN
    or infinite pixels.
    """
    found, fine = Statistics(quantiles=False), np.zeros(sample.shape[0])
    boxes = regions(sample)
    size = math.prod(sample.shape[1:])
    step = max(1, math.ceil(size / most_pixels)) if size else 1
    for region in islice(boxes, 0, None, step):
        pixels = np.asarray(sample[(slice(0, sample.shape[0]), *region)])
        require_finite(pixels, name)
        values = torch.from_numpy(pixels.astype(exact_float(pixels.dtype)))
        for channel in values:
            center, spread = channel.mean(), channel.std(correction=0)
            if (channel - center).amax() > SPIKE * spread:
                usual = channel.clamp(max=float(np.quantile(channel, 0.999)))
                center, spread = usual.mean(), usual.std(correction=0)
                if spread > 0:
                    least = SPIKE * float(spread)
                    channel.copy_(without_spikes(channel - center, least) + center)
        found.add(values.reshape(len(values), -1).numpy())
        fine += within_squares(values).numpy()
    within = np.sqrt(fine / found.count)
    spreads = np.where(within > _ROUNDING * found.std, within, found.std)
    mean = np.where(found.minimum == found.maximum, found.minimum, found.mean)
    before, after = (
        Normalization(
            tuple(mean.tolist()), tuple(np.where(spreads > 0, spreads, s).tolist())
        )
        for s in (1.0, 0.0)
    )
    return before, after
