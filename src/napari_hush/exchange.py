"""Former name of `napari_hush.interop`."""

from napari_hush import interop
from napari_hush.deprecation import former_names

__all__ = list(interop.__all__)

__getattr__ = former_names(
    __name__,
    {name: f"napari_hush.interop.{name}" for name in interop.__all__}
    | {"refuse_existing": "napari_hush.system.atomic_write.refuse_existing"},
)
