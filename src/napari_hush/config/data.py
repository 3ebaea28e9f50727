"""The images, the patches cut from them, and how both are normalised."""

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
    """Zero mean and unit variance."""

    name: Literal["mean_std"] = "mean_std"
    per_channel: bool = True
    """Scale each channel by its own statistics, or all channels alike."""


class QuantileConfig(Frozen):
    """A low quantile becomes 0 and a high one 1; outliers do not matter."""

    name: Literal["quantile"] = "quantile"
    per_channel: bool = True
    """Scale each channel by its own statistics, or all channels alike."""
    lower: float = Field(0.01, ge=0, lt=1)
    """Share of the pixels below what becomes 0 (0 to 1)."""
    upper: float = Field(0.99, gt=0, le=1)
    """Share of the pixels below what becomes 1 (0 to 1)."""

    @model_validator(mode="after")
    def _ordered(self) -> QuantileConfig:
        if self.lower >= self.upper:
            raise ValueError(
                f"lower is {self.lower} and upper {self.upper}; lower must be the smaller"
            )
        return self


class MinMaxConfig(Frozen):
    """The smallest intensity becomes 0 and the largest 1."""

    name: Literal["min_max"] = "min_max"
    per_channel: bool = True
    """Scale each channel by its own statistics, or all channels alike."""


class NoNormalizationConfig(Frozen):
    """Intensities are used as they are."""

    name: Literal["none"] = "none"


NormalizationConfig = Annotated[
    MeanStdConfig | QuantileConfig | MinMaxConfig | NoNormalizationConfig,
    Field(discriminator="name"),
]


class BackgroundConfig(Frozen):
    """Leave most patches of empty background out of training."""

    measure: Literal["mean", "std", "entropy"] = "mean"
    """What is compared with the threshold: mean, standard deviation or entropy (bits)."""
    threshold: float
    """Patches below it are background, in intensities of the first channel or bits."""
    kept: float = Field(0.1, ge=0, le=1)
    """Share of the background patches that is kept (0 to 1)."""


Channels = tuple[Annotated[int, Field(ge=0)], ...] | None
DataType = Literal["array", "tiff", "zarr", "custom"]
Axes = Annotated[str, AfterValidator(validate_axes)]


class DataConfig(Frozen):
    """The images, the patches cut from them, and how both are normalised."""

    data_type: DataType = "array"
    """What is given: arrays, TIFF files, Zarr stores, or files of your own type."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    channels: Channels = None
    """Which channels of the images are used, numbered from 0; None for all.

    Images to denoise are given with all their channels; the result has these.
    """
    target_channels: Channels = None
    """Which channels of the targets are used, numbered from 0; None for all."""
    level: int = Field(0, ge=0)
    """Which resolution of OME-Zarr images to read; 0 is the finest."""
    patch_size: tuple[int, ...] = (64, 64)
    """Size of the training patches in pixels, (Y, X) or (Z, Y, X)."""
    batch_size: int = Field(16, ge=1, le=4096)
    """Patches per optimizer step."""
    transforms: tuple[Transform, ...] = (XYFlipConfig(), XYRandomRotate90Config())
    """Random mirroring and turning of training patches; empty for none."""
    normalization: NormalizationConfig = MeanStdConfig()
    """How intensities are scaled."""
    background: BackgroundConfig | None = None
    """Which patches are left out as empty background; None for none."""
    image_means: tuple[FiniteFloat, ...] | None = None
    """Mean intensity of each channel; None to measure it on the training data."""
    image_stds: tuple[FiniteFloat, ...] | None = None
    """Standard deviation of each channel; None to measure it on the training data."""
    target_means: tuple[FiniteFloat, ...] | None = None
    """Mean intensity of each channel of the targets; None to measure it."""
    target_stds: tuple[FiniteFloat, ...] | None = None
    """Standard deviation of each channel of the targets; None to measure it."""
    shuffle: bool = True
    """Visit training patches in random order, new in every epoch."""
    num_workers: int = Field(0, ge=0, le=64)
    """Processes that prepare batches; 0 prepares them in the training process."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of every random draw: weights, split, order, augmentation, masks."""

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
            raise ValueError(f"transforms name the same one twice: {', '.join(names)}")
        _check_statistics("image", self.image_means, self.image_stds)
        _check_statistics("target", self.target_means, self.target_stds)
        return self


def check_channel_numbers(name: str, chosen: Channels, axes: str) -> None:
    """Refuse a choice of channels that is empty, names one twice, or has no C."""
    if chosen is None:
        return
    if not chosen:
        raise ValueError(f"{name} is empty; name a channel, or leave it out for all")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{name} {list(chosen)} names a channel twice")
    if "C" not in axes:
        raise ValueError(
            f"{name} {list(chosen)} chooses channels but the axes {axes!r} have no C; add "
            f"it, or leave {name} out"
        )


def check_level(level: int, data_type: DataType) -> None:
    """Complain of a resolution to read where there is but one."""
    if level and data_type != "zarr":
        raise ValueError(
            f"level is {level} but data_type is {data_type!r}, and only Zarr has levels; "
            "leave the level out"
        )


def _check_statistics(
    what: str, means: tuple[float, ...] | None, stds: tuple[float, ...] | None
) -> None:
    if (means is None) != (stds is None):
        raise ValueError(f"{what}_means and {what}_stds go together: give both or none")
    if means is None or stds is None:
        return
    if len(means) != len(stds):
        raise ValueError(
            f"{what}_means has {len(means)} entries and {what}_stds {len(stds)}; give one "
            "of each per channel"
        )
    if any(std < 0 for std in stds):
        raise ValueError(f"{what}_stds holds a negative number")
