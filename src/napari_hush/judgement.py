"""Former name of `napari_hush.quality`; to be removed in version 0.3."""

from warnings import warn

from napari_hush import quality
from napari_hush.quality import *  # noqa: F403

__all__ = quality.__all__

warn(
    "napari_hush.judgement is now napari_hush.quality; import from there.",
    DeprecationWarning,
    stacklevel=2,
)
