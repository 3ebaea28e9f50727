"""N2V masking: which pixels are masked, their replacements, and the masked loss."""

from napari_hush.n2v.masking import (
    Masked,
    choose_neighbours,
    choose_pixels,
    loss,
    mask,
    struct_offsets,
)

__all__ = ["Masked", "choose_neighbours", "choose_pixels", "loss", "mask", "struct_offsets"]
