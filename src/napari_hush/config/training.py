"""Duration, device and precision of training."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from napari_hush.config.base import NEW, Frozen, with_quotes


class TrainingConfig(Frozen):
    """Duration, device and precision of training."""

    num_epochs: int = Field(100, ge=1, le=1_000_000)
    """Number of epochs."""
    num_steps: int | float | None = Field(None, gt=0, le=10_000_000)
    """Optimizer steps per epoch; None to visit every training patch once.
    A number with a decimal point, up to 1.0, is a fraction of those steps."""
    max_time: float | None = Field(None, gt=0, json_schema_extra=NEW)
    """Seconds after which training stops, without pauses; None for no limit.
    In Python also a timedelta or "DD:HH:MM:SS". A resumed run starts at 0 again."""
    accumulate_grad_batches: int = Field(1, ge=1, le=4096, json_schema_extra=NEW)
    """Batches per optimizer step, whose gradients are averaged; needs one process."""
    check_val_every_n_epoch: int = Field(1, ge=1, json_schema_extra=NEW)
    """Epochs from one validation to the next; the last epoch has one in any case."""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """32: float32; bf16: mixed precision (bfloat16); auto: bf16 where it is faster."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto (a GPU if there is one), cpu, mps, cuda, or cuda:1 and so on."""
    ema_decay: float = Field(0.99, ge=0, lt=1)
    """Decay of the EMA weights, which average about 1 / (1 - decay) steps; 0 for none."""
    gradient_clip_norm: float | None = Field(None, gt=0)
    """Gradient clipping: largest L2 norm of the gradients; None for no clipping."""
    plateau_epochs: int = Field(10, ge=0)
    """Epochs without a lower training loss that count as a plateau; 0 for no report."""
    plateau_tolerance: float = Field(0.005, ge=0, lt=1)
    """Smallest decrease that counts, as a fraction of the lowest loss (0 to 1)."""
    early_stopping_epochs: int = Field(0, ge=0)
    """Stop after this many epochs without a lower validation loss; 0 for never.
    Without validation data, the training loss counts. Not recommended for Noise2Void
    without a tolerance: the scatter of its loss is larger than late improvements."""
    early_stopping_tolerance: float | None = Field(None, ge=0, lt=1, json_schema_extra=NEW)
    """Fraction by which the mean loss must decrease (0 to 1); None for single epochs.
    The mean of the last early_stopping_epochs epochs is compared with that of as many
    epochs before; single epochs are compared with the lowest loss."""
    final_model: Literal["auto", "best", "last"] = Field("auto", json_schema_extra=NEW)
    """Weights after training: best (lowest validation loss), last (last step) or auto.
    auto is best for Noise2Noise and CARE, and last for Noise2Void, whose validation loss
    scatters more than the weights improve."""
    checkpoint_every_n_epochs: int = Field(0, ge=0, json_schema_extra=NEW)
    """Write the model to a file every n epochs, and the best and the last; 0 for never."""
    snapshots: int = Field(10, ge=0, le=1000)
    """Number of models of earlier epochs to keep in memory; 0 for none."""
    checkpoint_every: float = Field(60.0, ge=0, serialization_alias="save_state_every")
    """Seconds between two checkpoints; a crash loses no more training than that."""
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv"
    """Logger of the losses, for hush train or if a log_dir is given."""
    devices: int = Field(1, ge=1, le=1024)
    """Number of GPUs on each machine, or of processes if it has none; one in napari."""
    nodes: int = Field(1, ge=1, le=100_000)
    """Number of machines, on which SLURM or torchrun starts the processes."""
    strategy: Literal["auto", "ddp"] = "auto"
    """Distributed training: ddp splits every batch between devices."""
    process_timeout: float = Field(1800.0, gt=0, le=86_400 * 7)
    """Seconds without a response after which another process is considered lost."""

    def elsewhere(self, devices: int | None = None, nodes: int | None = None) -> Self:
        """A copy for other numbers of devices and machines, by default one."""
        return self.replace(devices=devices or 1, nodes=nodes or 1)

    @field_validator("num_steps")
    @classmethod
    def _whole_or_fraction(cls, steps: float | None) -> float | None:
        if not isinstance(steps, float) or steps <= 1:
            return steps
        if not steps.is_integer():
            raise ValueError("use a whole number, or a fraction of all steps up to 1.0")
        return int(steps)

    @field_validator("precision", mode="before")
    @classmethod
    def _with_quotes(cls, precision: Any) -> Any:
        return with_quotes(precision)

    @field_validator("max_time", mode="before")
    @classmethod
    def _seconds(cls, time: Any) -> Any:
        if isinstance(time, str) and time.count(":") == 3:
            parts = (float(part) for part in time.split(":"))
            days, hours, minutes, seconds = parts
            time = timedelta(days, seconds, minutes=minutes, hours=hours)
        elif isinstance(time, dict):
            time = timedelta(**time)
        return time.total_seconds() if isinstance(time, timedelta) else time

    def steps_of(self, whole: int) -> int:
        """Optimizer steps per epoch, if `whole` of them visit every patch once."""
        steps = self.num_steps
        if isinstance(steps, int):
            return steps
        return max(1, int(whole * (1.0 if steps is None else steps)))

    @model_validator(mode="after")
    def _agree(self) -> Self:
        other = "cpu" if self.device == "mps" else "cuda"
        if self.devices > 1 and (self.device == "mps" or ":" in self.device):
            raise ValueError(
                f"device {self.device!r} is one GPU but devices is {self.devices}; set "
                f"device to {other}, or devices to 1"
            )
        return self


