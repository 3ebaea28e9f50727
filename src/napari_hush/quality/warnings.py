"""Warnings about training data and about results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.errors import DataError
from napari_hush.events import WarningIssued
from napari_hush.io import Image
from napari_hush.io.formats import is_result
from napari_hush.io.metadata import convert
from napari_hush.quality.intensities import saturated_share
from napari_hush.quality.report import check_data
from napari_hush.quality.residual import check_residual
from napari_hush.quality.sampling import SMALLEST, read_regions

if TYPE_CHECKING:
    from napari_hush.io import ImageMetadata

SATURATED = 0.001
"""Share of saturated pixels from which to warn."""
OTHER_SIZE = 1.1
"""Ratio of pixel sizes from which to warn."""
MANY_CHANNELS = 6
"""Most channels without names that are taken for channels without a warning."""
DIVERGED = 10
"""Ratio of the last loss to the lowest from which to warn; its square between them."""
WORSE = 1.05
"""Ratio of the validation loss to that of a simple prediction from which to warn."""
UNSEEN = 0.01
"""Share of pixels outside the training intensities from which to warn."""
OTHER_UNIT = 0.5
"""... and from which they are to blame for what is wrong with a result."""
LITTLE = 0.05
"""Range of all pixels, in standard deviations in training, that means another unit."""
FAR = 10
"""Standard deviations from the mean that, of any image, at most `UNSEEN` exceed."""

_TRAINED_ON = 2**20  # pixels of all training images that are measured
_DENOISED = 2**17  # pixels of each result, and for saturation, that are measured
_IMAGES = 4  # training images that are measured


def data_warnings(
    images: Sequence[Image], *, blind: bool, hides_neighbours: bool, time_context: int = 0
) -> list[WarningIssued]:
    """Many channels, saturation, correlated noise in a few training images, each once.

    Noise is checked for blind-spot methods only (`blind`); correlated noise is fine if they
    hide neighbors as well (structN2V). With a `time_context` neighboring frames have to be
    alike.
    """
    step = max(1, -(-len(images) // _IMAGES))
    looked_at = images[::step]
    found: dict[str, WarningIssued] = {}
    for image in looked_at:
        if many := channels_warning(image):
            found.setdefault("channels", many)
        if saturated := saturation(image):
            found.setdefault("saturation", saturated)
        if not (blind or time_context):
            continue
        if blind and image.path and image.path.suffix.lower() in (".jpg", ".jpeg"):
            found.setdefault("compression", _lossy(image.name))
        try:
            report = check_data(image, most_pixels=_TRAINED_ON // len(looked_at))
        except DataError:  # too small or constant
            continue
        if time_context and report.frames is not None and report.frames.too_fast:
            text = f"In {image.name}: {report.frames.reason}"
            found.setdefault("motion", WarningIssued("motion", text))
        refused = ("none",) if hides_neighbours else ("none", "structn2v")
        if blind and report.suggestion in refused:
            found.setdefault(
                "noise", WarningIssued("noise", f"In {image.name}: {report.reason}")
            )
    return list(found.values())


def correlated_noise(image: Image) -> WarningIssued | None:
    """Warn that the built-in denoiser, of independent noise, keeps noise of this image."""
    try:
        report = check_data(image, most_pixels=_DENOISED)
    except DataError:  # too small or constant
        return None
    if report.suggestion not in ("none", "structn2v"):
        return None
    noises = [channel.noise for channel in report.channels]
    x, y = (
        max(float(profile[1]) for profile in along)
        for along in ([noise.x for noise in noises], [noise.y for noise in noises])
    )
    advice = "train structN2V on the image"
    if report.suggestion == "none":
        advice = "use raw data that were neither smoothed nor enlarged, or train on pairs"
    return WarningIssued(
        "noise",
        f"In {image.name} the noise of neighboring pixels is correlated ({x:.2f} along X, "
        f"{y:.2f} along Y), and the built-in denoiser keeps some of it; {advice}.",
    )


def _lossy(name: str) -> WarningIssued:
    return WarningIssued(
        "noise",
        f"{name} is a JPEG file, whose compression correlates the noise of neighboring "
        "pixels, so less of it is removed; train on the original files if you have them.",
    )


def denoised_before(image: Image) -> WarningIssued | None:
    """Warn if the image is a result of this package, whose noise other checks misread."""
    if image.path is None or not is_result(image.path):
        return None
    return WarningIssued(
        "noise",
        f"{image.name} is a result of napari-hush, so most of its noise is gone already; "
        "denoise the original image.",
    )


def channels_warning(image: Image) -> WarningIssued | None:
    """Warn if there are so many channels without names that they may be planes."""
    count, axes = image.axes.canonical_shape[1], image.axes.axes
    if count <= MANY_CHANNELS or any(image.metadata.channels):
        return None
    better = axes.replace("C", next((a for a in "ZTS" if a not in axes), "C"))
    return WarningIssued(
        "channels",
        f"{image.name} has {count} channels without names, which may be planes or frames; "
        f"if so, give its axes as {better} instead of {axes} (on the command line "
        f"--axes {better}).",
    )


def loss_warning(
    first: float,
    epochs: Sequence[float],
    simple: Mapping[str, float] | None = None,
    mixed: str = "",
) -> WarningIssued | None:
    """Warn if losses of `epochs` have grown by much; `first` is that of the first step.

    Also if the last one is above that of a prediction without training: `simple` has their
    validation losses by their names. `mixed` says what results are made of beside the
    network's output.
    """
    if not epochs:
        return None
    outcome = "the model is of little use"
    if mixed:
        outcome = f"the network alone is of little use ({mixed})"
    finite = [loss for loss in epochs if math.isfinite(loss)]
    lowest, last = min([first, *finite]), epochs[-1]
    diverged = max(epochs) > DIVERGED**2 * first and last > first
    if last <= DIVERGED * max(lowest, first / DIVERGED**2) and not diverged:
        name = min(simple, key=simple.__getitem__) if simple else ""
        if not simple or last <= WORSE * simple[name]:
            return None
        return WarningIssued(
            "loss",
            f"The validation loss ended at {last:.3g}, above {simple[name]:.3g}, that of "
            f"{name}, so {outcome}; train longer, or with a smaller learning rate.",
        )
    return WarningIssued(
        "loss",
        f"The loss rose to {max(epochs):.3g} and ended at {last:.3g}, its lowest value was "
        f"{lowest:.3g}, so {outcome}; train with a smaller learning rate.",
    )


def saturation(image: Image) -> WarningIssued | None:
    """Warn if a thousandth of the pixels or more is saturated; always of equal pixels."""
    shape = image.axes.canonical_shape
    if min(shape[-2:]) < SMALLEST:
        return None
    try:
        regions = read_regions(image)
    except DataError:  # not finite: reported by training and denoising
        return None
    shares = [
        saturated_share([plane for region in regions for plane in region[channel]])
        for channel in range(shape[1])
    ]
    if max(shares) < SATURATED:
        return None
    return WarningIssued(
        "saturation",
        f"About {max(shares):.1%} of the pixels of {image.name} are saturated, so their "
        "signal is lost; use a shorter exposure.",
    )


def residual_warning(
    noisy: Image, denoised: Any, *, fit_gain: bool = False, trained_here: bool = True
) -> WarningIssued | None:
    """Warn if structure was lost; None where that is unknown.

    `denoised` is an Image or an array in the axes of the noisy image, `fit_gain` that of
    `check_residual`. A model that was not `trained_here` is not trained longer.
    """
    shape = denoised.axes.shape if isinstance(denoised, Image) else tuple(denoised.shape)
    if shape != noisy.axes.shape:  # other channels
        return None
    if not isinstance(denoised, Image):
        denoised = Image.from_array(denoised, noisy.axes.axes)
    try:
        report = check_residual(noisy, denoised, fit_gain=fit_gain, most_pixels=_DENOISED)
    except DataError:  # too small or constant
        return None
    if report.verdict != "structure lost":
        return None
    reason = report.reason
    if not trained_here:
        reason = reason.partition(";")[0] + (
            "; the model was trained on other images and does not suit this image, so "
            "train one on images like it."
        )
    return WarningIssued("structure", f"In {noisy.name}: {reason}")


def size_warning(
    name: str, here: ImageMetadata, trained: ImageMetadata
) -> WarningIssued | None:
    """Warn if pixels have another size than in training; None where one is unknown."""
    for axis in "XYZ":
        if axis not in here.scale or axis not in trained.scale:
            continue
        unit = trained.units.get(axis, "")
        try:
            size = convert(here.scale[axis], here.units.get(axis, ""), unit)
        except ValueError:  # one is a length, the other is not
            continue
        ratio = size / trained.scale[axis]
        if max(ratio, 1 / ratio) > OTHER_SIZE:
            return WarningIssued(
                "pixel size",
                f"A pixel of {name} is {size:.3g} {unit or 'units'} along {axis}, but the "
                f"model was trained with {trained.scale[axis]:.3g}: structures appear "
                f"{1 / ratio:.2g} times as large; train on images with this pixel size.",
            )
    return None


UnseenCounts = tuple[int, int, int, float, float]
"""Pixels below and above the range, all pixels, the smallest and the largest pixel."""


class UnseenIntensities:
    """Counts pixels outside the range of intensities that a model was trained on.

    Parameters
    ----------
    ranges : sequence of (float, float)
        Smallest and largest training pixel per channel; empty where unknown.
    means, stds : sequence of float
        Of the training pixels, per channel, where they are known.
    """

    def __init__(
        self,
        ranges: Sequence[tuple[float, float]],
        means: Sequence[float] = (),
        stds: Sequence[float] = (),
    ) -> None:
        self._known = bool(ranges)
        self._typical = [*zip(means, stds, strict=True)]
        ranges = ranges or [(m - FAR * s, m + FAR * s) for m, s in self._typical]
        self._low, self._high = np.array(ranges).reshape(-1, 2).T
        self._below = self._above = self._pixels = 0
        self._lowest, self._highest = np.inf, -np.inf

    def see(self, pixels: NDArray[Any]) -> None:
        """Count ``(n, C, ...)`` pixels."""
        self._lowest = min(self._lowest, float(pixels.min()))
        self._highest = max(self._highest, float(pixels.max()))
        if not len(self._low):
            return
        shape = (1, -1) + (1,) * (pixels.ndim - 2)
        self._below += int(np.count_nonzero(pixels < self._low.reshape(shape)))
        self._above += int(np.count_nonzero(pixels > self._high.reshape(shape)))
        self._pixels += pixels.size

    @property
    def counts(self) -> UnseenCounts:
        """The numbers so far, for `add`."""
        return self._below, self._above, self._pixels, self._lowest, self._highest

    def add(self, counts: UnseenCounts) -> None:
        """Add numbers from another process or thread."""
        below, above, pixels, lowest, highest = counts
        self._below += below
        self._above += above
        self._pixels += pixels
        self._lowest = min(self._lowest, lowest)
        self._highest = max(self._highest, highest)

    def excludes(self, most: Sequence[tuple[float, float]]) -> bool:
        """Whether `most` pixels, low to high per channel, exceed the range of one."""
        if not len(self._low):
            return False
        low, high = np.array(most).T
        return bool(np.any((low < self._low) | (high > self._high)))

    @property
    def _trained_on(self) -> str:
        if self._known:
            return f"{self._low.min():.7g} to {self._high.max():.7g}"
        return ", ".join(f"{mean:.4g} ± {std:.4g}" for mean, std in self._typical)

    @property
    def is_other_unit(self) -> bool:
        """Whether most pixels are outside the range, on one side, or all are alike."""
        outside = max(self._above, self._below) > OTHER_UNIT * self._pixels
        return outside or self._varies_little

    @property
    def _varies_little(self) -> bool:
        least = min((LITTLE * std for _, std in self._typical), default=0.0)
        return 0 < self._highest - self._lowest < least

    def warning(self, name: str) -> WarningIssued | None:
        """Warn of another unit, or if a hundredth of the pixels was outside the range."""
        if self._varies_little:
            return WarningIssued(
                "intensities",
                f"The pixels of {name} are {self._lowest:.4g} to {self._highest:.4g} but "
                f"the training data {self._trained_on}, so they are in another unit and "
                "the result is wrong; scale the image like the training data.",
            )
        most, how = max((self._above, "brighter"), (self._below, "darker"))
        if not self._pixels or most < UNSEEN * self._pixels:
            return None
        how = how if self._known else f"much {how}"
        return WarningIssued(
            "intensities",
            f"{most / self._pixels:.0%} of the pixels of {name} are {how} than the "
            f"training data ({self._trained_on}), so the result there may be wrong; "
            "train on images like this one.",
        )
