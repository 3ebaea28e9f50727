"""A training run in one file: all that is needed to resume it.

Random draws are keyed by seed, epoch, patch and step, so the position of a run determines
the next ones, and no generator state is stored. Reading a checkpoint executes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from napari_hush.config import Configuration
from napari_hush.errors import (
    ExistingFileError,
    HushError,
    MissingFileError,
    UnreadableFileError,
)
from napari_hush.lightning.losses import Losses
from napari_hush.lightning.metrics import METRICS
from napari_hush.models import Model, UNet
from napari_hush.models.file import MALFORMED, open_tensors, write_tensors
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance
from napari_hush.models.weights import check_weights
from napari_hush.system.atomic_write import make_folder

if TYPE_CHECKING:
    from torch import Tensor

_Value = TypeVar("_Value")

FILE = "run-state.safetensors"
"""Name of the checkpoint in its folder."""
_FORMAT = "napari-hush run 1"


@dataclass(frozen=True)
class Position:
    """Epochs and steps of a run: those before it, complete ones, and in the next epoch."""

    first_epoch: int = 0
    first_step: int = 0
    epochs: int = 0
    steps: int = 0
    steps_in_epoch: int = 0
    ended: bool = False
    """Whether the run is over, because it finished or was stopped."""

    @property
    def model_epochs(self) -> int:
        """Complete epochs of the model, earlier runs included."""
        return self.first_epoch + self.epochs

    @property
    def model_steps(self) -> int:
        """Optimizer steps of the model, earlier runs included."""
        return self.first_step + self.steps


@dataclass(frozen=True)
class Fingerprint:
    """Properties of the training data that must be the same when a run is resumed."""

    steps_per_epoch: int
    num_patches: int
    num_val_patches: int
    means: tuple[float, ...]
    stds: tuple[float, ...]
    target_means: tuple[float, ...] | None = None
    target_stds: tuple[float, ...] | None = None

    @property
    def statistics(self) -> dict[str, tuple[float, ...] | None]:
        """Means and standard deviations, named as in the data configuration."""
        return {
            "image_means": self.means,
            "image_stds": self.stds,
            "target_means": self.target_means,
            "target_stds": self.target_stds,
        }

    @property
    def normalization(self) -> Normalization:
        """Scaling of the images."""
        return Normalization(self.means, self.stds)

    @property
    def target_normalization(self) -> Normalization | None:
        """Scaling of the targets; None without targets."""
        if self.target_means is None or self.target_stds is None:
            return None
        return Normalization(self.target_means, self.target_stds)


@dataclass(frozen=True, eq=False)
class Best:
    """The model of the epoch with the lowest validation loss, on the CPU."""

    val_loss: float
    model: Model

    @property
    def numbers(self) -> dict[str, Any]:
        """All but the weights, as JSON can hold it."""
        after = {"epochs": self.model.epochs, "steps": self.model.steps}
        return {"val_loss": self.val_loss, "after": after}


@dataclass(frozen=True, eq=False)
class TrainingCheckpoint:
    """A training run after one of its steps."""

    config: Configuration
    position: Position
    data: Fingerprint
    numbers: dict[str, Any]
    """Schedule, plateaus and settings of the optimizer, as JSON can hold them."""
    tensors: dict[str, Tensor]
    """Weights, EMA weights and moments of the optimizer, by dotted names."""
    losses: Losses = field(default_factory=Losses)
    """Losses of the model, earlier runs included."""
    provenance: Provenance = field(default_factory=Provenance)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors whose names start with ``prefix.``, without the prefix."""
        return _under(prefix, self.tensors)

    @property
    def best(self) -> Best | None:
        """The epoch with the lowest validation loss so far, if any."""
        found = self.numbers.get("best")
        if found is None:
            return None
        return Best(found["val_loss"], self._model(self.under("best"), **found["after"]))

    def _model(self, weights: Mapping[str, Tensor], *, epochs: int, steps: int) -> Model:
        """The model with `weights`; UnreadableFileError if they do not fit."""
        with explain_damage("the interrupted run"):
            network = UNet(self.config.algorithm_config.model)
            network.load_state_dict(weights)
            return Model(
                self.config,
                network.eval(),
                self.data.normalization,
                self.data.target_normalization,
                epochs=epochs,
                steps=steps,
                provenance=self.provenance,
            )

    @property
    def last(self) -> Model:
        """The model, with EMA weights if there are any; UnreadableFileError if damaged."""
        position = self.position
        return self._model(
            self.best_weights, epochs=position.model_epochs, steps=position.model_steps
        )

    @property
    def best_weights(self) -> dict[str, Tensor]:
        """EMA weights if there are any, otherwise the trained weights."""
        return self.under("average") or self.under("network")


def save_checkpoint(checkpoint: TrainingCheckpoint, folder: Path) -> None:
    """Write `checkpoint` into `folder`, which is made if needed.

    The file replaces an older one atomically and is flushed to disk first, so a power cut
    leaves one of the two.
    """
    header = {
        "format": _FORMAT,
        "configuration": checkpoint.config.model_dump_json(),
        "position": json.dumps(asdict(checkpoint.position)),
        "data": json.dumps(asdict(checkpoint.data)),
        "numbers": json.dumps(checkpoint.numbers),
        "provenance": checkpoint.provenance.as_json(),
    }
    tensors = dict(checkpoint.tensors)
    for name, values in checkpoint.losses.as_dict().items():
        tensors[f"losses.{name}"] = torch.tensor(values, dtype=torch.float64)
    make_folder(folder)
    write_tensors(folder / FILE, tensors, header)


