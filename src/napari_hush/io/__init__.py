"""Finding, reading and writing image files.

Names are looked up when first used, so that a window opens before any reader is loaded.
"""

from typing import Any

import lazy_loader

from napari_hush.deprecation import former_names

_lookup, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
_former_name = former_names(
    __name__,
    {
        "explain_memory_error": "napari_hush.system.memory.explain_memory_error",
        "memory_told": "napari_hush.system.memory.explain_memory_error",
        "require": "napari_hush.system.optional.require",
        "require_memory": "napari_hush.system.memory.require_memory",
        "unfinished": "open_partial_output",
    },
)


def __getattr__(name: str) -> Any:
    try:
        return _lookup(name)
    except AttributeError:
        return _former_name(name)
