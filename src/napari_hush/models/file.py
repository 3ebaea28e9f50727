"""The model file: weights, normalisation and configuration in one safetensors file.

Reading one executes nothing: safetensors holds raw numbers and a header of JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
from safetensors.torch import save

from napari_hush.config import Configuration
from napari_hush.dataset import Normalization
from napari_hush.errors import (
    ConfigurationError,
    ExistingFileError,
    MissingFileError,
    ModelFileError,
)
from napari_hush.models.unet import UNet

SUFFIX = ".safetensors"
_FORMAT = "napari-hush model 1"


@dataclass(frozen=True, eq=False)
class Model:
    """All it takes to denoise an image.

    Attributes
    ----------
    config : Configuration
        What the model was trained with.
    network : UNet
        Its weights.
    normalization : Normalization
        Statistics of the training pixels.
    target_normalization : Normalization, optional
        Statistics of the targets, where there were any.
    epochs, steps : int
        How long it has been trained.
    """

    config: Configuration
    network: UNet
    normalization: Normalization
    target_normalization: Normalization | None = None
    epochs: int = 0
    steps: int = 0

    @property
    def output_normalization(self) -> Normalization:
        """What turns the network's output into intensities."""
        return self.target_normalization or self.normalization


def save_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `model` to `path`; the file appears only once it is whole.

    Raises
    ------
    ModelFileError
        If the name does not end in ``.safetensors``.
    ExistingFileError
        If there is a file of that name and `overwrite` is off.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ModelFileError(
            f"Cannot save a model as {path.name!r}; end the name in {SUFFIX}."
        )
    if path.exists() and not overwrite:
        raise ExistingFileError(
            f"The file {str(path)!r} exists already; choose another name or allow it "
            "to be replaced."
        )
    header = {
        "format": _FORMAT,
        "configuration": model.config.model_dump_json(),
        "normalization": json.dumps(asdict(model.normalization)),
        "target_normalization": json.dumps(
            model.target_normalization and asdict(model.target_normalization)
        ),
        "trained": json.dumps({"epochs": model.epochs, "steps": model.steps}),
    }
    weights = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.network.state_dict().items()
    }
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(save(weights, header))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def load_model(path: str | Path) -> Model:
    """Read what `save_model` wrote.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If it is no model of this package, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no model file {str(path)!r}; check the path.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model file ({error}); give a {SUFFIX} file that "
            "was saved here."
        ) from error
    if header.get("format") != _FORMAT:
        raise ModelFileError(
            f"{str(path)!r} holds weights but was not saved by napari-hush; give a file "
            "that was."
        )
    try:
        config = Configuration.model_validate_json(header["configuration"])
        normalization = _normalization(header["normalization"])
        target = header["target_normalization"]
        network = UNet(config.algorithm_config.model)
        network.load_state_dict(weights)
        trained = json.loads(header["trained"])
        if target == "null":
            return Model(config, network.eval(), normalization, **trained)
        return Model(
            config, network.eval(), normalization, _normalization(target), **trained
        )
    except (KeyError, TypeError, ValueError, RuntimeError, ConfigurationError) as error:
        raise ModelFileError(
            f"The model file {str(path)!r} is damaged or of another version "
            f"({type(error).__name__}: {str(error).splitlines()[0]}); save it again."
        ) from error


def _normalization(text: str) -> Normalization:
    statistics = json.loads(text)
    return Normalization(tuple(statistics["means"]), tuple(statistics["stds"]))
