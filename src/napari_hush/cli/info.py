"""``hush info``: what a model is, and how it was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_hush.cli.options import tell

if TYPE_CHECKING:
    import argparse

    from napari_hush.models import Model

DESCRIPTION = "Tell what a model denoises and how it was trained."
EXAMPLES = ("hush info cells.safetensors", "hush info cells.safetensors --json")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give `parser` the arguments of the command."""
    parser.add_argument("model", metavar="MODEL", help="a .safetensors model file")


def run(options: argparse.Namespace) -> None:
    """Load the model and describe it."""
    from napari_hush.models import load_model

    values = described(load_model(options.model))
    width = max(map(len, values))
    lines = [
        f"{name.replace('_', ' '):<{width}}  {_plain(value)}"
        for name, value in values.items()
    ]
    whole = values | {"configuration": load_model(options.model).config.model_dump()}
    tell(options, "\n".join(lines), whole)


def described(model: Model) -> dict[str, Any]:
    """What people ask about `model`, fit for JSON."""
    config = model.config
    algorithm, network = config.algorithm_config, config.algorithm_config.model
    method: str = algorithm.algorithm
    if method == "n2v" and algorithm.n2v_config.hides_neighbours:
        method = "structn2v"
    elif network.n2v2:
        method = "n2v2"
    return {
        "name": config.experiment_name,
        "method": method,
        "axes": config.data_config.axes,
        "channels_in": network.in_channels,
        "channels_out": network.num_classes,
        "network": f"{network.architecture} {network.conv_dims}D, depth {network.depth}, "
        f"{network.num_channels_init} filters",
        "weights": sum(tensor.numel() for tensor in model.network.parameters()),
        "patch_size": list(config.data_config.patch_size),
        "epochs": model.epochs,
        "steps": model.steps,
        "means": list(model.normalization.means),
        "stds": list(model.normalization.stds),
    }


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
