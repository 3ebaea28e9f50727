"""``hush info``: describe a model or a denoised image."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.cli.main import print_answer
from napari_hush.errors import UnreadableFileError

if TYPE_CHECKING:
    from napari_hush.models import Model

DESCRIPTION = (
    "Describe a model: its method, network and training; or how a denoised image was "
    "made: model, source image, date and software."
)
EXAMPLES = (
    "hush info cells.safetensors",
    "hush info cells.safetensors --json",
    "hush info cells_clean.tiff",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a model file or package, or a denoised TIFF or Zarr image",
    )


def run(options: argparse.Namespace) -> None:
    from napari_hush.io.zarr_store import is_zarr

    path = Path(options.model)
    if path.suffix.lower().startswith(".tif") or is_zarr(path):
        record = _record(path)
        print_answer(options, _lines(_of_result(record)), record)
        return
    from napari_hush.interop import open_model

    model = open_model(options.model)
    values = described(model)
    config, provenance = model.config.model_dump(), asdict(model.provenance)
    whole = values | {"configuration": config, "provenance": provenance}
    print_answer(options, _lines(values), whole)


def described(model: Model) -> dict[str, Any]:
    """Facts about `model`, serializable as JSON."""
    from napari_hush.config.methods import method_of

    config = model.config
    network = config.algorithm_config.model
    return {
        "name": config.experiment_name,
        "method": method_of(config).key,
        "axes": config.data_config.axes,
        "channels_in": network.in_channels,
        "channels_out": network.num_classes,
        "network": f"{network.architecture} {network.conv_dims}D, depth {network.depth}, "
        f"{network.num_channels_init} filters{', N2V2' if network.n2v2 else ''}",
        "weights": sum(tensor.numel() for tensor in model.network.parameters()),
        "patch_size": list(config.data_config.patch_size),
        "epochs": model.epochs,
        "steps": model.steps,
        "means": list(model.normalization.means),
        "stds": list(model.normalization.stds),
        "precision": model.provenance.precision,
        "trained": model.provenance.date,
        "trained_on": [source.name for source in model.provenance.sources],
        "sha256": model.sha256,
    }


def _record(path: Path) -> dict[str, Any]:
    from napari_hush.io import list_files, read_record

    list_files(path, "zarr" if path.is_dir() else "tiff")  # refuses a missing one
    record = read_record(path)
    if record is None:
        raise UnreadableFileError(
            f"{str(path)!r} has no record of how it was made; give a model, or an image "
            "that napari-hush denoised."
        )
    return record


def _of_result(record: dict[str, Any]) -> dict[str, Any]:
    """Facts about a denoised image."""
    source, model = record.get("source", {}), record.get("model", {})
    return {
        "denoised": record.get("date"),
        "source": source.get("name"),
        "source_sha256": source.get("sha256"),
        "model_sha256": model.get("sha256"),
        "trained": model.get("trained"),
        "trained_on": [one.get("name") for one in model.get("sources", [])],
        "epochs": model.get("epochs"),
        "steps": model.get("steps"),
        "seed": model.get("seed"),
        "software": [f"{name} {n}" for name, n in record.get("software", {}).items()],
    }


def _lines(values: dict[str, Any]) -> str:
    width = max(map(len, values))
    return "\n".join(
        f"{name.replace('_', ' '):<{width}}  {_plain(value)}"
        for name, value in values.items()
    )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
