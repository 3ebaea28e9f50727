"""What may happen to a patch on its way into the network.

A transform is a configuration with a share of the patches `p` and `operations`, of which
one is done to each of them, all equally often. Adding one means adding a class to
`Transform`. An operation is a symmetry of the square: a number ``k + 4 * mirrored`` from 0
to 7, mirror along X (if so), then turn by ``k`` times 90 degrees.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

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

    @property
    def operations(self) -> tuple[int, ...]:
        """Mirroring along X; along Y, which is mirroring along X, then a half turn."""
        return (4,) * self.flip_x + (6,) * self.flip_y

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

    @property
    def operations(self) -> tuple[int, ...]:
        """A half turn, and a quarter turn either way."""
        return (2,) if self.half_turns_only else (2, 1, 3)


Transform = Annotated[XYFlipConfig | XYRandomRotate90Config, Field(discriminator="name")]


Plane = tuple[tuple[Literal[0, 1], ...], ...]
StructAxis = Literal["none", "horizontal", "vertical", "z", "cross", "square"]


STRUCT_PERCENTAGE = 1.5
"""Percent of masked pixels by default where each of them hides neighbours as well."""


def strategy_for(n2v2: bool) -> Literal["uniform", "median"]:
    """The replacement that Noise2Void, or N2V2, uses."""
    return "median" if n2v2 else "uniform"


class N2VManipulateConfig(Frozen):
    """The blind spot of Noise2Void (Krull et al., CVPR 2019, arXiv:1811.10980)."""

    name: Literal["N2VManipulate"] = "N2VManipulate"
    roi_size: int = Field(11, ge=3, le=21)
    """Side of the window a masked pixel's replacement is drawn from, in pixels (odd)."""
    masked_pixel_percentage: float = Field(5.0, ge=0.05, le=10)
    """Share of the pixels of each patch that are masked, in percent.

    By default less where neighbours are hidden along with each of them (structN2V).
    """

    strategy: Literal["uniform", "median"] = "uniform"
    """Replace by a random pixel of the window, or by its median (N2V2)."""
    struct_mask_axis: StructAxis = "none"
    """Which neighbours are hidden as well, where noise is correlated (structN2V)."""
    struct_mask_span: int = Field(5, ge=3, le=31)
    """How far that reaches, the masked pixel included, in pixels (odd)."""
    struct_mask: tuple[Plane, ...] | Plane | None = None
    """Neighbours to hide, as rows of 0 and 1 around the masked pixel; None for an axis.

    Sides are odd, so that there is a middle: the masked pixel itself. Three levels of
    nesting are (Z, Y, X), two are (Y, X) and stay in the plane.
    """

    @model_validator(mode="before")
    @classmethod
    def _fewer_where_neighbours_are_hidden(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "masked_pixel_percentage" in values:
            return values
        hides = values.get("struct_mask_axis", "none") != "none"
        if hides or values.get("struct_mask") is not None:
            return {**values, "masked_pixel_percentage": STRUCT_PERCENTAGE}
        return values

    @field_validator("struct_mask", mode="before")
    @classmethod
    def _plain(cls, mask: Any) -> Any:
        """Take arrays and booleans, too."""
        return _nested(mask.tolist() if hasattr(mask, "tolist") else mask)

    @model_validator(mode="after")
    def _odd(self) -> N2VManipulateConfig:
        for name in ("roi_size", "struct_mask_span"):
            if (size := getattr(self, name)) % 2 == 0:
                raise ValueError(
                    f"{name} must be odd, to have a centre, but is {size}; try {size + 1}"
                )
        if self.struct_mask is not None:
            if self.struct_mask_axis != "none":
                raise ValueError(
                    f"struct_mask and struct_mask_axis {self.struct_mask_axis!r} both say "
                    "what is hidden; give one of them"
                )
            _check_mask(self.struct_mask)
        return self

    @property
    def hides_neighbours(self) -> bool:
        """Whether anything is hidden but the masked pixels (structN2V)."""
        return self.struct_mask_axis != "none" or self.struct_mask is not None

    @property
    def struct_dims(self) -> int:
        """How many dimensions the images need at least for what is hidden to lie in."""
        if self.struct_mask is None:
            return 3 if self.struct_mask_axis == "z" else 2
        return len(_shape(self.struct_mask))

    def hidden(self, dims: int) -> tuple[tuple[int, ...], ...]:
        """Neighbours hidden with a masked pixel (structN2V, Broaddus et al., ISBI 2020).

        Parameters
        ----------
        dims : {2, 3}
            Of the images; at least `struct_dims`.

        Returns
        -------
        tuple of tuple of int
            Offsets ``((Z), Y, X)`` in pixels, in rising order, never all zero.
        """
        return _hidden(self.struct_mask_axis, self.struct_mask_span, self.struct_mask, dims)


@lru_cache(maxsize=8)
def _hidden(
    axis: StructAxis, span: int, mask: Any, dims: int
) -> tuple[tuple[int, ...], ...]:
    along = range(-(span // 2), span // 2 + 1)
    y, x = {(i, 0) for i in along}, {(0, i) for i in along}
    found: set[tuple[int, ...]] = set()
    if mask is not None:
        found = set(_offsets(mask))
    match axis:
        case "horizontal":
            found = {*x}
        case "vertical":
            found = {*y}
        case "z":
            found = {(i, 0, 0) for i in along}
        case "cross":
            found = {*y, *x}
        case "square":
            found = {(i, j) for i in along for j in along}
    full = {(0,) * (dims - len(offset)) + offset for offset in found}
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
    half = len(mask) // 2
    return [
        (place - half, *rest) for place, part in enumerate(mask) for rest in _offsets(part)
    ]


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
            "a centre, and 31 at most"
        )
    if not any(any(offset) for offset in _offsets(mask)):
        raise ValueError(
            "struct_mask holds nothing but the masked pixel itself; set a neighbour to 1, "
            "or leave struct_mask out"
        )
