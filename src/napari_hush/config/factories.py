"""Functions that build a `Configuration` from the settings that people change most."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from inspect import getfullargspec
from typing import Any, Literal, SupportsInt

import numpy as np

from napari_hush.arguments import by_any_name, by_our_names
from napari_hush.axes import spatial_axes, validate_axes
from napari_hush.config.algorithm import (
    PairedLoss,
    UNetConfig,
    Weights,
    fitting_pool_z,
)
from napari_hush.config.base import nearest
from napari_hush.config.configuration import Configuration
from napari_hush.config.data import BackgroundConfig, DataConfig, DataType
from napari_hush.config.methods import METHODS, STRUCT_AXES, Method
from napari_hush.config.training import TrainingConfig
from napari_hush.config.transforms import (
    N2VManipulateConfig,
    StructAxis,
    Transform,
    XYFlipConfig,
    XYRandomRotate90Config,
    fitting_transforms,
    strategy_for,
)
from napari_hush.errors import ConfigurationError

Optimizer = Literal["Adam", "AdamW", "Adamax", "SGD"]

_log = logging.getLogger(__name__)

_LIGHTNING = {
    "max_epochs": "num_epochs",
    "limit_train_batches": "num_steps",
    "gradient_clip_val": "gradient_clip_norm",
    "num_nodes": "nodes",
    "accelerator": "device",
}
"""Arguments of Lightning's Trainer, and their names in `TrainingConfig`."""
_VALUES: dict[str, dict[Any, Any]] = {
    "device": {"gpu": "cuda"},
    "devices": {"auto": 1, -1: 1},
    "precision": {"32-true": "32", "bf16-mixed": "bf16"},
    "logger": {False: "none", True: "csv", None: "csv"},
}
_WITHOUT_EFFECT = {
    "benchmark",
    "deterministic",
    "enable_checkpointing",
    "enable_model_summary",
    "enable_progress_bar",
    "inference_mode",
    "log_every_n_steps",
    "num_sanity_val_steps",
    "profiler",
    "sync_batchnorm",
    "use_distributed_sampler",
}
"""Arguments of the Trainer that change no result, or that are always as they should be."""
_DEFAULTS = {
    "barebones": False,
    "detect_anomaly": False,
    "gradient_clip_algorithm": "norm",
    "limit_val_batches": 1.0,
    "max_steps": -1,
    "min_epochs": None,
    "min_steps": None,
    "overfit_batches": 0.0,
    "reload_dataloaders_every_n_epochs": 0,
    "val_check_interval": 1.0,
}
"""Other arguments of the Trainer, and the only values they can have here."""


