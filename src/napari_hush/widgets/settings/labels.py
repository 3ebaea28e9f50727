"""What people call the fields of a configuration. No Qt here.

Fields without an entry are called by their name, with blanks for underscores; what they
mean is said by their help, which stands with the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

__all__ = ["help_of", "words_of"]

_WORDS = {
    "architecture": "Kind of network",
    "batch_size": "Patches per step",
    "depth": "Halvings",
    "experiment_name": "Name of the model",
    "ema_decay": "Averaging of weights",
    "gradient_clip_norm": "Longest gradient",
    "half_turns_only": "Half turns only",
    "image_means": "Mean intensity",
    "image_stds": "Standard deviation",
    "independent_channels": "Channels one by one",
    "kept": "Share kept",
    "lr_scheduler": "Schedule",
    "masked_pixel_percentage": "Masked pixels",
    "n2v2": "N2V2 network",
    "num_channels_init": "First filters",
    "num_epochs": "Epochs",
    "num_steps": "Steps per epoch",
    "num_workers": "Loader processes",
    "p": "Share of patches",
    "per_channel": "Each channel",
    "residual": "Learn the noise",
    "roi_size": "Window",
    "struct_mask": "Own mask",
    "struct_mask_axis": "Direction",
    "struct_mask_span": "Reach",
    "target_means": "Mean of targets",
    "target_stds": "Deviation of targets",
    "use_batch_norm": "Batch normalisation",
}

UNITS = {
    "masked_pixel_percentage": "%",
    "patch_size": "px",
    "roi_size": "px",
    "struct_mask_span": "px",
}
"""Units of numbers, by field."""

CHOICES = {
    "bf16": "16 bit (bfloat16)",
    "32": "32 bit",
    "auto": "automatic",
    "CosineAnnealingLR": "half a cosine",
    "ReduceLROnPlateau": "when it stands still",
    "StepLR": "every few epochs",
    "XYFlip": "Mirror",
    "XYRandomRotate90": "Turn by right angles",
    "mae": "absolute error",
    "mean_std": "mean and deviation",
    "min_max": "smallest and largest",
    "mse": "squared error",
    "n2v": "squared error, masked",
    "std": "deviation",
    "uniform": "a neighbour",
}
"""What values are called, where their name is no word."""


def words_of(name: str) -> str:
    """What people call the field `name`."""
    return _WORDS.get(name, name.replace("_", " ").capitalize())


def help_of(name: str, field: FieldInfo) -> str:
    """The field's help, its default and its name."""
    default = field.get_default(call_default_factory=True)
    simple = isinstance(default, bool | int | float | str) and not field.is_required()
    said = f"\nDefault: {CHOICES.get(str(default), default)}" if simple else ""
    return f"{field.description}{said}\n({name})"


def format_duration(seconds: float) -> str:
    """``75`` as ``"1 min 15 s"``: at most two units, nothing below a second.

    The blanks are no-break spaces, so that no unit is torn from its number.
    """
    whole = round(seconds)
    if whole < 1:
        return "under 1\N{NO-BREAK SPACE}s"
    minutes, secs = divmod(whole, 60)
    hours, mins = divmod(minutes, 60)
    parts = ((hours, "h"), (mins, "min"), (0 if hours else secs, "s"))
    return "\N{NO-BREAK SPACE}".join(
        f"{number}\N{NO-BREAK SPACE}{unit}" for number, unit in parts if number
    )
