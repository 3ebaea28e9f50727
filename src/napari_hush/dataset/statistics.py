"""Statistics of the training pixels in one pass, and the normalization they give."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from napari_hush.boxes import Boxes, box_size
from napari_hush.config import (
    MeanStdConfig,
    MinMaxConfig,
    NoNormalizationConfig,
    QuantileConfig,
)
from napari_hush.errors import DataError
from napari_hush.models.normalization import Normalization
from napari_hush.system.atomic_write import whole_file

if TYPE_CHECKING:
    from napari_hush.config import NormalizationConfig
    from napari_hush.dataset.patch_plan import Windows

_log = logging.getLogger(__name__)

_REGION = 1 << 21
"""Pixels converted to float64 at once."""

_ROUNDING = 1e-14
"""Spread, relative to the mean, that rounding to float64 may cause."""

_SKETCH = 1 << 20
"""Values per channel kept for the quantiles of pixels other than 8 and 16 bit integers."""


class Statistics:
    """Mean, standard deviation, range and, if wanted, quantiles per channel.

    8 and 16 bit integers are counted in a histogram, which gives exact results. For other
    types mean and variance are updated in float64 as by Chan, Golub and LeVeque (1979),
    which keeps precision at large offsets, and every n-th value is kept for the quantiles,
    about a million.
    """

    def __init__(self, *, quantiles: bool = True) -> None:
        self.count = 0  # pixels per channel
        self._keeps_values = quantiles
        self._counts: NDArray[np.int64] | None = None
        self._levels = np.zeros(0)
        self._mean: NDArray[np.float64] = np.zeros(1)
        self._squares: NDArray[np.float64] = np.zeros(1)
        self._minimum: NDArray[np.float64] = np.full(1, np.inf)
        self._maximum: NDArray[np.float64] = np.full(1, -np.inf)
        self._values: list[NDArray[np.float64]] = []
        self._stride = 1

    def add(self, pixels: NDArray[Any]) -> None:
        """Add pixels ``(C, n)``, always of one dtype."""
        if pixels.shape[1] == 0:
            return
        if pixels.dtype.itemsize <= 2 and pixels.dtype.kind in "ui":
            self._add_counts(pixels)
        else:
            self._add_moments(pixels.astype(np.float64))
        self.count += pixels.shape[1]

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each channel."""
        if self._counts is None:
            return self._mean
        return np.asarray(self._counts @ self._levels / self.count)

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation of each channel, over all pixels (ddof 0).

        A channel that differs from 0 by less than 1e-150 or so counts as constant, but
        raises a DataError if it is the only one, as do pixels beyond 1e150 or so.
        """
        if self._counts is None:
            lost = (self._squares == 0) & (self._minimum < self._maximum)
            lost = ~np.isfinite(self._squares) | (lost if lost.all() else False)
            if lost.any():
                raise DataError(
                    f"Pixels of {self._minimum[lost].min():.3g} to "
                    f"{self._maximum[lost].max():.3g} cannot be computed with, since their "
                    "squares leave the range of float64; multiply the image so that they "
                    "are between 1e-150 and 1e150."
                )
            return np.sqrt(self._squares / self.count)
        from_mean = np.square(self._levels - self.mean[:, None])
        return np.asarray(np.sqrt((self._counts * from_mean).sum(axis=1) / self.count))

    @property
    def minimum(self) -> NDArray[np.float64]:
        """Smallest pixel of each channel."""
        if self._counts is None:
            return self._minimum
        return np.asarray(self._levels[(self._counts > 0).argmax(axis=1)])

    @property
    def maximum(self) -> NDArray[np.float64]:
        """Largest pixel of each channel."""
        if self._counts is None:
            return self._maximum
        return np.asarray(self._levels[::-1][(self._counts[:, ::-1] > 0).argmax(axis=1)])

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pixels of each channel."""
        return np.full(len(self.mean), self.count)

    def quantiles(self, *shares: float) -> NDArray[np.float64]:
        """Quantiles ``(len(shares), C)``."""
        if self._counts is None:
            return np.quantile(np.concatenate(self._values, axis=1), shares, axis=1)
        wanted = np.asarray(shares) * (self.count - 1)
        below = self._counts.cumsum(axis=1)
        places = [np.searchsorted(total, wanted, side="right") for total in below]
        return np.asarray(self._levels[np.stack(places, axis=1)])

    def _add_counts(self, pixels: NDArray[Any]) -> None:
        lowest = int(np.iinfo(pixels.dtype).min)
        if self._counts is None:
            size = 1 << 8 * pixels.dtype.itemsize
            self._levels = np.arange(lowest, lowest + size, dtype=np.float64)
            self._counts = np.zeros((len(pixels), size), np.int64)
        for counts, channel in zip(self._counts, pixels, strict=True):
            shifted = channel if lowest == 0 else channel.astype(np.int32) - lowest
            counts += np.bincount(shifted, minlength=len(counts))

    def _add_moments(self, values: NDArray[np.float64]) -> None:
        n = values.shape[1]
        total = self.count + n
        with np.errstate(over="ignore", invalid="ignore"):  # `std` says so
            mean = values.mean(axis=1)
            squares = np.square(values - mean[:, None]).sum(axis=1)
            delta = mean - self._mean
            if self.count:
                squares = squares + delta**2 * (self.count * n / total)
            self._squares = self._squares + squares
            self._mean = self._mean + delta * (n / total)
        self._minimum = np.minimum(self._minimum, values.min(axis=1))
        self._maximum = np.maximum(self._maximum, values.max(axis=1))
        if not self._keeps_values:
            return
        self._values.append(values[:, -self.count % self._stride :: self._stride].copy())
        if sum(part.shape[1] for part in self._values) > 2 * _SKETCH:
            self._values = [np.concatenate(self._values, axis=1)[:, ::2]]
            self._stride *= 2


