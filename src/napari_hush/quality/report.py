"""Check of the data before training: `check_data`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_hush.config.methods import METHODS
from napari_hush.errors import DataError
from napari_hush.io import Image
from napari_hush.io.arrays import required_axes
from napari_hush.quality.advice import Advice, Method, advise
from napari_hush.quality.correlation import NoiseCorrelation, noise_correlation
from napari_hush.quality.intensities import (
    background_share,
    hot_share,
    noise_level,
    photon_transfer,
    saturated_share,
)
from napari_hush.quality.motion import FrameAdvice, advise_frames
from napari_hush.quality.sampling import (
    MOST_PIXELS,
    cut_blocks,
    read_regions,
    rounding,
)

if TYPE_CHECKING:
    from napari_hush.config.transforms import StructAxis


@dataclass(frozen=True, eq=False)
class ChannelReport:
    """Measurements of one channel."""

    noise: NoiseCorrelation
    """Autocorrelation of the noise: ``noise.map``, and ``noise.x``, ``noise.y`` and
    ``noise.z`` along the axes."""
    sigma: float
    """Standard deviation of the noise in the median block, in gray values."""
    hot_share: float
    """Share of hot pixels, 0 to 1."""
    background_share: float
    """Share of the area that is background, 0 to 1."""
    saturated_share: float
    """Share of saturated pixels, 0 to 1."""
    advice: Advice
    """The method for this channel alone."""
    most: tuple[float, float] = (float("nan"), float("nan"))
    """Gray values between which 90 % of the pixels are: 5th and 95th percentile."""


@dataclass(frozen=True, eq=False)
class DataReport:
    """Measurements of an image, and the recommended method."""

    channels: tuple[ChannelReport, ...]
    """One per channel."""
    advice: Advice
    """The method for all channels together."""
    pixels: int
    """Number of pixels measured."""
    frames: FrameAdvice | None = None
    """How much neighboring frames differ; None for images of fewer than 3 frames."""

    @property
    def suggestion(self) -> Method:
        """``"n2v"``, ``"n2v2"``, ``"structn2v"`` or ``"none"``."""
        return self.advice.method

    @property
    def axis(self) -> StructAxis:
        """``struct_mask_axis`` to train with; ``"none"`` without structN2V."""
        return self.advice.axis

    @property
    def span(self) -> int:
        """``struct_mask_span`` to train with; 1 without structN2V."""
        return self.advice.span

    @property
    def reason(self) -> str:
        """The reason in one sentence."""
        return self.advice.reason

    def as_text(self) -> str:
        """The report in a few lines of text."""
        lines = [f"Use {_named(self.advice)}.", self.reason, ""]
        for number, channel in enumerate(self.channels):
            if len(self.channels) > 1:
                lines.append(f"Channel {number}: {_named(channel.advice)}")
            lines += _lines(channel)
        if self.frames is not None:
            lines += ["", self.frames.reason]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The report as numbers, lists and strings, ready for JSON."""
        return {
            "suggestion": self.suggestion,
            "axis": self.axis,
            "span": self.span,
            "reason": self.reason,
            "pixels": self.pixels,
            "channels": [_plain(channel) for channel in self.channels],
            **({} if self.frames is None else {"frames": asdict(self.frames)}),
        }


def check_data(
    data: Any, axes: str | None = None, *, seed: int = 0, most_pixels: int = MOST_PIXELS
) -> DataReport:
    """Measure the noise of an image and recommend a method.

    Parameters
    ----------
    data : Image or array
        An image from `napari_hush.io.open_images`, or any array; it may be on disk.
    axes : str, optional
        Axes of an array, one letter per dimension.
    seed : int
        Draws the regions that are read; the same seed gives the same report.
    most_pixels : int
        Largest number of pixels read, channels included; of a movie as many again, for
        the differences of its frames.

    Raises
    ------
    ConfigurationError, DataError
        If the axes do not fit, the image is smaller than 16 pixels along Y or X, a pixel
        is not finite, or a channel is constant.
    """
    image = as_image(data, axes)
    regions = read_regions(image, seed, most_pixels)
    number = regions[0].shape[0]
    channels = tuple(
        _check_channel(regions, channel, image.name, number, seed)
        for channel in range(number)
    )
    if number == 1:
        advice = channels[0].advice
    else:
        most_hot = max(channel.hot_share for channel in channels)
        advice = advise([channel.noise for channel in channels], most_hot)
    frames = advise_frames(image, seed, most_pixels)
    return DataReport(channels, advice, sum(region.size for region in regions), frames)


