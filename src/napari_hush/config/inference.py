"""How images are denoised once a model is trained."""

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
    """How images are denoised once a model is trained."""

    data_type: DataType = "array"
    """What is given: arrays, TIFF files, Zarr stores, or files of your own type."""
    axes: Axes = "YX"
    """One letter per dimension out of S, T, C, Z, Y, X, slowest first."""
    channels: Channels = None
    """Which channels of the images the model was trained on; None for all."""
    level: int = Field(DataConfig().level, ge=0)
    """Which resolution of OME-Zarr images to read; 0 is the finest."""
    tile_size: tuple[int, ...] | None = None
    """Pixels denoised at once, (Y, X) or (Z, Y, X); None to choose by itself.

    A tile is extended by the network's halo, so the result does not depend on it.
    """
    tile_overlap: tuple[int, ...] | None = None
    """Pixels that neighbouring tiles share at least, (Y, X) or (Z, Y, X).

    Never less than the network's halo needs, so that tiles do not show.
    """
    batch_size: int = Field(1, ge=1, le=4096)
    """Tiles per forward pass."""
    tta: Literal[1, 2, 4, 8] = 1
    """Mirrored and turned versions to average over; more is a little better, and slower."""
    dtype: Literal["float32", "source"] = "float32"
    """Type of the results: float32, or that of each image.

    To fit integers, results are rounded, and clipped to what the type can hold; how many
    pixels that changed is reported.
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
