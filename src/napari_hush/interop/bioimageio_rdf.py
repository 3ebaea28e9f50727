"""The rdf.yaml of a BioImage.IO package (format 0.5)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray

from napari_hush import __version__
from napari_hush.config.methods import method_of, papers_of
from napari_hush.errors import ConfigurationError
from napari_hush.interop.onnx import INPUT, OPSET, OUTPUT
from napari_hush.io.metadata import METERS
from napari_hush.models import unet

if TYPE_CHECKING:
    import numpy as np

    from napari_hush.interop.bioimageio_about import About
    from napari_hush.models import Model
    from napari_hush.models.normalization import Normalization

FORMAT = "0.5.4"
"""Version of the format; later ones read it."""
_TAGS = ("denoising", "image-restoration", "unet", "pytorch", "napari-hush")
_LEAST_STD = 1e-6
"""The smallest standard deviation that the format allows."""
_ADDED = 1e-6
"""Number that programs add to standard deviations."""


def described(
    model: Model,
    about: About,
    hashes: Mapping[str, str],
    covers: list[str],
    clean: NDArray[np.float32],
) -> dict[str, Any]:
    """The description of `model` as plain values.

    `hashes` are the SHA-256 of the files in the package; the tolerance of results is
    relative to the test output `clean`.
    """

    def file(name: str) -> dict[str, str]:
        return {"source": name, "sha256": hashes[name]}

    config, network = model.config, model.config.algorithm_config.model
    method = method_of(config)
    dims = f"{network.conv_dims}D"
    version = torch.__version__.partition("+")[0]
    derived = {"parent": "pytorch_state_dict"}
    return {
        "format_version": FORMAT,
        "type": "model",
        "name": name_of(model, about),
        "description": description_of(model, about),
        "version": about.version,
        "authors": [dict(author) for author in about.authors],
        "cite": citations_of(model, about),
        "license": about.license,
        "tags": list(dict.fromkeys([*_TAGS, method.name, dims, *about.tags])),
        "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
        # Readers before bioimageio.spec 0.5.12 take only names of these two.
        "documentation": "README.md",
        "covers": covers,
        "inputs": [_input(model, about, file("test_input.npy"))],
        "outputs": [_output(model, about, file("test_output.npy"))],
        "weights": {
            "pytorch_state_dict": {
                **file("weights_state.pt"),
                "pytorch_version": version,
                "architecture": {
                    **file("unet.py"),
                    "callable": CALLABLE,
                    "kwargs": architecture_settings(model),
                },
            },
            "torchscript": {**file("weights.pt"), "pytorch_version": version, **derived},
            "onnx": {**file("weights.onnx"), "opset_version": OPSET, **derived},
        },
        "attachments": [file("model.safetensors"), file("configuration.yml")],
        "config": {
            "bioimageio": {
                "architecture_type": f"{dims} U-Net",
                "task": "denoising",
                "reproducibility_tolerance": _tolerance(model, clean),
            },
            "napari_hush": {
                "version": __version__,
                "model": "model.safetensors",
                "method": method.key,
                "epochs": model.epochs,
                "steps": model.steps,
            },
        },
    }


def name_of(model: Model, about: About) -> str:
    """The display name."""
    config, dims = model.config, model.config.algorithm_config.model.conv_dims
    made = f"{config.experiment_name} - {method_of(config).name} {dims}D"
    return about.name or made[:128]


def description_of(model: Model, about: About) -> str:
    """One sentence on the purpose of the model."""
    network, method = model.config.algorithm_config.model, method_of(model.config)
    what = "volumes" if network.conv_dims == 3 else "images"
    extra_n2v2 = network.n2v2 and not method.n2v2
    also = " and the architecture of N2V2" if extra_n2v2 else ""
    made = f"Denoises {what} like those it was trained on, with {method.name}{also}."
    return about.description or made


def citations_of(model: Model, about: About) -> list[dict[str, str]]:
    """Publications to cite: those of the authors, of the method and of the network."""
    papers = papers_of(model.config)
    made = [{"text": paper.citation, "doi": paper.doi} for paper in papers]
    return [*map(dict, about.citations), *made]


def least_sizes(model: Model) -> tuple[int, ...]:
    """The smallest sizes ``((Z), Y, X)`` with a pixel outside of the halo."""
    pairs = zip(halos(model), model.network.multiple, strict=True)
    return tuple(round_up(2 * halo + 1, step) for halo, step in pairs)


def halos(model: Model) -> tuple[int, ...]:
    """Pixels ``((Z), Y, X)`` to crop, as bioimageio.spec 0.5.4 accepts them.

    They are even, stay the same if multiplied and divided by the pixel size, and are
    multiples of the downsampling: bioimageio.core pads an image by its halo, and every
    pixel has to meet the pooling grid at the same phase.
    """
    found = []
    network = model.network
    for least, multiple, axis in zip(
        network.halo, network.multiple, _letters(model), strict=True
    ):
        step, scale = max(2, multiple), _pixel(model, axis).get("scale", 1.0)
        halo = round_up(least, step)
        while halo * scale / scale != halo:
            halo += step
        found.append(halo)
    return tuple(found)


def round_up(number: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-number // step) * step


def _input(model: Model, about: About, test: dict[str, str]) -> dict[str, Any]:
    channels = model.config.algorithm_config.model.in_channels
    names = list(about.channel_names) or _numbered(channels)
    if len(names) != channels:
        raise ConfigurationError(
            f"{len(names)} channel names were given but the model has {channels} channels; "
            "give one name for each."
        )
    pairs = zip(least_sizes(model), model.network.multiple, strict=True)
    sizes = [{"size": {"min": least, "step": step}} for least, step in pairs]
    return {
        "id": INPUT,
        "description": "Intensities to denoise.",
        **_tensor(model, names, sizes, test),
        "preprocessing": _scaled(model.normalization),
    }


def _output(model: Model, about: About, test: dict[str, str]) -> dict[str, Any]:
    network = model.config.algorithm_config.model
    names = _numbered(network.num_classes)
    if about.channel_names and network.num_classes == network.in_channels:
        names = list(about.channel_names)
    sizes = [
        {"halo": halo, "size": {"tensor_id": INPUT, "axis_id": axis}}
        for halo, axis in zip(halos(model), _letters(model), strict=True)
    ]
    unscale = model.output_normalization
    return {
        "id": OUTPUT,
        "description": "Denoised intensities.",
        **_tensor(model, names, sizes, test),
        "postprocessing": _linear(unscale.scales, unscale.means),
    }


def _tensor(
    model: Model, names: list[str], sizes: list[dict[str, Any]], test: dict[str, str]
) -> dict[str, Any]:
    spatial = [
        {"type": "space", "id": axis, **size, **_pixel(model, axis)}
        for axis, size in zip(_letters(model), sizes, strict=True)
    ]
    channel = {"type": "channel", "channel_names": names}
    return {
        "axes": [{"type": "batch"}, channel, *spatial],
        "data": {"type": "float32"},
        "test_tensor": test,
    }


def _letters(model: Model) -> str:
    return "zyx"[-len(model.network.multiple) :]


def _numbered(channels: int) -> list[str]:
    return [f"channel{i}" for i in range(channels)]


def _pixel(model: Model, axis: str) -> dict[str, Any]:
    """Pixel size of the training data and its unit, as far as known."""
    known = model.provenance.pixel_size
    scale, unit = known.scale.get(axis.upper(), 0.0), known.units.get(axis.upper(), "")
    if not scale > 0:
        return {}
    return {"scale": scale, **({"unit": unit} if unit in METERS else {})}


def _scaled(by: Normalization) -> list[dict[str, Any]]:
    """Normalization of the input."""
    stds = tuple(scale - _ADDED for scale in by.scales)
    if min(stds) < _LEAST_STD:
        gains = tuple(1 / scale for scale in by.scales)
        offsets = tuple(-m / scale for m, scale in zip(by.means, by.scales, strict=True))
        return _linear(gains, offsets)
    kwargs = _per_channel(mean=by.means, std=stds)
    return [{"id": "fixed_zero_mean_unit_variance", "kwargs": kwargs}]


def _linear(gains: tuple[float, ...], offsets: tuple[float, ...]) -> list[dict[str, Any]]:
    if all(gain == 1 for gain in gains) and not any(offsets):
        return []  # the format does not allow the identity
    return [{"id": "scale_linear", "kwargs": _per_channel(gain=gains, offset=offsets)}]


def _per_channel(**values: tuple[float, ...]) -> dict[str, Any]:
    if all(len(each) == 1 for each in values.values()):
        return {name: each[0] for name, each in values.items()}
    return {"axis": "channel", **{name: list(each) for name, each in values.items()}}


def _tolerance(model: Model, clean: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Tolerated difference of results on other machines."""
    allowed = min(1e-3 * min(model.output_normalization.scales), 1e-3 * float(clean.max()))
    if allowed <= 0:
        return []
    return [{"relative_tolerance": 1e-3, "absolute_tolerance": allowed}]


CALLABLE = "make_network"
"""Function in the packaged source that builds the network."""

_MAKE = f'''

def {CALLABLE}(**settings):
    """Build the network; `settings` are the kwargs in rdf.yaml."""
    from types import SimpleNamespace

    curves = settings.pop("own_value", None)
    config = SimpleNamespace(**settings)
    return (OwnValueUNet(config, curves) if curves else UNet(config)).eval()
'''


def architecture_source() -> str:
    """Python source of the network and of `CALLABLE`, which needs torch only."""
    return inspect.getsource(unet) + _MAKE


def architecture_settings(model: Model) -> dict[str, Any]:
    """Arguments of `CALLABLE` for the network of `model`, as plain values."""
    config = model.config.algorithm_config.model
    settings = config.model_dump(mode="json", exclude={"architecture", "pool_z"})
    settings["pooling"] = [list(levels) for levels in config.pooling]
    settings["multiple"] = list(config.multiple)
    if model.own_value:
        settings["own_value"] = [[*map(list, one)] for one in model.normalized_own_value]
    return settings
