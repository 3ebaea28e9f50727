"""Labels of the fields of a configuration and of their values. No Qt here.

Fields without an entry are labeled with their name, with spaces for underscores.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_hush.errors import counted as counted

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

NBSP = "\N{NO-BREAK SPACE}"

_WORDS = {
    "accumulate_grad_batches": "Batches per step",
    "batch_size": "Batch size",
    "check_val_every_n_epoch": "Epochs per validation",
    "depth": "U-Net depth",
    "early_stopping_epochs": "Early stopping",
    "early_stopping_tolerance": "Minimum decrease",
    "experiment_name": "Model name",
    "ema_decay": "EMA of weights",
    "flip_x": "Flip along X",
    "flip_y": "Flip along Y",
    "gradient_clip_norm": "Gradient clipping",
    "half_turns_only": "Only by 180°",
    "image_means": "Mean intensity",
    "image_stds": "Standard deviation",
    "checkpoint_every": "Checkpoint every (s)",
    "kept": "Share kept",
    "lr_scheduler": "LR scheduler",
    "masked_pixel_percentage": "Masked pixels (%)",
    "max_time": "Time limit (s)",
    "max_val_patches": "Validation patches",
    "min_lr": "Minimum rate",
    "n2v2": "N2V2 network",
    "num_channels_init": "Initial filters",
    "num_epochs": "Epochs",
    "num_steps": "Steps per epoch",
    "num_workers": "Loader workers",
    "p": "Probability",
    "pool_z": "Downsample Z",
    "process_timeout": "Process timeout (s)",
    "residual": "Residual learning",
    "roi_size": "ROI size",
    "struct_mask": "Custom mask",
    "struct_mask_axis": "structN2V axis",
    "struct_mask_span": "structN2V span",
    "target_means": "Target mean",
    "target_stds": "Target deviation",
    "time_context": "Frames before and after",
    "use_batch_norm": "Batch normalization",
    "val_percentage": "Share for validation",
    "warmup_steps": "Warm-up steps",
}

UNITS = {
    "patch_size": "px",
    "roi_size": "px",
    "struct_mask_span": "px",
}
"""Units of numbers, by field."""

CHOICES = {
    "bf16": "16 bit (bfloat16)",
    "32": "32 bit",
    "auto": "automatic",
    "CosineAnnealingLR": "cosine annealing",
    "ReduceLROnPlateau": "on plateau",
    "StepLR": "every few epochs",
    "XYFlip": "Flip",
    "XYRandomRotate90": "Rotate by 90°",
    "mae": "absolute error",
    "mean_std": "mean and deviation",
    "min_max": "minimum and maximum",
    "max": "maximum",
    "mse": "squared error",
    "n2v": "squared error, masked",
    "std": "standard deviation",
    "uniform": "random neighbor",
}
"""Labels of values."""


def words_of(name: str) -> str:
    """The label of the field `name`."""
    return _WORDS.get(name, name.replace("_", " ").capitalize())


def help_of(name: str, field: FieldInfo, none: str) -> str:
    """Help for the field `name`: its description, default and name.

    `none` is what its editor shows for None.
    """
    default = field.get_default(call_default_factory=True)
    simple = isinstance(default, bool | int | float | str) and not field.is_required()
    shown = CHOICES.get(default, default) if isinstance(default, str) else default
    said = f"\nDefault: {shown}" if simple else ""
    words = re.sub(r"\bNone\b", none, field.description or "")
    return f"{words}{said}\n({name})"


def format_duration(seconds: float) -> str:
    """``75`` as ``"1 min 15 s"``: at most two units, nothing below a second.

    The spaces are no-break spaces.
    """
    whole = round(seconds)
    if whole < 1:
        return f"under 1{NBSP}s"
    minutes, secs = divmod(whole, 60)
    hours, mins = divmod(minutes, 60)
    parts = ((hours, "h"), (mins, "min"), (0 if hours else secs, "s"))
    return NBSP.join(f"{number}{NBSP}{unit}" for number, unit in parts if number)


def roughly(seconds: float) -> str:
    """A duration in one unit, as precise as the estimate."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))}{NBSP}s"
    if seconds < 5400:
        return f"{round(seconds / 60)}{NBSP}min"
    return f"{round(seconds / 3600)}{NBSP}h"