def as_image(data: Any, axes: str | None) -> Image:
    """Wrap an array with its axes; an `Image` is returned unchanged."""
    if isinstance(data, Image):
        return data
    return Image.from_array(data, axes or required_axes(data))


def constant_error(name: str, channel: int, number: int, missing: str) -> DataError:
    """Make the error for a constant channel; `missing` says what it lacks."""
    which, advice = name[0].upper() + name[1:], "give an image with structure and noise"
    if number > 1:
        which = f"Channel {channel} (counted from 0) of {name}"
        advice = "leave this channel out, or replace it"
    return DataError(
        f"{which} is constant wherever it was measured, so there is {missing}; {advice}."
    )


def _check_channel(
    regions: list[NDArray[Any]], channel: int, name: str, number: int, seed: int
) -> ChannelReport:
    blocks = cut_blocks(regions, channel, seed)
    planes = [plane for region in regions for plane in region[channel]]
    noise = noise_correlation(blocks, rounding(regions[0].dtype))
    transfer = photon_transfer(planes)
    if noise is None or transfer is None:
        raise constant_error(name, channel, number, "no noise to measure")
    hot = hot_share(planes, transfer)
    pixels = np.concatenate([plane.ravel() for plane in planes]).astype(np.float64)
    low, high = np.percentile(pixels, (5, 95))
    return ChannelReport(
        noise=noise,
        sigma=noise_level(blocks, noise),
        hot_share=hot,
        background_share=background_share(planes, transfer, noise),
        saturated_share=saturated_share(planes),
        advice=advise([noise], hot),
        most=(float(low), float(high)),
    )


def _named(advice: Advice) -> str:
    if advice.method == "none":
        return "no blind-spot method"
    label = METHODS[advice.method].label
    if advice.method == "structn2v":
        return f"{label}, axis {advice.axis}, span {advice.span}"
    return label


def _lines(channel: ChannelReport) -> list[str]:
    noise = channel.noise
    lines = ["  noise correlation at 1, 2, 3 pixels"]
    for letter, profile in (("X", noise.x), ("Y", noise.y), ("Z", noise.z)):
        if len(profile) > 1:
            values = "  ".join(f"{value:z5.2f}" for value in profile[1:4])
            lines.append(f"    along {letter}           {values}")
    shares = (
        ("hot pixels", channel.hot_share),
        ("background", channel.background_share),
        ("saturated", channel.saturated_share),
    )
    lines.append(f"  noise level         {channel.sigma:.3g} gray values")
    for name, share in shares:
        percent = np.format_float_positional(
            100 * share, precision=3, fractional=False, trim="-"
        )
        lines.append(f"  {name:<19} {percent} %")
    return lines


def _plain(channel: ChannelReport) -> dict[str, Any]:
    noise = {name: getattr(channel.noise, name) for name in ("map", "x", "y", "z")}
    return {
        "suggestion": channel.advice.method,
        "axis": channel.advice.axis,
        "span": channel.advice.span,
        "sigma": float(f"{channel.sigma:.6g}"),
        "hot_share": channel.hot_share,
        "background_share": round(channel.background_share, 4),
        "saturated_share": channel.saturated_share,
        "autocorrelation": {name: map_.round(4).tolist() for name, map_ in noise.items()},
    }
