"""How intensities are scaled before the network sees them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_hush.config.base import Frozen


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
