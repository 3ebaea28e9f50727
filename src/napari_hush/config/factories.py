"""Functions that build a `Configuration` from the few things people set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.config.configuration import Configuration
from napari_hush.config.data import DataConfig, DataType
from napari_hush.config.training import TrainingConfig
from napari_hush.config.transforms import (
    N2VManipulateConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
)
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


def create_n2v_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int = TrainingConfig().num_epochs,
    num_steps: int | None = None,
    augmentations: Sequence[XYFlipConfig | XYRandomRotate90Config] | None = None,
    independent_channels: bool = True,
    n_channels: int | None = None,
    roi_size: int = N2VManipulateConfig().roi_size,
    masked_pixel_percentage: float = N2VManipulateConfig().masked_pixel_percentage,
    model_params: dict[str, Any] | None = None,
    optimizer: Literal["Adam", "AdamW", "Adamax", "SGD"] = "Adam",
    optimizer_params: dict[str, Any] | None = None,
    lr_scheduler: str = "CosineAnnealingLR",
    lr_scheduler_params: dict[str, Any] | None = None,
    seed: int = DataConfig().seed,
) -> Configuration:
    """Configure Noise2Void (Krull et al., CVPR 2019), which needs noisy images only.

    Parameters
    ----------
    experiment_name : str
        Name of the model: letters, digits, blanks, hyphens and underscores.
    data_type : {"array", "tiff", "custom"}
        What will be trained on.
    axes : str
        One letter per dimension out of S, T, C, Z, Y, X, slowest first.
    patch_size : sequence of int
        ``[Y, X]`` or ``[Z, Y, X]`` in pixels, multiples of ``2**depth``, 8 or more.
    batch_size : int
        Patches per optimizer step.
    num_epochs : int
        Epochs to train for.
    num_steps : int, optional
        Optimizer steps per epoch; by default one pass over the training patches.
    augmentations : sequence, optional
        By default `XYFlipConfig` and `XYRandomRotate90Config`; ``[]`` for none.
    independent_channels : bool
        Denoise each channel by itself (with shared weights), or all channels together.
    n_channels : int, optional
        How many channels there are; needed exactly if `axes` has a C.
    roi_size : int
        Side of the window a masked pixel's replacement is drawn from, odd, 3 to 21.
    masked_pixel_percentage : float
        Share of masked pixels in percent, 0.05 to 10.
    model_params : dict, optional
        Further fields of `UNetConfig`, e.g. ``{"depth": 3}``.
    optimizer : {"Adam", "AdamW", "Adamax", "SGD"}
        Optimizer of torch.
    optimizer_params : dict, optional
        Its keyword arguments; ``"lr"`` is the learning rate.
    lr_scheduler : {"CosineAnnealingLR", "ReduceLROnPlateau", "StepLR"}
        How the learning rate changes over the run.
    lr_scheduler_params : dict, optional
        Fields of that scheduler's configuration.
    seed : int
        Seed of every random draw.

    Returns
    -------
    Configuration
        Frozen and checked.

    Raises
    ------
    ConfigurationError
        If a value is out of range or contradicts another.
    """
    axes = validate_axes(axes)
    if "C" in axes and n_channels is None:
        raise ConfigurationError(
            f"The axes {axes!r} have channels (C) but n_channels is not given; say how "
            "many there are."
        )
    if "C" not in axes and n_channels not in (None, 1):
        raise ConfigurationError(
            f"n_channels is {n_channels} but the axes {axes!r} have no C; add C to the "
            "axes or leave n_channels out."
        )
    channels = n_channels or 1
    optimizer_params = dict(optimizer_params or {})
    learning_rate = optimizer_params.pop("lr", None)
    data: dict[str, Any] = {
        "data_type": data_type,
        "axes": axes,
        "patch_size": tuple(patch_size),
        "batch_size": batch_size,
        "seed": seed,
    }
    if augmentations is not None:
        data["transforms"] = tuple(a.model_dump() for a in augmentations)
    return Configuration.build(
        {
            "experiment_name": experiment_name,
            "algorithm_config": {
                "model": {
                    "conv_dims": len(spatial_axes(axes)),
                    "in_channels": channels,
                    "num_classes": channels,
                    "independent_channels": independent_channels,
                    **(model_params or {}),
                },
                "n2v_config": {
                    "roi_size": roi_size,
                    "masked_pixel_percentage": masked_pixel_percentage,
                },
                "optimizer": {
                    "name": optimizer,
                    "parameters": optimizer_params,
                    **({"learning_rate": learning_rate} if learning_rate else {}),
                },
                "lr_scheduler": {"name": lr_scheduler, **(lr_scheduler_params or {})},
            },
            "data_config": data,
            "training_config": {"num_epochs": num_epochs, "num_steps": num_steps},
        }
    )
