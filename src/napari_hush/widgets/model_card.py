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
TIMES = f"{NBSP}×{NBSP}"
SYMBOLS = {"micrometer": "µm", "nanometer": "nm", "millimeter": "mm", "angstrom": "Å"}
"""Of units that are written out in files."""


def card_of(model: Model) -> list[str]:
    """Describe `model` by what its file says: what, how long, on what; a line for each."""
    config = model.config
    network = config.algorithm_config.model
    channels = f"{network.in_channels} channel{'s' if network.in_channels > 1 else ''}"
    if network.num_classes != network.in_channels:
        channels += f" to {network.num_classes}"
    kind = "volumes" if network.conv_dims == 3 else "images"
    size = TIMES.join(map(str, config.data_config.patch_size))
    levels = ", ".join(
        f"{mean:.4g}{NBSP}±{NBSP}{std:.3g}"
        for mean, std in zip(
            model.normalization.means, model.normalization.stds, strict=True
        )
    )
    method = method_of(config.model_dump()).value
    lines = [
        f"{method} for {kind} of {channels}, axes {config.data_config.axes}",
        f"{model.epochs:,} epochs, {model.steps:,} steps, patches of {size}{NBSP}px",
        f"learned from intensities of {levels}",
    ]
    origin = " · ".join(filter(None, (_origin(model), _pixels(model))))
    return [*lines, *filter(None, [origin])]


def _pixels(model: Model) -> str:
    """``"pixels of 0.25 × 0.25 µm"``; empty where nobody knows."""
    sizes = model.provenance.pixel_size
    letters = [letter for letter in "ZYX" if letter in sizes.scale]
    if not letters:
        return ""
    units = {sizes.units.get(letter, "") for letter in letters}
    steps = TIMES.join(f"{sizes.scale[letter]:.3g}" for letter in letters)
    unit = units.pop() if len(units) == 1 else ""
    return f"pixels of {steps}{NBSP}{SYMBOLS.get(unit, unit)}".rstrip()


def _origin(model: Model) -> str:
    """``"trained 2026-11-27 on 2 images"``; empty where nobody knows."""
    known = model.provenance
    day = known.date[:10]
    count = known.num_sources
    images = f"on {count} image{'s' if count != 1 else ''}" if count else ""
    said = f"{day} {images}".strip()
    return f"trained {said}" if said else ""


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