def load_checkpoint(folder: str | Path) -> TrainingCheckpoint:
    """Read the checkpoint in `folder`.

    Raises MissingFileError if there is none, and UnreadableFileError if it is damaged or in
    another format.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise MissingFileError(
            f"There is no run to resume in {str(folder)!r} (no {FILE}); check the folder, "
            "or start a new run."
        )
    with explain_damage(f"the run in {str(path)!r}"):
        file = open_tensors(path)
        header = file.header
        if header.get("format") != _FORMAT:
            raise ValueError("it was not written by this version of napari-hush")
        config = Configuration.model_validate_json(header["configuration"])
        network = config.algorithm_config.model
        check_weights(_under("network", file.shapes), network)
        for part in ("average", "best"):
            if weights := _under(part, file.shapes):
                check_weights(weights, network)
        tensors = file.tensors()
        numbers = json.loads(header["numbers"])
        if (best := numbers.get("best")) is not None:
            after = {"epochs": 0, "steps": 0}
            check_alike("its best", best, {"val_loss": 0.0, "after": after})
        losses: dict[str, list[Any]] = {}
        for name in vars(Losses()):
            values = tensors.pop(f"losses.{name}", None)
            if values is None and name not in METRICS:  # which 0.1 does not have
                raise ValueError(f"it has no {name}")
            losses[name] = [] if values is None else values.tolist()
        for name in ("train_step", "train_epoch", "val_epoch"):
            losses[name] = [int(number) for number in losses[name]]
        data: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(header["data"]).items()
        }
        fingerprint = Fingerprint(**data)
        return TrainingCheckpoint(
            config,
            _position(header["position"]),
            fingerprint,
            numbers,
            tensors,
            Losses(**losses),
            Provenance.from_json(header["provenance"], len(fingerprint.means)),
        )


def _position(text: str) -> Position:
    position = Position(**json.loads(text))
    for name, default in vars(Position()).items():
        value = getattr(position, name)
        if type(value) is not type(default) or value < 0:
            raise ValueError(f"its {name} is {value!r}")
    return position


def _under(prefix: str, named: Mapping[str, _Value]) -> dict[str, _Value]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): value
        for name, value in named.items()
        if name.startswith(start)
    }


def interrupted_run(folder: str | Path) -> TrainingCheckpoint | None:
    """The checkpoint in `folder` if its run was interrupted, otherwise None.

    Raises UnreadableFileError if it is damaged or in another format.
    """
    if not (Path(folder) / FILE).is_file():
        return None
    checkpoint = load_checkpoint(folder)
    return None if checkpoint.position.ended else checkpoint


def refuse_if_interrupted(folder: Path) -> None:
    """Raise ExistingFileError if `folder` has the checkpoint of an interrupted run."""
    checkpoint = interrupted_run(folder)
    if checkpoint is not None:
        done = checkpoint.position.epochs
        total = checkpoint.config.training_config.num_epochs
        raise ExistingFileError(
            f"The folder {str(folder)!r} holds a run of "
            f"{checkpoint.config.experiment_name!r} that was interrupted after {done} of "
            f"{total} epochs; resume it, or delete {FILE} there to start a new run."
        )


def remove_checkpoint(folder: Path) -> None:
    """Remove the checkpoint in `folder`, if there is one, and no other files."""
    (folder / FILE).unlink(missing_ok=True)
    for part in folder.glob(f".{FILE}.*.part"):
        part.unlink(missing_ok=True)


def model_of(checkpoint: TrainingCheckpoint) -> Model:
    """The model of an interrupted run, with EMA weights if there are any.

    Raises UnreadableFileError if the weights do not fit the configured network.
    """
    return checkpoint.last


@contextmanager
def explain_damage(what: str) -> Iterator[None]:
    """Raise `UnreadableFileError` in place of the errors of a malformed checkpoint."""
    try:
        yield
    except HushError:
        raise
    except MALFORMED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UnreadableFileError(
            f"Cannot resume {what}: its checkpoint is damaged ({reason}); start a new run."
        ) from error


def check_alike(what: str, found: Any, expected: Any) -> None:
    """Raise ValueError unless JSON values `found` have the keys and types of `expected`."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            raise ValueError(f"{what} holds {sorted(found)}")
        for key, value in expected.items():
            check_alike(f"{what} {key}", found[key], value)
        return
    kinds: tuple[type, ...] = (type(expected),)
    if expected is None or isinstance(expected, int | float):
        kinds = (bool,) if isinstance(expected, bool) else (int, float, type(None))
    elif isinstance(expected, list | tuple):
        kinds = (list, tuple)
    is_bool = isinstance(expected, bool)
    if not isinstance(found, kinds) or isinstance(found, bool) != is_bool:
        raise ValueError(f"{what} is {found!r}")


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments of `optimizer`, named ``<number of the weight>.<name of the moment>``."""
    return {
        f"{number}.{name}": value
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, groups: list[Any], tensors: dict[str, Tensor]
) -> None:
    """Restore the result of `optimizer_tensors` and the settings of the groups."""
    known = optimizer.state_dict()["param_groups"]
    check_alike("the optimizer", groups, known)
    for group, settings in zip(known, groups, strict=True):
        check_alike("the optimizer's settings", settings, group)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = tensor
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for index, moments in state.items():
        weight = weights[index]
        for key, value in moments.items():
            if value.ndim and value.shape != weight.shape:
                raise ValueError(f"the moments {key!r} are {tuple(value.shape)}")
            # In the memory layout of the weight: sums in another order round differently.
            if value.shape == weight.shape:
                moments[key] = torch.empty_like(weight, requires_grad=False).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})
