"""Import of models that CAREamics 0.1 to 0.3 trained.

Its U-Net has the same layers under other names. Network, weights, normalization, axes,
patch and batch size and masking are imported; other settings have their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from napari_hush.config import Configuration, UNetConfig
from napari_hush.config.data import DataType
from napari_hush.config.transforms import N2VManipulateConfig
from napari_hush.errors import ConfigurationError
from napari_hush.models import Model, UNet
from napari_hush.models.file import check_values
from napari_hush.models.normalization import FORMER_EPSILON, Normalization
from napari_hush.models.weights import check_weights

if TYPE_CHECKING:
    from torch import Tensor

_METHODS = ("n2v", "n2n", "care")
_NETWORK = UNetConfig.model_fields.keys() - {"architecture", "pool_z"}
_MASKING = ("roi_size", "masked_pixel_percentage", "strategy")
_BLOCKS = {
    "encoder.encoder_blocks": "encoder",
    "decoder.decoder_blocks": "decoder",
    "decoder.bottleneck": "bottleneck",
}
_LAYER = re.compile(
    rf"({'|'.join(map(re.escape, _BLOCKS))})(?:\.(\d+))?\.(conv|batch_norm)([12])\.(\w+)"
)
_LIMITS = {
    "mean_std": ("means", "stds"),
    "min_max": ("mins", "maxes"),
    "quantile": ("lower_quantile_values", "upper_quantile_values"),
}


def careamics_model(
    values: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    *,
    epochs: int = 0,
    steps: int = 0,
) -> Model:
    """Make a model of the configuration `values` and the `weights` of CAREamics.

    Unsupported models raise a ConfigurationError, invalid values a KeyError, TypeError or
    ValueError.
    """
    settings, data = careamics_settings(values), values["data_config"]
    network = settings["algorithm_config"]["model"]
    _refuse_other_networks(network)
    network["independent_channels"] = False
    config = Configuration.build(settings)
    made = config.algorithm_config.model
    renamed = {
        _renamed(name, norm=made.use_batch_norm): (
            tensor.float() if tensor.is_floating_point() else tensor
        )
        for name, tensor in weights.items()
    }
    if made.residual:  # added to the image there, subtracted from it here
        for name in ("last.weight", "last.bias"):
            renamed[name] = -renamed[name]
    check_weights({name: tuple(each.shape) for name, each in renamed.items()}, made)
    unet = UNet(made)
    unet.load_state_dict(renamed)
    scaling, target = _scaling(data, "input"), _scaling(data, "target")
    model = Model(
        config,
        unet.eval(),
        _fitting(scaling, made.in_channels),
        _fitting(target or scaling, made.num_classes)
        if config.algorithm_config.needs_targets
        else None,
        epochs=epochs,
        steps=steps,
    )
    check_values(model)
    return model


def careamics_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a `Configuration` for those of CAREamics that a model depends on.

    They are not validated yet. Raises a ConfigurationError for methods and networks that
    there are none of here, and a KeyError or TypeError for values that are not CAREamics'.
    """
    algorithm = values["algorithm_config"]
    network, learning = _network(algorithm), _algorithm(algorithm)
    struct = "struct_mask_axis" in learning.get("n2v_config", {})
    return {
        "experiment_name": _name(values.get("experiment_name")),
        "algorithm_config": {**learning, "model": network},
        "data_config": _data(values["data_config"], network["conv_dims"], struct=struct),
    }


def _network(algorithm: Mapping[str, Any]) -> dict[str, Any]:
    theirs = algorithm["model"]
    if algorithm["algorithm"] not in _METHODS or theirs["architecture"] != "UNet":
        raise ConfigurationError(
            f"it was trained with {algorithm['algorithm']!r} and a network "
            f"{theirs['architecture']!r}, but only U-Nets of {', '.join(_METHODS)} can be "
            "read"
        )
    if (end := theirs.get("final_activation", "None")) not in ("None", None):
        raise ConfigurationError(
            f"its network ends in {end!r}, which is not supported; train one without"
        )
    return {name: theirs[name] for name in _NETWORK if name in theirs}


