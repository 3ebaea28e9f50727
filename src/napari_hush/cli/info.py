"""``hush info``: describe a model or an image."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.cli.main import print_answer
from napari_hush.errors import SourceTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_hush.models import Model

DESCRIPTION = (
    "Describe a model: its method, network and training; or an image: axes, pixel sizes "
    "and channels, and how it was denoised: model, source image, date and software."
)
EXAMPLES = (
    "hush info cells.safetensors",
    "hush info cells.safetensors --json",
    "hush info cells_clean.tif",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL|IMAGE",
        help="a model file or package, built-in for the built-in denoiser, or an image",
    )


def run(options: argparse.Namespace) -> None:
    from napari_hush.io import list_files
    from napari_hush.io.formats import format_of

    path = Path(options.model)
    if data_type := format_of(path):
        path = _only(options.model, list_files(path, data_type))
        image, record = _of_image(path, data_type), _record(path, data_type)
        values = image | (_of_result(record) if record else {})
        print_answer(options, _lines(values), record | {"image": image})
        return
    from napari_hush.interop import open_model

    model = open_model(options.model)
    values = described(model)
    config, provenance = model.config.model_dump(), asdict(model.provenance)
    whole = values | {"configuration": config, "provenance": provenance}
    print_answer(options, _lines(values), whole)


def _only(given: str, files: list[Path]) -> Path:
    if len(files) > 1:
        raise SourceTypeError(
            f"{given!r} has {len(files)} images; give one, for example {str(files[0])!r}."
        )
    return files[0]


def described(model: Model) -> dict[str, Any]:
    """Facts about `model`, serializable as JSON."""
    from napari_hush.models.provenance import built_in_facts, method_facts

    config = model.config
    network = config.algorithm_config.model
    of_each_image = {
        "axes": "any",
        "channels_in": "any",
        "channels_out": "as many",
        "means": "those of each image",
        "stds": "those of each image",
    }
    return {
        "name": config.experiment_name,
        **method_facts(model),
        **built_in_facts(model),
        "axes": config.data_config.axes,
        "channels_in": network.in_channels,
        "channels_out": network.num_classes,
        "network": f"{network.architecture} {network.conv_dims}D, depth {network.depth}, "
        f"{network.num_channels_init} filters{', N2V2' if network.n2v2 else ''}",
        **_of_share(share.shares if (share := model.built_in_share) else ()),
        "parameters": sum(tensor.numel() for tensor in model.network.parameters()),
        "patch_size": list(config.data_config.patch_size),
        "epochs": model.epochs,
        "steps": model.steps,
        "means": list(model.normalization.means),
        "stds": list(model.normalization.stds),
        "precision": model.provenance.precision,
        "trained": model.provenance.date,
        "trained_on": [source.name for source in model.provenance.sources],
        "sha256": model.sha256,
        **(of_each_image if model.per_image else {}),
    }


def _of_image(path: Path, data_type: str) -> dict[str, Any]:
    """Facts about the first image of a file."""
    from napari_hush.io import images_of, read_metadata
    from napari_hush.io.formats import FORMATS
    from napari_hush.io.metadata import unit_symbol

    images = images_of(path, data_type)
    found = read_metadata(images[0])
    pixels, named, _ = FORMATS[data_type].open(images[0], found.axes or "", 0)

    def listed(sizes: dict[str, float]) -> list[str]:
        return [
            f"{axis} {size:.6g} {unit_symbol(found.units.get(axis, 'pixel'))}".strip()
            for axis, size in sizes.items()
        ]

    return {
        "images": len(images),
        "axes": found.axes if len(found.axes or "") == pixels.ndim else named,
        "shape": list(pixels.shape),
        "dtype": str(pixels.dtype),
        "scale": listed(found.scale),
        "position": listed(found.position),
        "channels": list(found.channels),
        "not_understood": list(found.unknown),
    }


def _record(path: Path, data_type: str) -> dict[str, Any]:
    from napari_hush.io import read_record

    readable = data_type in ("tiff", "zarr")
    return (read_record(path) if readable else None) or {}


def _of_result(record: dict[str, Any]) -> dict[str, Any]:
    """Facts about a denoised image."""
    from napari_hush.models.provenance import is_of_network_alone

    source, model = record.get("source", {}), record.get("model", {})
    return {
        "denoised": record.get("date"),
        "source": source.get("name"),
        "source_sha256": source.get("sha256"),
        "model_sha256": model.get("sha256"),
        **{name: model[name] for name in ("method", "time_context") if name in model},
        **{name: model[name] for name in ("initial_weights", "built_in") if name in model},
        **_of_share(_used_share(record)),
        **({"own_value": "off"} if is_of_network_alone(record) else {}),
        "trained": model.get("trained"),
        "trained_on": [one.get("name") for one in model.get("sources", [])],
        "epochs": model.get("epochs"),
        "steps": model.get("steps"),
        "seed": model.get("seed"),
        "precision": record.get("precision"),
        "software": [f"{name} {n}" for name, n in record.get("software", {}).items()],
    }


def _used_share(record: dict[str, Any]) -> Sequence[float]:
    """The share of the built-in denoiser in a result, per channel; empty for none."""
    from napari_hush.models.provenance import is_of_network_alone

    if is_of_network_alone(record):
        return ()
    shares: Sequence[float] = (
        record.get("model", {}).get("built_in_share", {}).get("shares", ())
    )
    return shares


def _of_share(shares: Sequence[float]) -> dict[str, Any]:
    return {"built_in_share": [f"{part:.0%}" for part in shares]} if shares else {}


def _lines(values: dict[str, Any]) -> str:
    said = {
        name.replace("built_in", "built-in").replace("_", " "): value
        for name, value in values.items()
        if value not in ([], None, "")
    }
    width = max(map(len, said))
    return "\n".join(f"{name:<{width}}  {_plain(value)}" for name, value in said.items())


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
