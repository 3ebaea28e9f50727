"""Import of models that CAREamics 0.1 to 0.3 trained.

Its U-Net has the same layers under other names, and becomes the variant ``"careamics"`` of
ours. Network, weights, normalization, axes, channels, patch and batch size, augmentation
and masking are imported; other settings have their defaults.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, get_args

from napari_hush.config import Configuration, UNetConfig
from napari_hush.config.data import DataType
from napari_hush.config.transforms import (
    N2VManipulateConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    fitting_transforms,
    misfit_of,
)
from napari_hush.errors import ConfigurationError
from napari_hush.models import Model, UNet
from napari_hush.models.file import check_values
from napari_hush.models.normalization import FORMER_EPSILON, Normalization
from napari_hush.models.weights import check_weights

if TYPE_CHECKING:
    from torch import Tensor

_log = logging.getLogger(__name__)

_METHODS = ("n2v", "n2n", "care")
_NETWORK = UNetConfig.model_fields.keys() - {"architecture", "pool_z", "variant"}
_MASKED = 0.2
"""Percentage of masked pixels in a configuration that does not say it."""
_MASKING = ("roi_size", "masked_pixel_percentage", "strategy")
_AUGMENTATIONS = (XYFlipConfig, XYRandomRotate90Config)
_STRUCT = ("struct_mask", "struct_mask_axis", "struct_mask_span")
_SCALING = {
    "mean_std": ("means", "stds"),
    "min_max": ("mins", "maxes"),
    "quantile": ("lower_quantile_values", "upper_quantile_values"),
    "none": (),
}
_NEEDED = {
    "algorithm_config.model": {*_NETWORK, "architecture", "final_activation"},
    "algorithm_config.n2v_config": {*_MASKING, *_STRUCT, "name", "seed"},
    "algorithm_config.n2v_config.struct_mask": {"axes", "span"},
    "data_config.normalization": {
        *("name", "per_channel", "skip_target", "lower_quantiles", "upper_quantiles"),
        *(
            f"{of}_{end}"
            for of in ("input", "target")
            for e in _SCALING.values()
            for end in e
        ),
    },
}
"""Fields of the parts that results and masks depend on; others there are errors."""
_KNOWN = {
    "": {
        "version",
        "experiment_name",
        "algorithm_config",
        "data_config",
        "training_config",
    },
    "algorithm_config": {
        *("algorithm", "loss", "model", "n2v_config"),
        *("optimizer", "lr_scheduler", "monitor_metric"),
    },
    "data_config": {
        *("data_type", "axes", "target_axes", "channels", "patch_size", "patching"),
        *("normalization", "image_means", "image_stds", "target_means", "target_stds"),
        *("batch_size", "transforms", "augmentations", "mode", "in_memory", "seed"),
        *("n_val_patches", "patch_filter", "mask_filter", "num_workers"),
        *(f"{stage}_dataloader_params" for stage in ("train", "val", "pred")),
    },
    "data_config.patching": {"name", "patch_size", "seed"},
}
"""Fields of the other parts, imported or not; others there are warnings."""
_BLOCKS = {
    "encoder.encoder_blocks": "encoder",
    "decoder.decoder_blocks": "decoder",
    "decoder.bottleneck": "bottleneck",
}
_LAYER = re.compile(
    rf"({'|'.join(map(re.escape, _BLOCKS))})(?:\.(\d+))?\.(conv|batch_norm)([12])\.(\w+)"
)


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
    _check_version(values.get("version"))
    if missing := [
        part for part in ("algorithm_config", "data_config") if part not in values
    ]:
        raise ConfigurationError(
            f"it has no {missing[0]}; CAREamics writes it with the CAREamist only"
        )
    settings, data = careamics_settings(values), values["data_config"]
    _check_fields(values)
    settings["algorithm_config"]["model"]["variant"] = "careamics"
    settings["training_config"] = {"precision": "32"}  # bf16 would round
    config = Configuration.build(settings)
    made = config.algorithm_config.model
    renamed = {
        _renamed(name, norm=made.use_batch_norm): (
            tensor.float() if tensor.is_floating_point() else tensor
        )
        for name, tensor in weights.items()
        # CAREamics keeps them without a use
        if made.use_batch_norm or ".batch_norm" not in name
    }
    if made.residual:  # added to the image there, subtracted from it here
        for name in ("last.weight", "last.bias"):
            renamed[name] = -renamed[name]
    check_weights({name: tuple(each.shape) for name, each in renamed.items()}, made)
    unet = UNet(made)
    unet.load_state_dict(renamed)
    scaling, target = _scaling(data, "input"), _scaling(data, "target")
    paired = config.algorithm_config.needs_targets
    if paired and str(values.get("version")).startswith(("0.1", "0.2")):
        _log.warning(_TARGETS)
    model = Model(
        config,
        unet.eval(),
        _fitting(scaling, made.in_channels),
        _fitting(target or scaling, made.num_classes)
        if paired or _skips_target(data)
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
    algorithm, data = values["algorithm_config"], values["data_config"]
    settings = _settings(algorithm, data, _network(algorithm))
    if algorithm["algorithm"] != "n2v" and str(values.get("version")).startswith("0.2"):
        # later versions take all channels of the targets
        settings["data_config"]["target_channels"] = data.get("channels")
    return {"experiment_name": _name(values.get("experiment_name")), **settings}


_TARGETS = (
    "Results of this model have the intensities of its targets; CAREamics 0.1 and 0.2 "
    "gave them those of its noisy images."
)


def _check_version(version: Any) -> None:
    found = re.match(r"(\d+)\.(\d+)", str(version or "0.3"))
    if found is None or not (0, 1) <= tuple(map(int, found.groups())) <= (0, 3):
        raise ConfigurationError(
            f"it is of CAREamics {version}, but only versions 0.1 to 0.3 can be read"
        )


def _check_fields(values: Mapping[str, Any]) -> None:
    """Refuse or name the fields that are not known."""
    for path, known in (_NEEDED | _KNOWN).items():
        part: Any = values
        for step in filter(None, path.split(".")):
            part = part.get(step) if isinstance(part, Mapping) else None
        unknown = sorted(map(str, part.keys() - known)) if isinstance(part, Mapping) else []
        if not unknown:
            continue
        named = ", ".join(repr(f"{path}.{name}".lstrip(".")) for name in unknown)
        if path in _NEEDED:
            raise ConfigurationError(
                f"it has {named}, which CAREamics 0.1 to 0.3 does not have"
            )
        _log.warning("The model was opened without %s, which is not known here.", named)


def _network(algorithm: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the network; refuses other ones than U-Nets."""
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
    network = {name: theirs[name] for name in _NETWORK if name in theirs}
    if network.get("in_channels", 1) == 1:  # the same, also for several output channels
        network["independent_channels"] = False
    return network


