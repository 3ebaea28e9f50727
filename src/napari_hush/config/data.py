"""Images, patches, normalisation and augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FiniteFloat, model_validator

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.config.base import Frozen
from napari_hush.config.transforms import (
    Transform,
    XYFlipConfig,
    XYRandomRotate90Config,
)


class MeanStdConfig(Frozen):
    """Scale to zero mean and unit variance."""

    name: Literal["mean_std"] = "mean_std"
    per_channel: bool = True
    """Use the statistics of each channel, or those of all channels."""


class QuantileConfig(Frozen):
    """Scale a low quantile to 0 and a high one to 1; robust to outliers."""

    name: Literal["quantile"] = "quantile"
    per_channel: bool = True
    """Use the statistics of each channel, or those of all channels."""
    lower: float = Field(0.01, ge=0, lt=1)
    """Quantile that is scaled to 0 (0 to 1)."""
    upper: float = Field(0.99, gt=0, le=1)
    """Quantile that is scaled to 1 (0 to 1)."""

    @model_validator(mode="after")
    def _ordered(self) -> QuantileConfig:
        if self.lower >= self.upper:
            raise ValueError(
                f"lower is {self.lower} and upper {self.upper}; lower must be the smaller"
            )
        return self


class MinMaxConfig(Frozen):
    """Scale the minimum to 0 and the maximum to 1."""

    name: Literal["min_max"] = "min_max"
    per_channel: bool = True
    """Use the statistics of each channel, or those of all channels."""


class NoNormalizationConfig(Frozen):
    """Do not scale intensities."""

    name: Literal["none"] = "none"


NormalizationConfig = Annotated[
    MeanStdConfig | QuantileConfig | MinMaxConfig | NoNormalizationConfig,
    Field(discriminator="name"),
]


class BackgroundConfig(Frozen):
    """Exclude most background patches from training."""

    measure: Literal["mean", "std", "entropy"] = "mean"
    """Statistic of a patch: mean, standard deviation or entropy (bits)."""
    threshold: float
    """Patches below it are background; in intensities of the first channel, or bits."""
    kept: float = Field(0.1, ge=0, le=1)
    """Fraction of the background patches to keep (0 to 1)."""


Channels = tuple[Annotated[int, Field(ge=0)], ...] | None
DataType = Literal["array", "tiff", "zarr", "custom"]
Axes = Annotated[str, AfterValidator(validate_axes)]


class DataConfig(Frozen):
    """Images, patches, normalisation and augmentation."""

    data_type: DataType = "array"
    """Type of the images: arrays, TIFF files, Zarr stores, or files of a custom reader."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    channels: Channels = None
    """Channels of the images to use, numbered from 0; None for all.

    Images to denoise have all channels; the result has the selected ones.
    """
    target_channels: Channels = None
    """Channels of the targets to use, numbered from 0; None for all."""
    level: int = Field(0, ge=0)
    """Resolution level of OME-Zarr images; 0 is the full resolution."""
    patch_size: tuple[int, ...] = (64, 64)
    """Size of the training patches in pixels, (Y, X) or (Z, Y, X)."""
    batch_size: int = Field(16, ge=1, le=4096)
    """Patches per optimizer step."""
    transforms: tuple[Transform, ...] = (XYFlipConfig(), XYRandomRotate90Config())
    """Random flips and rotations of training patches; empty for none."""
    normalization: NormalizationConfig = MeanStdConfig()
    """Normalisation of intensities."""
    background: BackgroundConfig | None = None
    """Background patches to exclude; None for none."""
    image_means: tuple[FiniteFloat, ...] | None = None
    """Mean intensity of each channel; None to measure it on the training data."""
    image_stds: tuple[FiniteFloat, ...] | None = None
    """Standard deviation of each channel; None to measure it on the training data."""
    target_means: tuple[FiniteFloat, ...] | None = None
    """Mean intensity of each channel of the targets; None to measure it."""
    target_stds: tuple[FiniteFloat, ...] | None = None
    """Standard deviation of each channel of the targets; None to measure it."""
    shuffle: bool = True
    """Shuffle training patches in every epoch."""
    num_workers: int = Field(0, ge=0, le=64)
    """Worker processes that prepare batches; 0 for the training process itself."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of weights, validation split, shuffling, augmentation and masks."""

    @model_validator(mode="after")
    def _agree(self) -> DataConfig:
        check_level(self.level, self.data_type)
        spatial = spatial_axes(self.axes)
        if len(self.patch_size) != len(spatial):
            raise ValueError(
                f"patch_size {list(self.patch_size)} has {len(self.patch_size)} entries "
                f"but the axes {self.axes!r} need {len(spatial)}, one each for "
                f"{', '.join(spatial)}"
            )
        for axis, size in zip(spatial, self.patch_size, strict=True):
            if size < (least := 1 if axis == "Z" else 8):
                raise ValueError(f"patch_size along {axis} is {size}; use {least} or more")
        for name in ("channels", "target_channels"):
            check_channel_numbers(name, getattr(self, name), self.axes)
        names = [transform.name for transform in self.transforms]
        if len(set(names)) < len(names):
            raise ValueError(f"transforms contains {', '.join(names)}; give each one once")
        _check_statistics("image", self.image_means, self.image_stds)
        _check_statistics("target", self.target_means, self.target_stds)
        return self


def check_channel_numbers(name: str, chosen: Channels, axes: str) -> None:
    """Refuse channels that are empty or repeated, or if `axes` have no C."""
    if chosen is None:
        return
    if not chosen:
        raise ValueError(f"{name} is empty; give a channel, or None for all")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{name} {list(chosen)} repeats a channel; give each one once")
    if "C" not in axes:
        raise ValueError(
            f"{name} is {list(chosen)} but the axes {axes!r} have no C; add C, or leave "
            f"{name} out"
        )


def check_level(level: int, data_type: DataType) -> None:
    """Refuse a resolution level for data that have none."""
    if level and data_type != "zarr":
        raise ValueError(
            f"level is {level} but data_type is {data_type!r}, and only Zarr has levels; "
            "set level to 0"
        )


def _check_statistics(
    what: str, means: tuple[float, ...] | None, stds: tuple[float, ...] | None
) -> None:
    if (means is None) != (stds is None):
        raise ValueError(
            f"only one of {what}_means and {what}_stds is set; give both or none"
        )
    if means is None or stds is None:
        return
    if len(means) != len(stds):
        raise ValueError(
            f"{what}_means has {len(means)} entries and {what}_stds {len(stds)}; give one "
            "of each per channel"
        )
    if any(std < 0 for std in stds):
        raise ValueError(f"{what}_stds contains a negative number")
