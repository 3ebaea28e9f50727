"""What may happen to a patch on its way into the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from napari_hush.config.base import Frozen


class XYFlipConfig(Frozen):
    """Mirror patches along X or Y, one axis at a time."""

    name: Literal["XYFlip"] = "XYFlip"
    flip_x: bool = True
    """Mirror along X in some patches."""
    flip_y: bool = True
    """Mirror along Y in some patches."""
    p: float = Field(0.5, ge=0, le=1)
    """Share of the patches that are mirrored, along one of the axes (0 to 1)."""

    @model_validator(mode="after")
    def _some_axis(self) -> XYFlipConfig:
        if not (self.flip_x or self.flip_y):
            raise ValueError(
                "flip_x and flip_y are both off; leave XYFlip out instead to flip none"
            )
        return self


class XYRandomRotate90Config(Frozen):
    """Turn patches by 90, 180 or 270 degrees in the YX plane."""

    name: Literal["XYRandomRotate90"] = "XYRandomRotate90"
    p: float = Field(0.5, ge=0, le=1)
    """Share of the patches that are turned (0 to 1)."""
    half_turns_only: bool = False
    """Turn by 180 degrees only, for images whose directions differ."""


Transform = Annotated[XYFlipConfig | XYRandomRotate90Config, Field(discriminator="name")]


class N2VManipulateConfig(Frozen):
    """The blind spot of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980)."""

    name: Literal["N2VManipulate"] = "N2VManipulate"
    roi_size: int = Field(11, ge=3, le=21)
    """Side of the window a masked pixel's replacement is drawn from, in pixels (odd)."""
    masked_pixel_percentage: float = Field(1.5, ge=0.05, le=10)
    """Share of the pixels of each patch that are masked, in percent."""

    strategy: Literal["uniform", "median"] = "uniform"
    """Replace by a random pixel of the window, or by its median (N2V2)."""
    struct_mask_axis: Literal["none", "horizontal", "vertical", "cross", "square"] = "none"
    """Which neighbours are hidden as well, where noise is correlated (structN2V)."""
    struct_mask_span: int = Field(5, ge=3, le=31)
    """How far that reaches, the masked pixel included, in pixels (odd)."""

    @model_validator(mode="after")
    def _odd(self) -> N2VManipulateConfig:
        for name in ("roi_size", "struct_mask_span"):
            if (size := getattr(self, name)) % 2 == 0:
                raise ValueError(
                    f"{name} must be odd, to have a centre, but is {size}; try {size + 1}"
                )
        return self
