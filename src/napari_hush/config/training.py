"""How long to train, where, and how precisely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from napari_hush.config.base import Frozen


class TrainingConfig(Frozen):
    """How long to train, where, and how precisely."""

    num_epochs: int = Field(100, ge=1, le=1_000_000)
    """Epochs to train for."""
    num_steps: int | None = Field(None, ge=1, le=10_000_000)
    """Optimizer steps per epoch; None for one pass over the training patches.

    More steps than one pass holds go over the data again, newly augmented.
    """
    precision: Literal["auto", "32", "bf16"] = "auto"
    """Arithmetic: 32 bit floats, or bfloat16 where the hardware gains from it (auto)."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto (a GPU if there is one), cpu, mps, cuda, or cuda:1 and so on."""
    ema_decay: float = Field(0.99, ge=0, lt=1)
    """Use weights averaged over about 1 / (1 - this) steps; 0 for the last ones alone."""
    gradient_clip_norm: float | None = Field(None, gt=0)
    """Shorten gradients that are longer than this (L2 norm); None leaves them alone."""
    plateau_epochs: int = Field(10, ge=0)
    """Tell when the training loss has not fallen for this many epochs; 0 for never."""
    plateau_tolerance: float = Field(0.005, ge=0, lt=1)
    """What does not count as falling, as a share of the lowest loss so far."""
    early_stopping_epochs: int = Field(0, ge=0)
    """End when the validation loss has not fallen for this many epochs; 0 for never.

    Without validation the training loss decides. The last weights are kept. Best left
    off for Noise2Void, whose losses say little about which epoch is best.
    """
    snapshots: int = Field(10, ge=0, le=1000)
    """Models of earlier moments of the run that are kept in memory; 0 for none."""
    checkpoint_every: float = Field(60.0, ge=0, serialization_alias="save_state_every")
    """Seconds between two checkpoints, which is what a crash costs at most."""
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv"
    """How losses are logged beside the model, by hush train or where a log_dir is given."""
    devices: int = Field(1, ge=1, le=1024)
    """GPUs to train on, or processes where there is none, on each machine.

    They share every batch, so the result is that of one device but for rounding. More
    than one is for the command line and for scripts.
    """
    nodes: int = Field(1, ge=1, le=100_000)
    """Machines to train on; SLURM or torchrun starts the processes there."""
    strategy: Literal["auto", "ddp"] = "auto"
    """How several devices work together: each takes a part of every batch (ddp)."""
    process_timeout: float = Field(1800.0, gt=0, le=86_400 * 7)
    """Seconds without an answer after which another process counts as lost."""

    def elsewhere(self, devices: int | None = None, nodes: int | None = None) -> Self:
        """The same run on other devices and machines; by default on one."""
        return self.replace(devices=devices or 1, nodes=nodes or 1)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.devices == 1:
            return self
        if ":" in self.device:
            raise ValueError(
                f"device {self.device!r} names one GPU but devices is {self.devices}; set "
                "device to cuda, or devices to 1"
            )
        if self.device == "mps":
            raise ValueError(
                f"a Mac has one GPU but devices is {self.devices}; set devices to 1, or "
                "device to cpu"
            )
        return self


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
