"""Former name of `napari_hush.quality`."""

from napari_hush import quality
from napari_hush.deprecation import former_names

__all__ = list(quality.__all__)

__getattr__ = former_names(
    __name__,
    {name: f"napari_hush.quality.{name}" for name in quality.__all__}
    | {
        "data_cautions": "napari_hush.quality.data_warnings",
        "judge_residual": "napari_hush.quality.check_residual",
        "residual_caution": "napari_hush.quality.residual_warning",
        "size_caution": "napari_hush.quality.size_warning",
        "Unseen": "napari_hush.quality.UnseenIntensities",
    },
)