def _refuse_other_networks(network: Mapping[str, Any]) -> None:
    """Raise a ConfigurationError if weights of theirs do not fit such a network."""
    if network["conv_dims"] == 3 or network.get("n2v2"):
        raise ConfigurationError(
            "it is a network for volumes or of N2V2, which pads borders differently; "
            "train one with napari-hush"
        )
    apart = network.get("independent_channels", True)
    if apart and max(network["in_channels"], network["num_classes"]) > 1:
        raise ConfigurationError(
            "its channels are independent, with separate weights, which is not supported; "
            "train one with independent_channels=False, or one per channel"
        )


def _algorithm(theirs: Mapping[str, Any]) -> dict[str, Any]:
    method = theirs["algorithm"]
    found: dict[str, Any] = {"algorithm": method, "loss": theirs["loss"]}
    if method == "n2v":
        masking = theirs.get("n2v_config") or {}
        taken = {name: masking[name] for name in _MASKING if name in masking}
        found["n2v_config"] = {**taken, **_hidden(masking)}
    return found


def _hidden(masking: Mapping[str, Any]) -> dict[str, Any]:
    """The struct mask, in the format of 0.1 and of later versions."""
    struct = masking.get("struct_mask")
    if isinstance(struct, dict):
        axis, span = struct.get("axis"), struct.get("span")
    else:
        axis, span = masking.get("struct_mask_axis"), masking.get("struct_mask_span")
    if axis in (None, "none"):
        return {}
    span = N2VManipulateConfig().struct_mask_span if span is None else span
    return {"struct_mask_axis": axis, "struct_mask_span": span}


def _data(theirs: Mapping[str, Any], dims: int, *, struct: bool) -> dict[str, Any]:
    kind = theirs["data_type"]
    patching = theirs.get("patching") or theirs
    size = patching.get("patch_size") or (64, 64, 64)[:dims]
    return {
        "data_type": kind if kind in get_args(DataType) else "array",
        "axes": theirs["axes"],
        "patch_size": tuple(size),
        "batch_size": theirs["batch_size"],
        # flips and rotations may not fit the struct mask
        **({"transforms": ()} if struct else {}),
    }


def _name(given: Any) -> str:
    return re.sub(r"[^A-Za-z0-9_\- ]", "_", str(given or "")).strip() or "careamics"


def _renamed(name: str, *, norm: bool) -> str:
    """The name of a weight in `UNet`."""
    if name.startswith("final_conv."):
        return name.replace("final_conv", "last")
    found = _LAYER.fullmatch(name)
    if found is None:
        raise ValueError(f"its weight {name!r} is unknown")
    block, number, kind, which, what = found.groups()
    # Every second block pools or upsamples, which has no weights.
    place = "" if number is None else f".{int(number) // 2}"
    layer = (int(which) - 1) * (3 if norm else 2) + (kind == "batch_norm")
    return f"{_BLOCKS[block]}{place}.{layer}.{what}"


def _scaling(data: Mapping[str, Any], which: str) -> Normalization | None:
    """Normalization of the ``input`` or the ``target``, None if there is none."""
    theirs = data.get("normalization")
    if not isinstance(theirs, dict):  # 0.1 has one kind
        first = "image" if which == "input" else "target"
        means, stds = data.get(f"{first}_means"), data.get(f"{first}_stds")
        return None if not means else _of(means, stds)
    kind = theirs["name"]
    if kind == "none" or (which == "target" and theirs.get("skip_target")):
        return Normalization((0.0,), (1.0,))
    low, high = (theirs.get(f"{which}_{end}") for end in _LIMITS[kind])
    if not low or not high:
        return None
    if kind == "mean_std":
        return _of(low, high)
    return _of(low, [float(b) - float(a) for a, b in zip(low, high, strict=True)])


def _of(means: Any, stds: Any) -> Normalization:
    return Normalization(tuple(map(float, means)), tuple(map(float, stds)), FORMER_EPSILON)


def _fitting(scaling: Normalization | None, channels: int) -> Normalization:
    """The normalization with one value per channel."""
    if scaling is None:
        raise ValueError("it has no normalization of intensities")
    if len(scaling.means) == 1:
        return replace(
            scaling, means=scaling.means * channels, stds=scaling.stds * channels
        )
    if len(scaling.means) != channels or len(scaling.stds) != channels:
        raise ValueError(f"its statistics are not for {channels} channels")
    return scaling
