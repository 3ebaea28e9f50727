"""Settings of a prediction."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from napari_hush.axes import spatial_axes
from napari_hush.config.base import Frozen
from napari_hush.config.data import (
    Axes,
    Channels,
    DataConfig,
    DataType,
    check_level,
)


class InferenceConfig(Frozen):
    """Settings of a prediction."""

    data_type: DataType = "array"
    """Type of the images: arrays, TIFF files, Zarr stores, or files of a custom reader."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    channels: Channels = None
    """Channels of the images that the model was trained on; None for all."""
    level: int = Field(DataConfig().level, ge=0)
    """Resolution level of OME-Zarr images; 0 is the full resolution."""
    tile_size: tuple[int, ...] | None = None
    """Size of the tiles in pixels, (Y, X) or (Z, Y, X); None for automatic.

    Tiles are extended by the network's halo, so that results do not depend on it.
    """
    tile_overlap: tuple[int, ...] | None = None
    """Smallest overlap of tiles in pixels, (Y, X) or (Z, Y, X).

    It is at least what the network's halo requires, so that no seams appear.
    """
    batch_size: int = Field(1, ge=1, le=4096)
    """Tiles per forward pass."""
    tta: Literal[1, 2, 4, 8] = 1
    """Test-time augmentation: number of flips and rotations to average; 1 for none."""
    dtype: Literal["float32", "source"] = "float32"
    """Data type of the results: float32, or that of each image.

    Integers are rounded and clipped to their range; the number of clipped pixels is
    reported.
    """
    image_means: tuple[float, ...] = Field(min_length=1)
    """Mean intensity of each channel of the training data."""
    image_stds: tuple[float, ...] = Field(min_length=1)
    """Standard deviation of each channel of the training data."""

    @model_validator(mode="after")
    def _agree(self) -> InferenceConfig:
        check_level(self.level, self.data_type)
        spatial = spatial_axes(self.axes)
        for name in ("tile_size", "tile_overlap"):
            sizes = getattr(self, name)
            if sizes is None:
                continue
            if len(sizes) != len(spatial):
                raise ValueError(
                    f"{name} {list(sizes)} has {len(sizes)} entries but the axes "
                    f"{self.axes!r} need {len(spatial)}, one each for {', '.join(spatial)}"
                )
            if min(sizes) < (1 if name == "tile_size" else 0):
                raise ValueError(f"{name} {list(sizes)} must be positive")
        if len(self.image_means) != len(self.image_stds):
            raise ValueError(
                f"image_means has {len(self.image_means)} entries and image_stds "
                f"{len(self.image_stds)}; give one of each per channel"
            )
        return self