@dataclass(frozen=True)
class Preset:
    """A named time of training, and its purpose in `words`."""

    name: str
    words: str
    seconds: float
    num_epochs: int
    """Epochs of 50 steps where the speed of the device, or the image, is not known."""
    fewest: int
    """Optimizer steps without which a result says nothing, however long they take."""
    most: int
    """Optimizer steps after which training improves little, however fast it is."""

    @property
    def changes(self) -> dict[str, int]:
        """Fields of `TrainingConfig`."""
        return {"num_epochs": self.num_epochs, "num_steps": 50}

    def lengths(self) -> list[dict[str, int]]:
        """Those that the preset can have, from the shortest on, as `changes`.

        At least 8 epochs, for the curve of losses; 50 steps in each if there are as many.
        """
        counts = [(8, steps) for steps in range(1, 50)]
        counts += [(epochs, 50) for epochs in range(8, self.most // 50 + 1)]
        return [
            {"num_epochs": epochs, "num_steps": steps}
            for epochs, steps in counts
            if self.fewest <= epochs * steps <= self.most
        ]


PRESETS = (
    Preset("Quick look", "Shows whether the method works.", 15, 4, 40, 400),
    Preset("Balanced", "A good result on most images.", 60, 12, 200, 2_000),
    Preset("Best", "For final results; more improves little.", 300, 100, 600, 5_000),
)
"""Most of the improvement comes from the first 200 steps, about half a minute without a GPU
(docs/dev/performance.md, "Quality")."""

DEFAULT = PRESETS[1]


def until_good(training: TrainingConfig) -> TrainingConfig:
    """`training` until the loss levels off, at most as long as it is.

    The loss of Noise2Void scatters, so the means of 200 steps or more are compared, and at
    least 400 steps are trained.
    """
    steps = training.num_steps if isinstance(training.num_steps, int) else 50
    return training.replace(
        early_stopping_epochs=max(4, -(-200 // steps), training.num_epochs // 10),
        early_stopping_tolerance=0.002,
    )


def may_end_early(training: TrainingConfig) -> bool:
    """Whether `training` may end after 60 % of its length or less if `until_good`."""
    # As many epochs are compared with as many before.
    earliest = 2 * until_good(training).early_stopping_epochs
    return earliest <= 0.6 * training.num_epochs
