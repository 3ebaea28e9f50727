"""Former name of `napari_hush.interop`; to be removed in version 0.3."""

from warnings import warn

from napari_hush import interop
from napari_hush.interop import *  # noqa: F403

__all__ = interop.__all__

warn(
    "napari_hush.exchange is now napari_hush.interop; import from there.",
    DeprecationWarning,
    stacklevel=2,
)