def _joined(name: str) -> property:
    """The statistic `name` of all channels, ``(C,)``."""
    return property(lambda self: np.concatenate([getattr(c, name) for c in self.channels]))


@dataclass(frozen=True)
class ChannelStatistics:
    """The same of channels that have different numbers of pixels, each on its own."""

    channels: Sequence[Statistics]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of pixels of each channel."""
        return np.array([channel.count for channel in self.channels])

    mean, std = _joined("mean"), _joined("std")
    minimum, maximum = _joined("minimum"), _joined("maximum")

    def quantiles(self, *shares: float) -> NDArray[np.float64]:
        """Quantiles ``(len(shares), C)``."""
        parts = [channel.quantiles(*shares) for channel in self.channels]
        return np.concatenate(parts, axis=1)


def measure(
    samples: Sequence[Any],
    names: Sequence[str],
    held_out: dict[int, Windows],
    patch_size: tuple[int, ...],
    *,
    quantiles: bool = True,
    valid: Sequence[Any] | None = None,
) -> Statistics | ChannelStatistics:
    """Statistics of all pixels of `samples` outside of held-out windows.

    Samples are indexed by slices ``(C, (Z), Y, X)``, in memory or on disk; `names` are for
    messages. `held_out` maps the number of a sample to the corners ``(n, spatial)`` of
    windows of `patch_size` ``((Z), Y, X)``. `valid`, of the shapes of the samples, is False
    at pixels to leave out. Raises a DataError if a pixel is NaN or infinite, in held-out
    windows too, or a channel has no valid pixels.
    """
    found = Statistics(quantiles=quantiles)
    whole = getattr(samples, "samples", samples)  # of blocks: their dtypes without reading
    common = np.result_type(*{np.dtype(sample.dtype) for sample in whole})
    alone = [] if valid is None else [Statistics(quantiles=quantiles) for _ in valid[0]]
    for number, (sample, name) in enumerate(zip(samples, names, strict=True)):
        corners = held_out.get(number)
        for region in regions(sample):
            pixels = np.asarray(sample[(slice(0, sample.shape[0]), *region)])
            require_finite(pixels, name)
            pixels = pixels.astype(common, copy=False)
            if valid is not None:
                kept = valid[number][(slice(0, sample.shape[0]), *region)]
                if corners is not None:
                    kept = kept & _outside(region, corners, patch_size)
                for channel, values, which in zip(alone, pixels, kept, strict=True):
                    channel.add(values[which][None])
            elif corners is None:
                found.add(pixels.reshape(len(pixels), -1))
            else:
                found.add(pixels[:, _outside(region, corners, patch_size)])
    if valid is None:
        return found
    if not all(channel.count for channel in alone):
        raise DataError(
            f"All pixels of {names[0]} are masked, in one of its channels at least, so "
            "there is nothing to learn; unmask some, or leave the channel out."
        )
    return ChannelStatistics(alone)


def regions(sample: Any) -> Boxes:
    """Cut ``((Z), Y, X)`` into regions that are read at once, of whole chunks."""
    chunks = getattr(sample, "chunks", None)
    pieces = None if chunks is None else chunks[1:]
    return Boxes(sample.shape[1:], box_size(sample.shape[1:], _REGION, pieces))


def require_finite(pixels: NDArray[Any], name: str) -> None:
    """Raise a DataError with the image's `name` if pixels are NaN or infinite."""
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise DataError(
            f"{name} has NaN or infinite pixels; crop them, or replace them with "
            "numpy.nan_to_num(pixels, posinf=0, neginf=0)."
        )