def _settings(
    algorithm: Mapping[str, Any], data: Mapping[str, Any], network: dict[str, Any]
) -> dict[str, Any]:
    """Configurations of the algorithm and of the data."""
    method, dims = algorithm["algorithm"], network["conv_dims"]
    size = (data.get("patching") or data).get("patch_size") or (64, 64, 64)[:dims]
    axes, kind = data["axes"], data["data_type"]
    if kind == "czi" and dims == 3 and "Z" not in axes:  # T of CZI files may be the depth
        axes, kind = axes.replace("T", "Z"), "array"
    learning = {"algorithm": method, "loss": algorithm["loss"], "model": network}
    settings = {
        "data_type": kind if kind in get_args(DataType) else "array",
        "axes": axes,
        "target_axes": data.get("target_axes"),
        "channels": data.get("channels"),
        "patch_size": tuple(size),
        "batch_size": data["batch_size"],
        "normalization": _normalization(data.get("normalization")),
    }
    given = data["transforms"] if "transforms" in data else data.get("augmentations")
    transforms = None if given is None else tuple(map(_transform, given))
    if method == "n2v":
        masking = _masking(algorithm.get("n2v_config") or {}, prod(size))
        if transforms is None or misfit_of(masking, dims, transforms):
            transforms = tuple(fitting_transforms(masking, dims))
        learning["n2v_config"] = masking.model_dump()
    if transforms is not None:
        settings["transforms"] = [each.model_dump() for each in transforms]
    return {"algorithm_config": learning, "data_config": settings}


def _masking(theirs: Mapping[str, Any], pixels: int) -> N2VManipulateConfig:
    """The masking, with the struct mask in the format of 0.1 and 0.2 or of 0.3."""
    found = {name: theirs[name] for name in _MASKING if name in theirs}
    # At least one pixel of a patch, which CAREamics does not require.
    masked = found.get("masked_pixel_percentage", _MASKED)
    found["masked_pixel_percentage"] = max(masked, 100 / pixels)
    struct = theirs.get("struct_mask") or {
        "axes": theirs.get("struct_mask_axis"),
        "span": theirs.get("struct_mask_span"),
    }
    if struct.get("axes") not in (None, "none"):
        found["struct_mask_axis"] = struct["axes"]
        if struct.get("span") is not None:
            found["struct_mask_span"] = struct["span"]
    return N2VManipulateConfig.build(found)


def _transform(theirs: Mapping[str, Any]) -> Any:
    for kind in _AUGMENTATIONS:
        if theirs["name"] == kind.model_fields["name"].default:
            return kind.build({key: theirs[key] for key in theirs if key != "seed"})
    raise ConfigurationError(f"its augmentation {theirs['name']!r} is not known")


def _normalization(theirs: Any) -> dict[str, Any]:
    """The kind of normalization, for training new models with the same settings."""
    if not isinstance(theirs, dict):
        return {"name": "mean_std"}
    found = {"name": theirs["name"]}
    if found["name"] != "none":
        found["per_channel"] = theirs.get("per_channel", True)
    if found["name"] == "quantile":  # one level per channel there
        for end in ("lower", "upper"):
            if levels := theirs.get(f"{end}_quantiles"):
                found[end] = levels[0]
    return found


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
        theirs = {"name": "mean_std"}
        theirs |= {
            f"{which}_{end}": data.get(f"{first}_{end}") for end in ("means", "stds")
        }
    kind = theirs["name"]
    if kind == "none" or (which == "target" and _skips_target(data)):
        return Normalization((0.0,), (1.0,))
    low, high = (theirs.get(f"{which}_{end}") for end in _SCALING[kind])
    if not low or not high:
        return None
    low, high = ([float(each) for each in ends] for ends in (low, high))
    if kind == "mean_std":
        return Normalization(tuple(low), tuple(high), FORMER_EPSILON)
    ranges = tuple(b - a for a, b in zip(low, high, strict=True))
    return Normalization(tuple(low), ranges)


def _skips_target(data: Mapping[str, Any]) -> bool:
    """Whether results are not scaled back."""
    theirs = data.get("normalization")
    return isinstance(theirs, dict) and bool(theirs.get("skip_target"))


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
