"""What a model was trained on and with, in a few lines. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.errors import HushError
from napari_hush.widgets.method import method_of
from napari_hush.widgets.training_data import whole_of

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_hush.models import Model

__all__ = ["card_of", "why_not_for"]

NBSP = "\N{NO-BREAK SPACE}"


def card_of(model: Model) -> list[str]:
    """Describe `model` by what its file says: three lines."""
    config = model.config
    network = config.algorithm_config.model
    channels = f"{network.in_channels} channel{'s' if network.in_channels > 1 else ''}"
    if network.num_classes != network.in_channels:
        channels += f" to {network.num_classes}"
    kind = "volumes" if network.conv_dims == 3 else "images"
    size = " × ".join(map(str, config.data_config.patch_size))
    levels = ", ".join(
        f"{mean:.4g} ± {std:.3g}"
        for mean, std in zip(
            model.normalization.means, model.normalization.stds, strict=True
        )
    )
    method = method_of(config.model_dump()).value
    return [
        f"{method} for {kind} of {channels}, axes {config.data_config.axes}",
        f"{model.epochs:,} epochs, {model.steps:,} steps, patches of {size}{NBSP}px",
        f"learned from intensities of {levels}",
    ]


def why_not_for(model: Model, layer: Image, axes: str) -> str:
    """Why `model` cannot denoise `layer`, in one sentence; empty if it can.

    Only shapes are looked at, nothing is read.
    """
    from napari_hush.io import Image as Pixels  # the engine, which is there by now
    from napari_hush.prediction import check_suits

    try:
        check_suits(model, Pixels.from_array(whole_of(layer), axes, f"“{layer.name}”"))
    except HushError as error:
        return str(error)
    return ""
