"""Augmentation of patches, and the masking of Noise2Void.

Augmentations are symmetries of the square, numbered ``k + 4 * flip`` from 0 to 7: flip
along X (if 4 or more), then rotate by ``k`` times 90 degrees. A transform applies one of
its `operations`, each equally often, to a fraction `p` of the patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from napari_hush.config.base import Frozen


class XYFlipConfig(Frozen):
    """Flip patches along X or Y, one axis at a time."""

    name: Literal["XYFlip"] = "XYFlip"
    flip_x: bool = True
    """Flip some patches along X."""
    flip_y: bool = True
    """Flip some patches along Y."""
    p: float = Field(0.5, ge=0, le=1)
    """Fraction of the patches that are flipped, along one of the axes (0 to 1)."""

    @property
    def operations(self) -> tuple[int, ...]:
        """Flip along X; along Y, which is a flip along X and a half turn."""
        along_x = (4,) if self.flip_x else ()
        along_y = (6,) if self.flip_y else ()
        return along_x + along_y

    @model_validator(mode="after")
    def _some_axis(self) -> XYFlipConfig:
        if not (self.flip_x or self.flip_y):
            raise ValueError("flip_x and flip_y are both off; leave XYFlip out")
        return self


class XYRandomRotate90Config(Frozen):
    """Rotate patches by 90, 180 or 270 degrees in the YX plane."""

    name: Literal["XYRandomRotate90"] = "XYRandomRotate90"
    p: float = Field(0.5, ge=0, le=1)
    """Fraction of the patches that are rotated (0 to 1)."""
    half_turns_only: bool = False
    """Rotate by 180 degrees only, for images whose axes differ."""

    @property
    def operations(self) -> tuple[int, ...]:
        """A half turn, and quarter turns in both directions."""
        return (2,) if self.half_turns_only else (2, 1, 3)


Transform = Annotated[XYFlipConfig | XYRandomRotate90Config, Field(discriminator="name")]

Plane = tuple[tuple[Literal[0, 1], ...], ...]
StructAxis = Literal["none", "horizontal", "vertical", "z", "cross", "square"]

STRUCT_PERCENTAGE = 1.5
"""Default percentage of masked pixels if neighbors are masked with each of them."""


def strategy_for(n2v2: bool) -> Literal["uniform", "median"]:
    """The replacement of masked pixels in Noise2Void or N2V2."""
    return "median" if n2v2 else "uniform"


class N2VManipulateConfig(Frozen):
    """The masking of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980)."""

    name: Literal["N2VManipulate"] = "N2VManipulate"
    roi_size: int = Field(11, ge=3, le=21)
    """Side of the window that replacements are drawn from, in pixels (odd, 3 to 21)."""
    masked_pixel_percentage: float = Field(5.0, ge=0.05, le=10)
    """Percentage of the pixels of a patch to mask (0.05 to 10); lower for structN2V."""
    strategy: Literal["uniform", "median"] = "uniform"
    """uniform: replace by a random pixel of the window; median: by its median (N2V2)."""
    struct_mask_axis: StructAxis = "none"
    """Axis along which neighbors are masked as well, for correlated noise (structN2V)."""
    struct_mask_span: int = Field(5, ge=3, le=31)
    """Length of the mask along that axis, center included, in pixels (odd, 3 to 31)."""
    struct_mask: tuple[Plane, ...] | Plane | None = None
    """Neighbors to mask: 0 and 1, (Y, X) or (Z, Y, X), odd sides; None to use the axis."""

    @model_validator(mode="before")
    @classmethod
    def _lower_default_percentage(cls, values: Any) -> Any:
        if isinstance(values, dict) and (
            values.get("struct_mask_axis", "none") != "none"
            or values.get("struct_mask") is not None
        ):
            return {"masked_pixel_percentage": STRUCT_PERCENTAGE, **values}
        return values

    @field_validator("struct_mask", mode="before")
    @classmethod
    def _accept_arrays(cls, mask: Any) -> Any:
        return _nested(mask.tolist() if hasattr(mask, "tolist") else mask)

    @model_validator(mode="after")
    def _check(self) -> N2VManipulateConfig:
        for name in ("roi_size", "struct_mask_span"):
            if (size := getattr(self, name)) % 2 == 0:
                raise ValueError(
                    f"{name} must be odd, to have a center, but is {size}; try {size + 1}"
                )
        if self.struct_mask is not None:
            if self.struct_mask_axis != "none":
                raise ValueError(
                    f"struct_mask and struct_mask_axis {self.struct_mask_axis!r} exclude "
                    "each other; give one of them"
                )
            _check_mask(self.struct_mask)
        return self

    @property
    def hides_neighbours(self) -> bool:
        """Whether neighbors are masked with each masked pixel (structN2V)."""
        return self.struct_mask_axis != "none" or self.struct_mask is not None

    @property
    def struct_dims(self) -> int:
        """Number of dimensions that images need for the struct mask."""
        if self.struct_mask is None:
            return 3 if self.struct_mask_axis == "z" else 2
        return len(_shape(self.struct_mask))

    def hidden(self, dims: int) -> tuple[tuple[int, ...], ...]:
        """Neighbors masked with a masked pixel (structN2V, Broaddus et al., ISBI 2020).

        Sorted offsets ``((Z), Y, X)`` in pixels, without the masked pixel itself, for
        images of `dims` dimensions, 2 or 3 and at least `struct_dims`.
        """
        return _hidden(self, dims)


@lru_cache(maxsize=8)
def _hidden(masking: N2VManipulateConfig, dims: int) -> tuple[tuple[int, ...], ...]:
    span, mask = masking.struct_mask_span, masking.struct_mask
    along = range(-(span // 2), span // 2 + 1)
    y, x = [(i, 0) for i in along], [(0, i) for i in along]
    found: dict[str, Sequence[tuple[int, ...]]] = {
        "none": [] if mask is None else _offsets(mask),
        "horizontal": x,
        "vertical": y,
        "z": [(i, 0, 0) for i in along],
        "cross": y + x,
        "square": [(i, j) for i in along for j in along],
    }
    full = {
        (0,) * (dims - len(offset)) + offset for offset in found[masking.struct_mask_axis]
    }
    return tuple(sorted(full - {(0,) * dims}))


def _nested(mask: Any) -> Any:
    if isinstance(mask, list | tuple):
        return tuple(_nested(part) for part in mask)
    return int(mask) if isinstance(mask, bool | float) and mask in (0, 1) else mask


def _shape(mask: Any) -> tuple[int, ...]:
    if not isinstance(mask, tuple):
        return ()
    return (len(mask), *(_shape(mask[0]) if mask else ()))


def _offsets(mask: Any) -> list[tuple[int, ...]]:
    if not isinstance(mask, tuple):
        return [()] if mask else []
    rows = enumerate(mask, -(len(mask) // 2))
    return [(place, *rest) for place, part in rows for rest in _offsets(part)]


def _check_mask(mask: Any) -> None:
    shape = _shape(mask)
    planes = mask if len(shape) == 3 else (mask,)
    if any(_shape(plane) != shape[-2:] for plane in planes) or any(
        len(row) != shape[-1] for plane in planes for row in plane
    ):
        raise ValueError("the rows and planes of struct_mask must be equally long")
    if any(size % 2 == 0 or size > 31 for size in shape):
        raise ValueError(
            f"struct_mask is {' x '.join(map(str, shape))}; its sides must be odd, to have "
            "a center, and 31 at most"
        )
    if not any(any(offset) for offset in _offsets(mask)):
        raise ValueError(
            "struct_mask contains no neighbor; set one to 1, or leave struct_mask out"
        )


# A rotated patch has noise along another axis, which the struct mask does not cover, so
# only symmetries of the mask are allowed.


def fitting_transforms(config: N2VManipulateConfig, dims: int) -> list[Transform]:
    """All flips and rotations of 2D or 3D images that leave the struct mask unchanged."""
    misfits = _misfits(config, dims)
    fitting: list[Transform] = []
    quarter, half, flip_x, flip_y = (number not in misfits for number in (1, 2, 4, 6))
    if flip_x or flip_y:
        fitting.append(XYFlipConfig(flip_x=flip_x, flip_y=flip_y))
    if half:
        fitting.append(XYRandomRotate90Config(half_turns_only=not quarter))
    return fitting


_FLIPS = (
    "flipping along X",
    "flipping along a diagonal",
    "flipping along Y",
    "flipping along a diagonal",
)
"""A flip along X with 0 to 3 rotations by 90 degrees after it."""


def misfit_of(
    config: N2VManipulateConfig, dims: int, transforms: Sequence[Transform]
) -> str | None:
    """The first operation of `transforms` that changes the struct mask, if any."""
    misfits = _misfits(config, dims)
    for number in (number for transform in transforms for number in transform.operations):
        if number in misfits:
            flip, turns = divmod(number, 4)
            return _FLIPS[turns] if flip else f"rotation by {90 * turns} degrees"
    return None


def _misfits(config: N2VManipulateConfig, dims: int) -> set[int]:
    hidden = set(config.hidden(dims))
    return {
        number
        for number in range(8)
        if {(*rest, *_transformed(number, y, x)) for *rest, y, x in hidden} != hidden
    }


def _transformed(number: int, y: int, x: int) -> tuple[int, int]:
    flip, turns = divmod(number, 4)
    x = -x if flip else x
    for _ in range(turns):
        y, x = -x, y
    return y, x
