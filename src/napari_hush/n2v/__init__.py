"""The blind spot: choosing pixels, replacing them, and the loss there."""

from napari_hush.n2v.masking import (
    Masked,
    choose_neighbours,
    choose_pixels,
    loss,
    mask,
    struct_offsets,
)

__all__ = [
    "Masked",
    "choose_neighbours",
    "choose_pixels",
    "loss",
    "mask",
    "struct_offsets",
]
