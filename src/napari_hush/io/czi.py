"""Former place of `read_czi`, now in `napari_hush.io`."""

from napari_hush.deprecation import former_names

__getattr__ = former_names(__name__, {"read_czi": "napari_hush.io.read_czi"})
