"""Images, sizes of patches, normalization, augmentation; settings of a prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    FiniteFloat,
    field_validator,
    model_validator,
)

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.config.base import NEW, Frozen, with_quotes
from napari_hush.config.transforms import Transform, XYFlipConfig, XYRandomRotate90Config
from napari_hush.errors import DataError, counted

DEFAULT_PATCH = (16, 64, 64)
"""Default size in pixels, (Z, Y, X); of images (Y, X)."""
SMALLEST_SIDE = 8
"""Least size along Y and X in pixels."""


def fitting_patch(
    size: Sequence[int],
    wished: Sequence[int],
    multiple: Sequence[int],
    name: str = "the image",
) -> tuple[int, ...]:
    """The largest patch of at most `wished` pixels in an image of `size` pixels.

    All are ``((Z), Y, X)``. Along axes where the image is smaller than wished, the patch is
    a multiple of `multiple`, as a network requires. Raises a DataError if that, or
    `SMALLEST_SIDE`, is larger than the image, which is called `name`.
    """
    for letter, pixels, step in zip("XYZ", size[::-1], multiple[::-1], strict=False):
        smallest = 1 if letter == "Z" else SMALLEST_SIDE
        if pixels < (least := max(step, smallest)):
            deep = ", or a network that downsamples less" * (step > smallest)
            raise DataError(
                f"Only {counted(pixels, 'pixel')} along {letter} in {name}, but training "
                f"needs at least {least}; use larger images{deep}."
            )
    return tuple(
        wish if wish <= pixels else pixels // step * step
        for pixels, wish, step in zip(size, wished, multiple, strict=True)
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
            raise ValueError(f"lower is {self.lower}; it must be below upper, {self.upper}")
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

    measure: Literal["mean", "std", "entropy", "max"] = "mean"
    """Statistic of a patch: mean, std (standard deviation), entropy (bits) or max."""
    threshold: float
    """Patches below it are background; in intensities of the first channel, or bits."""
    kept: float = Field(0.1, ge=0, le=1)
    """Fraction of the background patches to keep (0 to 1)."""


Channels = tuple[Annotated[int, Field(ge=0)], ...] | None
DataType = Literal["array", "tiff", "zarr", "image", "czi", "nd2", "lif", "custom"]
Axes = Annotated[str, BeforeValidator(validate_axes)]


class _ImageSelection(Frozen):
    @property
    def selection(self) -> dict[str, Any]:
        """Which images of a file are used: `level`, `series`, `scene` and `field`."""
        return {name: getattr(self, name) for name in ("level", "series", "scene", "field")}


class DataConfig(_ImageSelection):
    """Images, patches, normalization and augmentation."""

    data_type: DataType = "array"
    """Type of the images: array, tiff, zarr, image (PNG etc.), czi, nd2, lif, custom."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    target_axes: Axes | None = Field(None, json_schema_extra=NEW)
    """Axes of the targets, with Z if the images have it; None for those of the images."""
    channels: Channels = None
    """Channels of the images to use, numbered from 0; None for all.
    Images to denoise have all channels, their results the selected ones."""
    target_channels: Channels = None
    """Channels of the targets to use, numbered from 0; None for all."""
    level: int = Field(0, ge=0)
    """Resolution level of OME-Zarr images and TIFF pyramids; 0 is the full resolution."""
    series: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the series of TIFF files or OME-Zarr collections, from 0; None for all."""
    scene: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the scene of microscope files, from 0; None for all."""
    field: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the field in each well of OME-Zarr plates, from 0; None for all."""
    patch_size: tuple[int, ...] = (64, 64)
    """Size of the training patches in pixels, (Y, X) or (Z, Y, X)."""
    batch_size: int = Field(16, ge=1, le=4096)
    """Patches per optimizer step."""
    transforms: tuple[Transform, ...] = (XYFlipConfig(), XYRandomRotate90Config())
    """Random flips and rotations of training patches; an empty list for none."""
    normalization: NormalizationConfig = MeanStdConfig()
    """Normalization of intensities."""
    background: BackgroundConfig | None = None
    """Background patches to exclude, by measure, threshold and kept; None for none."""
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
    val_percentage: float = Field(0.1, ge=0, le=1, json_schema_extra=NEW)
    """Fraction of the patches to validate on if there are no validation images (0 to 1)."""
    max_val_patches: int = Field(256, ge=0, json_schema_extra=NEW)
    """Patches to validate on at most, the same in every epoch; 0 for no validation.
    They are evenly spread over the images, validation images included, and only they are
    taken from training. A large number lifts the limit."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of weights, validation split, shuffling, augmentation and masks."""

    @field_validator("patch_size", mode="before")
    @classmethod
    def _one_per_axis(cls, sizes: Any) -> Any:
        return _listed(sizes)

    @model_validator(mode="after")
    def _agree(self) -> DataConfig:
        _check_level(self.level, self.data_type)
        _check_count("patch_size", self.patch_size, self.axes)
        for axis, size in zip(spatial_axes(self.axes), self.patch_size, strict=True):
            if size < (least := 1 if axis == "Z" else SMALLEST_SIDE):
                raise ValueError(f"patch_size along {axis} is {size}; use {least} or more")
        targets = self.target_axes or self.axes
        if spatial_axes(targets) != spatial_axes(self.axes):
            raise ValueError(
                f"target_axes are {targets!r} but the axes {self.axes!r}; give images and "
                "targets that both have Z, or neither"
            )
        _check_channels("channels", self.channels, self.axes)
        _check_channels("target_channels", self.target_channels, targets)
        names = [transform.name for transform in self.transforms]
        if len(set(names)) < len(names):
            raise ValueError(f"transforms contains {', '.join(names)}; give each one once")
        _check_statistics("image", self.image_means, self.image_stds)
        _check_statistics("target", self.target_means, self.target_stds)
        return self


