"""The model file: weights, normalisation and configuration in one safetensors file.

Reading one executes nothing, and takes no memory before the weights are known to be those
of the network that the configuration names.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from napari_hush.config import Configuration
from napari_hush.dataset import Normalization
from napari_hush.errors import ExistingFileError, MissingFileError, ModelFileError
from napari_hush.models.provenance import Provenance, model_hash
from napari_hush.models.tensors import check_weights, open_tensors, write_tensors
from napari_hush.models.unet import UNet

SUFFIX = ".safetensors"
_FORMAT = "napari-hush model 1"
_FLAWS = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RuntimeError)
"""What values of the wrong kind raise, and JSON without end (a RecursionError)."""


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
    provenance : Provenance
        When, with what software and from which data.
    """

    config: Configuration
    network: UNet
    normalization: Normalization
    target_normalization: Normalization | None = None
    epochs: int = 0
    steps: int = 0
    provenance: Provenance = field(default_factory=Provenance)

    @property
    def sha256(self) -> str:
        """Hash of weights, statistics and configuration: of what decides on results."""
        return model_hash(self)

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
    UnwritableFileError
        If it cannot be written: disk full, folder read-only, and so on.
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
        "provenance": model.provenance.as_json(),
    }
    write_tensors(path, model.network.state_dict(), header)
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
        file = open_tensors(path)
    except ValueError as error:
        raise ModelFileError(
            f"{str(path)!r} is not a model file ({error}); give a {SUFFIX} file that "
            "was saved here."
        ) from error
    header = file.header
    if header.get("format") != _FORMAT:
        raise ModelFileError(
            f"{str(path)!r} holds weights but was not saved by napari-hush; give a file "
            "that was."
        )
    try:
        config = Configuration.model_validate_json(header["configuration"])
        network_config = config.algorithm_config.model
        normalization = _normalization(header["normalization"], network_config.in_channels)
        target = header["target_normalization"]
        target_normalization = (
            None if target == "null" else _normalization(target, network_config.num_classes)
        )
        trained = _counts(header["trained"])
        provenance = Provenance()
        if "provenance" in header:  # models of the first days have none
            channels = network_config.in_channels
            provenance = Provenance.from_json(header["provenance"], channels)
        check_weights(file.shapes, network_config)
        network = UNet(network_config)
        network.load_state_dict(file.tensors())
        return Model(
            config,
            network.eval(),
            normalization,
            target_normalization,
            **trained,
            provenance=provenance,
        )
    except _FLAWS as error:
        raise ModelFileError(
            f"The model file {str(path)!r} is damaged or of another version "
            f"({' '.join(f'{type(error).__name__}: {error}'.split())}); save it again."
        ) from error


def _normalization(text: str, channels: int) -> Normalization:
    statistics = json.loads(text)
    means, stds = (tuple(map(float, statistics[name])) for name in ("means", "stds"))
    if not len(means) == len(stds) == channels or not np.isfinite([*means, *stds]).all():
        raise ValueError(f"the statistics are not those of {channels} channels")
    return Normalization(means, stds)


def _counts(text: str) -> dict[str, int]:
    counts = json.loads(text)
    if counts.keys() != {"epochs", "steps"} or not all(
        type(count) is int and count >= 0 for count in counts.values()
    ):
        raise ValueError("it does not say for how long it was trained")
    return dict(counts)
