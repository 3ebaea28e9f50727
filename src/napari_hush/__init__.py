"""napari-hush: train a denoiser on your own microscopy images.

Names are looked up when first used, so ``import napari_hush`` costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["CAREamist", "__version__", "denoise"]

if TYPE_CHECKING:
    from napari_hush.careamist import CAREamist
    from napari_hush.careamist.denoise import denoise


def __getattr__(name: str) -> Any:
    if name == "CAREamist":
        from napari_hush.careamist import CAREamist

        return CAREamist
    if name == "denoise":
        from napari_hush.careamist.denoise import denoise

        return denoise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
