"""Factories for the methods that learn from pairs of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_hush.config.data import DataConfig, DataType
from napari_hush.config.factories import assemble, channels_of
from napari_hush.config.training import TrainingConfig
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.config.algorithm import PairedLoss
    from napari_hush.config.configuration import Configuration


def create_care_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int = TrainingConfig().num_epochs,
    *,
    loss: PairedLoss = "mae",
    n_channels_in: int | None = None,
    n_channels_out: int | None = None,
    **settings: Any,
) -> Configuration:
    """Configure CARE (Weigert et al., Nature Methods 2018): pairs of noisy and clean.

    Parameters
    ----------
    experiment_name, data_type, axes, patch_size, batch_size, num_epochs
        See `create_n2v_configuration`.
    loss : {"mae", "mse"}
        Mean absolute or mean squared error.
    n_channels_in, n_channels_out : int, optional
        Channels of images and targets; the first is needed exactly if `axes` has a C, the
        second is the same by default. If they differ, channels are not independent.
    **settings
        Further ones of `create_n2v_configuration`: num_steps, augmentations,
        independent_channels, model_params, optimizer, optimizer_params, lr_scheduler,
        lr_scheduler_params, seed, channels. Also target_channels, which of the channels
        of the targets are used.

    Returns
    -------
    Configuration
        Frozen and checked.

    Raises
    ------
    ConfigurationError
        If a value is out of range, contradicts another, or is unknown.
    """
    return _create_paired(
        "care",
        loss,
        n_channels_in,
        n_channels_out,
        experiment_name=experiment_name,
        data_type=data_type,
        axes=axes,
        patch_size=patch_size,
        batch_size=batch_size,
        num_epochs=num_epochs,
        **settings,
    )


def create_n2n_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int = TrainingConfig().num_epochs,
    *,
    loss: PairedLoss = "mse",
    n_channels_in: int | None = None,
    n_channels_out: int | None = None,
    **settings: Any,
) -> Configuration:
    """Configure Noise2Noise (Lehtinen et al., ICML 2018): pairs of noisy images.

    Parameters, result and errors are those of `create_care_configuration`. The loss is
    the squared error by default, whose best answer is the mean of the noise.
    """
    return _create_paired(
        "n2n",
        loss,
        n_channels_in,
        n_channels_out,
        experiment_name=experiment_name,
        data_type=data_type,
        axes=axes,
        patch_size=patch_size,
        batch_size=batch_size,
        num_epochs=num_epochs,
        **settings,
    )


_SETTINGS: dict[str, Any] = {
    "num_steps": None,
    "augmentations": None,
    "independent_channels": True,
    "model_params": None,
    "optimizer": "Adam",
    "optimizer_params": None,
    "lr_scheduler": "CosineAnnealingLR",
    "lr_scheduler_params": None,
    "seed": DataConfig().seed,
    "channels": None,
    "target_channels": None,
}
"""What every factory takes beyond its own arguments, with defaults."""

_GIVEN = {
    "experiment_name",
    "data_type",
    "axes",
    "patch_size",
    "batch_size",
    "num_epochs",
}
"""Arguments of the factories here that are no such settings."""


def _create_paired(
    algorithm: str,
    loss: str,
    n_channels_in: int | None,
    n_channels_out: int | None,
    **settings: Any,
) -> Configuration:
    if unknown := settings.keys() - _SETTINGS.keys() - _GIVEN:
        known = ", ".join(sorted(_SETTINGS))
        raise ConfigurationError(
            f"There is no setting {min(unknown)!r}; there are {known}."
        )
    settings = {**_SETTINGS, **settings}
    inputs = channels_of(settings["axes"], n_channels_in, settings["channels"])
    outputs = n_channels_out or inputs
    if settings["target_channels"] is not None:
        outputs = channels_of(settings["axes"], n_channels_out, settings["target_channels"])
    if inputs != outputs:
        settings["independent_channels"] = False
    return assemble(
        {"algorithm": algorithm, "loss": loss},
        dict(settings.pop("model_params") or {}),
        (inputs, outputs),
        **settings,
    )