def _outside(
    region: tuple[slice, ...], corners: Windows, patch_size: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Pixels of a region outside of the windows at `corners`."""
    origin = np.array([part.start for part in region])
    end = np.array([part.stop for part in region])
    keep = np.ones(tuple(end - origin), bool)
    meets = ((corners < end) & (corners + patch_size > origin)).all(axis=1)
    for corner in (corners[meets] - origin).tolist():
        window = [slice(max(c, 0), c + p) for c, p in zip(corner, patch_size, strict=True)]
        keep[tuple(window)] = False
    return keep


def cache_folder() -> Path:
    """``$HUSH_CACHE_DIR``, or the user's cache folder."""
    given = os.environ.get("HUSH_CACHE_DIR")
    return (
        Path(given)
        if given
        else platformdirs.user_cache_path("napari-hush", appauthor=False)
    )


def cached(key: list[object] | None, measure: Callable[[], Normalization]) -> Normalization:
    """The normalization cached for `key` (JSON; None is not cached), or from `measure`."""
    if key is None:
        return measure()
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    path = cache_folder() / "statistics" / f"{name}.json"
    try:
        with path.open("rb") as file:
            kept = json.loads(file.read(_CACHED_BYTES))
        found = Normalization(tuple(kept["means"]), tuple(kept["stds"]))
        if kept["sha256"] == _seal(name, found):
            return found
        raise ValueError("they were changed")
    except FileNotFoundError:
        pass
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        _log.warning("The statistics cached in %s are unreadable: %s", path, error)
    found = measure()
    values = {"means": found.means, "stds": found.stds, "sha256": _seal(name, found)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part:
            part.write_text(json.dumps(values))
    except OSError as error:
        _log.warning("The statistics cannot be cached in %s: %s", path, error)
    return found


_CACHED_BYTES = 2**20
"""Limit for the size of cached statistics."""


def _seal(name: str, found: Normalization) -> str:
    """Hash of statistics and of the name of their file."""
    values = [name, *map(repr, (found.means, found.stds))]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def fit_normalization(
    config: NormalizationConfig, found: Statistics | ChannelStatistics, what: str
) -> Normalization:
    """The normalization of `config`, from the statistics of the pixels.

    Raises a DataError if a channel of `what` (e.g. "the training data") is constant.
    """
    channels = len(found.mean)
    match config:
        case NoNormalizationConfig():
            return Normalization((0.0,) * channels, (1.0,) * channels)
        case MeanStdConfig():
            centre, spread = found.mean, found.std
            if not config.per_channel:
                share = found.counts / found.counts.mean()
                middle = np.mean(share * centre)
                squares = np.mean(share * spread**2)
                between = np.mean(share * (centre - middle) ** 2)
                spread = np.full(channels, np.sqrt(squares + between))
                centre = np.full(channels, middle)
        case MinMaxConfig() | QuantileConfig():
            if isinstance(config, MinMaxConfig):
                low, high = found.minimum, found.maximum
            else:
                low, high = found.quantiles(config.lower, config.upper)
            if not config.per_channel:
                low, high = np.full(channels, low.min()), np.full(channels, high.max())
            centre, spread = low, high - low
    for channel, (m, s) in enumerate(zip(centre, spread, strict=True)):
        if not s > abs(m) * _ROUNDING:
            which = f"channel {channel} of {what}" if channels > 1 else what
            constant = found.minimum[channel] == found.maximum[channel]
            others = [n for n in range(channels) if n != channel]
            advice = "choose an image with structure"
            if s > 0 and not constant:
                advice = f"subtract {m:g} from the pixels first, or {advice}"
            if others:
                advice = f"leave it out with channels={others}, or {advice}"
            raise DataError(
                f"In {which} the intensity is {m:g} {'' if constant else 'nearly '}"
                f"everywhere, so there is nothing to learn; {advice}."
            )
    return Normalization(tuple(centre.tolist()), tuple(spread.tolist()))
