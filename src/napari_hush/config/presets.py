"""How much effort a training run makes: three sizes, for people who want no numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_hush.config.training import TrainingConfig

__all__ = ["PRESETS", "Preset", "preset_of"]


@dataclass(frozen=True)
class Preset:
    """Epochs and steps under one name."""

    name: str
    words: str
    """What it is for, in one sentence."""
    num_epochs: int
    num_steps: int
    """Optimizer steps per epoch, so that the time does not grow with the data."""

    @property
    def changes(self) -> dict[str, int]:
        """Fields of `TrainingConfig`."""
        return {"num_epochs": self.num_epochs, "num_steps": self.num_steps}


PRESETS = (
    Preset(
        "Quick look",
        "Enough to see whether it works on this image.",
        num_epochs=4,
        num_steps=50,
    ),
    Preset("Balanced", "A good result on most images.", num_epochs=20, num_steps=50),
    Preset(
        "Best", "For the figure: little is gained beyond it.", num_epochs=100, num_steps=50
    ),
)
"""From quick to thorough: 200, 1,000 and 5,000 steps. Most is gained in the first 200
(docs/performance.md, "Quality"), a minute or two without a GPU."""

DEFAULT = PRESETS[1]


def preset_of(training: TrainingConfig) -> Preset | None:
    """The preset that `training` follows; None if its numbers are its own."""
    for preset in PRESETS:
        if (training.num_epochs, training.num_steps) == (
            preset.num_epochs,
            preset.num_steps,
        ):
            return preset
    return None
