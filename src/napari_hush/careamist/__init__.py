"""`CAREamist`: train, denoise, save and load in one object."""

from napari_hush.careamist.careamist import CAREamist

__all__ = ["CAREamist"]