def training_settings(trainer_params: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `TrainingConfig` for arguments of Lightning's Trainer.

    Fields keep their names. Logs a warning about arguments that change no result; raises a
    ConfigurationError for those that have no equivalent.
    """
    found: dict[str, Any] = {}
    left_out = []
    for name, value in _mapping("trainer_params", trainer_params).items():
        field = _LIGHTNING.get(name, name)
        if field in TrainingConfig.model_fields:
            known: dict[Any, Any] = _VALUES.get(field, {})
            found[field] = known.get(value, value) if _hashable(value) else value
        elif name in _WITHOUT_EFFECT:
            left_out.append(name)
        elif name not in _DEFAULTS:
            names = [*TrainingConfig.model_fields, *_LIGHTNING]
            hint = nearest(name, names) or f"there are {', '.join(sorted(names))}"
            raise ConfigurationError(f"trainer_params has no setting {name!r}; {hint}.")
        elif not _is_default(value, _DEFAULTS[name]):
            raise ConfigurationError(
                f"{name} is {value!r} in trainer_params, but training has it as "
                f"{_DEFAULTS[name]!r}; leave it out, or train with a Trainer of your own."
            )
    if left_out:
        _log.warning(
            "Left out of trainer_params, as they change no result: %s.", ", ".join(left_out)
        )
    return found


def _is_default(value: Any, default: Any) -> bool:
    """Whether it means the same to Lightning: 1 is one batch, 1.0 are all of them."""
    counts = isinstance(value, int) and isinstance(default, float) and value != 0
    return value is None or (value == default and not counts)


def _hashable(value: Any) -> bool:
    return isinstance(value, str | int | float | None)


@by_any_name
def create_n2v_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int | None = None,
    num_steps: float | None = None,
    augmentations: Sequence[Transform | str] | None = None,
    independent_channels: bool = True,
    use_n2v2: bool = False,
    n_channels: int | None = None,
    roi_size: int = N2VManipulateConfig().roi_size,
    masked_pixel_percentage: float | None = None,
    struct_n2v_axis: StructAxis = "none",
    struct_n2v_span: int = N2VManipulateConfig().struct_mask_span,
    model_params: dict[str, Any] | None = None,
    optimizer: Optimizer = "Adam",
    optimizer_params: dict[str, Any] | None = None,
    lr_scheduler: str = "CosineAnnealingLR",
    lr_scheduler_params: dict[str, Any] | None = None,
    seed: int = DataConfig().seed,
    struct_n2v_mask: Any = None,
    channels: Sequence[int] | None = None,
    normalization: Any = None,
    background: BackgroundConfig | dict[str, Any] | None = None,
    num_workers: int = DataConfig().num_workers,
    logger: str | None = None,
    trainer_params: Mapping[str, Any] | None = None,
    n_val_patches: int | None = None,
    weights: Weights = "auto",
    time_context: int = 0,
) -> Configuration:
    """Configure Noise2Void (Krull et al., CVPR 2019), which needs noisy images only.

    Parameters
    ----------
    experiment_name, num_epochs, num_steps
        Fields of `Configuration` and `TrainingConfig`.
    data_type, axes, patch_size, batch_size, seed, channels
        Fields of `DataConfig`. The size of patches along Z decides at how many levels the
        network downsamples Z (`fitting_pool_z`).
    augmentations : sequence, optional
        By default `XYFlipConfig` and `XYRandomRotate90Config`, restricted to what leaves
        the struct mask unchanged; ``[]`` for none. Also "x_flip", "y_flip", "rotate_90".
    independent_channels, model_params
        A field of `UNetConfig`, and a dict of others, e.g. ``{"depth": 3}``.
    use_n2v2 : bool
        N2V2 (Höck et al., 2022, arXiv:2211.08512): median replacement, blurred max
        pooling, no top skip connection; avoids checkerboards and copes with hot pixels.
    n_channels : int, optional
        Number of channels; required if `axes` has a C and `channels` is not given.
    roi_size, masked_pixel_percentage
        Fields of `N2VManipulateConfig`.
    struct_n2v_axis, struct_n2v_span, struct_n2v_mask
        ``struct_mask_axis``, ``struct_mask_span`` and ``struct_mask`` of
        `N2VManipulateConfig` (structN2V, Broaddus et al., ISBI 2020), for noise that is
        correlated along X, Y, Z, both X and Y, or in the whole YX plane. The mask may be an
        array. Axis and span may be those of `check_data`, also for independent noise
        ("none" and 1).
    optimizer, optimizer_params
        Name in ``torch.optim``, and a dict of its arguments; ``"lr"`` is the learning rate.
    lr_scheduler, lr_scheduler_params
        "CosineAnnealingLR", "ReduceLROnPlateau" or "StepLR", and a dict of other fields of
        `CosineConfig`, `ReduceLROnPlateauConfig` or `StepLRConfig`.
    normalization, background, num_workers
        Fields of `DataConfig`; a normalization also by its name, "mean_std", "quantile",
        "min_max" or "none".
    logger, trainer_params
        A field of `TrainingConfig`, and a dict of others, by their names or those of
        Lightning's Trainer, such as ``{"max_time": "00:01:00:00"}``. Arguments of the
        function take precedence.
    n_val_patches : int, optional
        Number of patches to validate on, at most half of them; by default `DataConfig`'s.
    weights : {"auto", "random", "built-in"}
        Initial weights, see `AlgorithmConfig`; by default those of a built-in network for
        the default architecture, else random ones.
    time_context : int
        Frames before and after each frame that the network sees as well, see `UNetConfig`.
        Only the frame itself is masked.

    Returns
    -------
    Configuration
        Frozen and checked.

    Raises
    ------
    ConfigurationError
        If a value is out of range or contradicts another.
    """
    count = _count_channels(axes, n_channels, channels)
    masking: dict[str, Any] = {
        "roi_size": roi_size,
        "strategy": strategy_for(use_n2v2),
        "struct_mask_axis": struct_n2v_axis,
        "struct_mask": struct_n2v_mask,
    }
    if struct_n2v_axis != "none" or struct_n2v_span != 1:
        masking["struct_mask_span"] = struct_n2v_span
    if masked_pixel_percentage is not None:
        masking["masked_pixel_percentage"] = masked_pixel_percentage
    checked = N2VManipulateConfig.build(masking)
    if augmentations is None and checked.hides_neighbours:
        augmentations = fitting_transforms(checked, 3 if "Z" in axes.upper() else 2)
    return _assemble(
        {"n2v_config": checked.model_dump()},
        (count, count),
        (experiment_name, data_type, axes, patch_size, batch_size, num_epochs),
        num_steps=num_steps,
        augmentations=augmentations,
        independent_channels=independent_channels,
        model_params={"n2v2": use_n2v2, **_mapping("model_params", model_params)},
        optimizer=optimizer,
        optimizer_params=optimizer_params,
        lr_scheduler=lr_scheduler,
        lr_scheduler_params=lr_scheduler_params,
        seed=seed,
        channels=channels,
        normalization=normalization,
        background=background,
        num_workers=num_workers,
        logger=logger,
        trainer_params=trainer_params,
        n_val_patches=n_val_patches,
        weights=weights,
        time_context=time_context,
    )


def create_care_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int | None = None,
    *,
    loss: PairedLoss = "mae",
    n_channels_in: int | None = None,
    n_channels_out: int | None = None,
    **settings: Any,
) -> Configuration:
    """Configure CARE (Weigert et al., Nature Methods 2018): pairs of noisy and clean.

    Result and errors are those of `create_n2v_configuration`.

    Parameters
    ----------
    experiment_name, data_type, axes, patch_size, batch_size, num_epochs
        See `create_n2v_configuration`.
    loss : {"mae", "mse"}
        Mean absolute or mean squared error.
    n_channels_in, n_channels_out : int, optional
        Channels of images and targets; the first is required if `axes` has a C, the
        second defaults to the first, or to 1 if `target_axes` have no C. If they differ,
        channels are not independent.
    **settings
        num_steps, augmentations, independent_channels, model_params, optimizer,
        optimizer_params, lr_scheduler, lr_scheduler_params, seed, channels, normalization,
        background, num_workers, logger, trainer_params, n_val_patches, weights,
        time_context; also target_axes and target_channels, axes and channels of targets if
        they are others.
    """
    common = (experiment_name, data_type, axes, patch_size, batch_size, num_epochs)
    channels = (n_channels_in, n_channels_out)
    return _create_paired(METHODS["care"], loss, channels, common, settings)


def create_n2n_configuration(
    experiment_name: str,
    data_type: DataType,
    axes: str,
    patch_size: Sequence[int],
    batch_size: int,
    num_epochs: int | None = None,
    *,
    loss: PairedLoss = "mse",
    n_channels_in: int | None = None,
    n_channels_out: int | None = None,
    **settings: Any,
) -> Configuration:
    """Configure Noise2Noise (Lehtinen et al., ICML 2018): pairs of noisy images.

    Parameters, result and errors are those of `create_care_configuration`. The default
    loss is the squared error, whose minimum is the mean of the noisy images.
    """
    common = (experiment_name, data_type, axes, patch_size, batch_size, num_epochs)
    channels = (n_channels_in, n_channels_out)
    return _create_paired(METHODS["n2n"], loss, channels, common, settings)


def _create_paired(
    method: Method,
    loss: str,
    n_channels: tuple[int | None, int | None],
    common: tuple[Any, ...],
    settings: dict[str, Any],
) -> Configuration:
    known = getfullargspec(_assemble).kwonlyargs
    settings = by_our_names(f"create_{method.key}_configuration", settings, known)
    axes, targets = validate_axes(common[2]), settings.get("target_channels")
    inputs = _count_channels(axes, n_channels[0], settings.get("channels"))
    of_targets = validate_axes(settings.get("target_axes") or axes)
    outputs = n_channels[1]
    if outputs is None and targets is None and "C" in of_targets and "C" in axes:
        outputs = inputs
    outputs = _count_channels(of_targets, outputs, targets, "n_channels_out")
    if inputs != outputs:
        settings["independent_channels"] = False
    algorithm = {"algorithm": method.algorithm, "loss": loss}
    return _assemble(algorithm, (inputs, outputs), common, **settings)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping | None):
        raise ConfigurationError(
            f"{name} is {value!r}; give a dict of settings and their values."
        )
    return dict(value or {})


def _count_channels(
    axes: str,
    n_channels: int | None,
    chosen: Sequence[int] | None = None,
    name: str = "n_channels",
) -> int:
    axes = validate_axes(axes)
    if chosen is not None:
        if isinstance(chosen, int):
            raise ConfigurationError(
                f"channels are given as {chosen}; give a list of them, [{chosen}]."
            )
        if n_channels not in (None, len(chosen)):
            raise ConfigurationError(
                f"{name} is {n_channels} but {len(chosen)} channels are given; omit it."
            )
        n_channels = len(chosen)
    if "C" in axes and n_channels is None:
        raise ConfigurationError(
            f"The axes {axes!r} have channels (C) but {name} is not given; give the "
            "number of channels."
        )
    if "C" not in axes and n_channels not in (None, 1):
        raise ConfigurationError(
            f"{name} is {n_channels} but the axes {axes!r} have no C; add C to the "
            f"axes or leave {name} out."
        )
    return 1 if n_channels is None else n_channels


def _assemble(
    algorithm: dict[str, Any],
    counts: tuple[int, int],
    common: tuple[Any, ...],
    *,
    num_steps: float | None = None,
    augmentations: Sequence[Transform | str] | None = None,
    independent_channels: bool = True,
    model_params: dict[str, Any] | None = None,
    optimizer: str = "Adam",
    optimizer_params: dict[str, Any] | None = None,
    lr_scheduler: str = "CosineAnnealingLR",
    lr_scheduler_params: dict[str, Any] | None = None,
    seed: int = DataConfig().seed,
    channels: Sequence[int] | None = None,
    target_axes: str | None = None,
    target_channels: Sequence[int] | None = None,
    normalization: Any = None,
    background: BackgroundConfig | dict[str, Any] | None = None,
    num_workers: int = DataConfig().num_workers,
    logger: str | None = None,
    trainer_params: Mapping[str, Any] | None = None,
    n_val_patches: int | None = None,
    weights: Weights = "auto",
    time_context: int = 0,
) -> Configuration:
    """Build a configuration from numbers of channels and the arguments all methods share.

    `counts` are for images and results; `common` is name to epochs in the usual order.
    """
    experiment_name, data_type, axes, patch_size, batch_size, num_epochs = common
    axes = validate_axes(axes)
    network = _mapping("model_params", model_params)
    depth = network.get("depth", UNetConfig().depth)
    if isinstance(patch_size, Sequence | np.ndarray) and not isinstance(patch_size, str):
        planes = patch_size[0] if "Z" in axes and len(patch_size) == 3 else None
        if isinstance(planes, SupportsInt) and isinstance(depth, int):
            network = {"pool_z": fitting_pool_z(int(planes), depth), **network}
    parameters = _mapping("optimizer_params", optimizer_params)
    rate = {"learning_rate": parameters.pop("lr")} if "lr" in parameters else {}
    data: dict[str, Any] = {
        "data_type": data_type,
        "axes": axes,
        "patch_size": patch_size,
        "batch_size": batch_size,
        "seed": seed,
        "channels": None if channels is None else tuple(channels),
        "target_channels": None if target_channels is None else tuple(target_channels),
        "target_axes": target_axes,
        "background": background,
        "num_workers": num_workers,
    }
    if normalization is not None:
        named = isinstance(normalization, str)
        data["normalization"] = {"name": normalization} if named else normalization
    if augmentations is not None:
        data["transforms"] = _transforms(augmentations)
    if n_val_patches is not None:
        data |= validation_patches(n_val_patches)
    given = {"num_epochs": num_epochs, "num_steps": num_steps, "logger": logger}
    training = training_settings(trainer_params or {})
    training |= {name: value for name, value in given.items() if value is not None}
    schedule = _mapping("lr_scheduler_params", lr_scheduler_params)
    return Configuration.build(
        {
            "experiment_name": experiment_name,
            "algorithm_config": {
                **algorithm,
                "weights": weights,
                "model": {
                    "conv_dims": len(spatial_axes(axes)),
                    "in_channels": counts[0],
                    "num_classes": counts[1],
                    "independent_channels": independent_channels,
                    "time_context": time_context,
                    **network,
                },
                "optimizer": {"name": optimizer, "parameters": parameters, **rate},
                "lr_scheduler": {"name": lr_scheduler, **schedule},
            },
            "data_config": data,
            "training_config": training,
        }
    )


def validation_patches(number: int) -> dict[str, Any]:
    """Fields of `DataConfig` for so many patches to validate on, at most half of them."""
    return {"max_val_patches": number, "val_percentage": 0.5}


_FLIPS = ("x_flip", "y_flip")


def _transforms(given: Sequence[Transform | str]) -> tuple[Transform, ...]:
    """Transforms, some of them by the names that CAREamics has for them."""
    if not isinstance(given, list | tuple):
        raise ConfigurationError(
            f"augmentations is {given!r}; give a list, such as [XYFlipConfig()]."
        )
    names = [each for each in given if isinstance(each, str)]
    if unknown := set(names) - {*_FLIPS, "rotate_90"}:
        raise ConfigurationError(
            f"There is no augmentation {min(unknown)!r}; give XYFlipConfig() or "
            "XYRandomRotate90Config(), or 'x_flip', 'y_flip' or 'rotate_90'."
        )
    made: list[Transform] = [each for each in given if not isinstance(each, str)]
    along_x, along_y = (flip in names for flip in _FLIPS)
    if along_x or along_y:
        made.append(XYFlipConfig(flip_x=along_x, flip_y=along_y))
    if "rotate_90" in names:
        made.append(XYRandomRotate90Config())
    return tuple(made)


# The names of CAREamics 0.2 and 0.3.
create_n2v_config = create_advanced_n2v_config = create_n2v_configuration
create_care_config = create_advanced_care_config = create_care_configuration
create_n2n_config = create_advanced_n2n_config = create_n2n_configuration


def create_structn2v_config(*args: Any, **kwargs: Any) -> Configuration:
    """`create_n2v_configuration` for structN2V, whose ``struct_n2v_axis`` is needed.

    Raises a ConfigurationError without it, and those of `create_n2v_configuration`.
    """
    config = create_n2v_configuration(*args, **kwargs)
    masking = config.algorithm_config.n2v_config
    if masking is None or masking.struct_mask_axis == "none":
        raise ConfigurationError(
            "create_structn2v_config() got no struct_n2v_axis; give "
            f"{', '.join(map(repr, STRUCT_AXES[:-1]))} or {STRUCT_AXES[-1]!r}."
        )
    return config
