"""Patch sizes that fit into images."""

from __future__ import annotations

from collections.abc import Sequence

from napari_hush.errors import DataError

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
                f"There are only {pixels} pixels along {letter} in {name}, but training "
                f"needs at least {least}; use larger images{deep}."
            )
    return tuple(
        wish if wish <= pixels else pixels // step * step
        for pixels, wish, step in zip(size, wished, multiple, strict=True)
    )
