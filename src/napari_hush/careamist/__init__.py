"""The facade: train, denoise, save and load in one object."""

from napari_hush.careamist.facade import CAREamist

__all__ = ["CAREamist"]
