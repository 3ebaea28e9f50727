"""The dock "Denoise", for the manifest: imported without a garbage collection on the way.

Objects made by an import stay, so a collection in its middle finds nothing. With all the
objects of napari it takes a fifth of the time in which a dock opens; those that begin while
the dock is made skip them, see `ShortCollections`.
"""

import gc

_enabled = gc.isenabled()
gc.disable()
try:
    from napari_hush.widgets.dock.denoise_dock import DenoiseDock
finally:
    gc.freeze()
    if _enabled:
        gc.enable()

__all__ = ["DenoiseDock"]
