"""The images, the patches cut from them, and how both are normalised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.config.base import Frozen
from napari_hush.config.transforms import (
    Transform,
    XYFlipConfig,
    XYRandomRotate90Config,
)

DataType = Literal["array", "tiff", "custom"]
Axes = Annotated[str, AfterValidator(validate_axes)]


class DataConfig(Frozen):
    """The images, the patches cut from them, and how both are normalised."""

    data_type: DataType = "array"
    """What is given: arrays, TIFF files, or files of your own type."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    patch_size: tuple[int, ...] = (64, 64)
    """Size of the training patches in pixels, (Y, X) or (Z, Y, X)."""
    batch_size: int = Field(16, ge=1, le=4096)
    """Patches per optimizer step."""
    transforms: tuple[Transform, ...] = (XYFlipConfig(), XYRandomRotate90Config())
    """Random mirroring and turning of training patches; empty for none."""
    image_means: tuple[float, ...] | None = None
    """Mean intensity of each channel; None to measure it on the training data."""
    image_stds: tuple[float, ...] | None = None
    """Standard deviation of each channel; None to measure it on the training data."""
    num_workers: int = Field(0, ge=0, le=64)
    """Processes that prepare batches; 0 prepares them in the training process."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of every random draw: weights, split, order, augmentation, masks."""

    @model_validator(mode="after")
    def _agree(self) -> DataConfig:
        spatial = spatial_axes(self.axes)
        if len(self.patch_size) != len(spatial):
            raise ValueError(
                f"patch_size {list(self.patch_size)} has {len(self.patch_size)} entries "
                f"but the axes {self.axes!r} need {len(spatial)}, one each for "
                f"{', '.join(spatial)}"
            )
        for axis, size in zip(spatial, self.patch_size, strict=True):
            if size < 8:
                raise ValueError(f"patch_size along {axis} is {size}; use 8 or more")
        names = [transform.name for transform in self.transforms]
        if len(set(names)) < len(names):
            raise ValueError(f"transforms name the same one twice: {', '.join(names)}")
        if (self.image_means is None) != (self.image_stds is None):
            raise ValueError("image_means and image_stds go together: give both or none")
        if self.image_means is not None and self.image_stds is not None:
            if len(self.image_means) != len(self.image_stds):
                raise ValueError(
                    f"image_means has {len(self.image_means)} entries and image_stds "
                    f"{len(self.image_stds)}; give one of each per channel"
                )
            if any(std < 0 for std in self.image_stds):
                raise ValueError("image_stds holds a negative number")
        return self