class InferenceConfig(_ImageSelection):
    """Settings of a prediction."""

    data_type: DataType = "array"
    """Type of the images: array, tiff, zarr, image (PNG etc.), czi, nd2, lif, custom."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    channels: Channels = None
    """Channels of the images that the model was trained on; None for all."""
    level: int = Field(0, ge=0)
    """Resolution level of OME-Zarr images and TIFF pyramids; 0 is the full resolution."""
    series: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the series of TIFF files or OME-Zarr collections, from 0; None for all."""
    scene: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the scene of microscope files, from 0; None for all."""
    field: int | None = Field(None, ge=0, json_schema_extra=NEW)
    """Number of the field in each well of OME-Zarr plates, from 0; None for all."""
    tile_size: tuple[int, ...] | None = None
    """Size of the tiles in pixels, (Y, X) or (Z, Y, X); None for automatic."""
    tile_overlap: tuple[int, ...] | None = None
    """Overlap of tiles in pixels, at least the network's halo; None for the halo."""
    batch_size: int = Field(1, ge=1, le=4096)
    """Tiles per forward pass."""
    tta: Literal[1, 2, 4, 8] = 1
    """Test-time augmentation: number of flips and rotations to average; 1 for none."""
    precision: Literal["auto", "32", "bf16"] | None = Field(None, json_schema_extra=NEW)
    """32: float32; bf16: mixed precision; auto: bf16 where it is faster; None as in
    training."""
    own_value: Literal["auto", "off"] = Field("auto", json_schema_extra=NEW)
    """auto: add each pixel's own value, which N2V leaves out, and the result of the
    built-in denoiser, with the weights that lower the error (measured after training);
    off: the output of the network alone."""
    dtype: Literal["float32", "source"] = "float32"
    """Data type of the results: float32, or that of each image, rounded and clipped."""
    image_means: tuple[float, ...] = Field(min_length=1)
    """Mean intensity of each channel of the training data."""
    image_stds: tuple[float, ...] = Field(min_length=1)
    """Standard deviation of each channel of the training data."""

    @field_validator("tile_size", "tile_overlap", mode="before")
    @classmethod
    def _one_per_axis(cls, sizes: Any) -> Any:
        return _listed(sizes)

    @field_validator("precision", mode="before")
    @classmethod
    def _with_quotes(cls, precision: Any) -> Any:
        return with_quotes(precision)

    @model_validator(mode="after")
    def _agree(self) -> InferenceConfig:
        _check_level(self.level, self.data_type)
        for name, least in (("tile_size", 1), ("tile_overlap", 0)):
            if (sizes := getattr(self, name)) is not None:
                _check_count(name, sizes, self.axes)
                if min(sizes) < least:
                    raise ValueError(f"{name} {list(sizes)} must be {least} or more")
        _check_pairs("image", self.image_means, self.image_stds)
        return self


def _listed(sizes: Any) -> Any:
    """Sizes, of which one number is refused with an example."""
    if isinstance(sizes, int | float | str):
        raise ValueError(f"give one number per spatial axis, such as [{sizes}, {sizes}]")
    return sizes.tolist() if hasattr(sizes, "tolist") else sizes


def _check_count(name: str, sizes: Sequence[int], axes: str) -> None:
    spatial = spatial_axes(axes)
    if len(sizes) != len(spatial):
        raise ValueError(
            f"{name} {list(sizes)} has {len(sizes)} entries but the axes {axes!r} need "
            f"{len(spatial)}, one each for {', '.join(spatial)}"
        )


def _check_channels(name: str, chosen: Channels, axes: str) -> None:
    if chosen is None:
        return
    if not chosen:
        raise ValueError(f"{name} is empty; give a channel, or leave {name} out for all")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"{name} {list(chosen)} repeats a channel; give each one once")
    if "C" not in axes:
        raise ValueError(
            f"{name} is {list(chosen)} but the axes {axes!r} have no C; add C, or leave "
            f"{name} out"
        )


def _check_level(level: int, data_type: DataType) -> None:
    if level and data_type not in ("zarr", "tiff"):
        raise ValueError(
            f"level is {level} but data_type is {data_type!r}, and only Zarr and TIFF "
            "have levels; set level to 0"
        )


def _check_statistics(
    what: str, means: tuple[float, ...] | None, stds: tuple[float, ...] | None
) -> None:
    if (means is None) != (stds is None):
        raise ValueError(
            f"only one of {what}_means and {what}_stds is set; give both or none"
        )
    if means is not None and stds is not None:
        _check_pairs(what, means, stds)
        if min(stds, default=1) <= 0:
            raise ValueError(f"{what}_stds {list(stds)} must all be above 0")


def _check_pairs(what: str, means: Sequence[float], stds: Sequence[float]) -> None:
    if len(means) != len(stds):
        raise ValueError(
            f"{what}_means has {len(means)} entries and {what}_stds {len(stds)}; give one "
            "of each per channel"
        )
