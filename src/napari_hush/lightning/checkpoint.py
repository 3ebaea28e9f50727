"""All it takes to go on with a run that was cut off, in one file.

Random draws are keyed by seed, pass, patch and step, so the position of a run says which
come next, and no state of a generator has to be kept. Reading a state executes nothing.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from napari_hush.config import Configuration
from napari_hush.errors import HushError, MissingFileError, UnreadableFileError
from napari_hush.lightning.losses import Losses
from napari_hush.models import Model, UNet
from napari_hush.models.file import check_weights, open_tensors, write_tensors
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance
from napari_hush.system.atomic_write import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

_Value = TypeVar("_Value")

FILE = "run-state.safetensors"
"""Name of the state in the folder that is chosen for it."""
_FORMAT = "napari-hush run 1"
_FLAWS = (
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    RuntimeError,
)
"""What values of the wrong kind raise, and JSON without end (a RecursionError)."""


@dataclass(frozen=True)
class Position:
    """Where a run is.

    Attributes
    ----------
    first_epoch, first_step : int
        Epochs and steps done before the run.
    epochs, steps : int
        Whole epochs, and steps, done in the run.
    steps_in_epoch : int
        Steps done of the epoch that is not whole.
    ended : bool
        True once the run is over, by itself or because it was asked to stop.
    """

    first_epoch: int = 0
    first_step: int = 0
    epochs: int = 0
    steps: int = 0
    steps_in_epoch: int = 0
    ended: bool = False


@dataclass(frozen=True)
class Fingerprint:
    """What must be the same about the data of a run that is taken up again."""

    steps_per_epoch: int
    num_patches: int
    num_val_patches: int
    means: tuple[float, ...]
    stds: tuple[float, ...]
    target_means: tuple[float, ...] | None = None
    target_stds: tuple[float, ...] | None = None

    @property
    def statistics(self) -> dict[str, tuple[float, ...] | None]:
        """Means and standard deviations, as the data configuration names them."""
        return {
            "image_means": self.means,
            "image_stds": self.stds,
            "target_means": self.target_means,
            "target_stds": self.target_stds,
        }


@dataclass(frozen=True, eq=False)
class TrainingCheckpoint:
    """A run at one moment.

    Attributes
    ----------
    config : Configuration
        What it does.
    position : Position
        How far it is.
    data : Fingerprint
        What it was trained on.
    numbers : dict
        Schedule, plateaus and the optimizer's settings, fit for JSON.
    tensors : dict of Tensor
        Weights, averaged weights and the optimizer's moments, by dotted names.
    losses : Losses
        Of this run and those before it.
    provenance : Provenance
        Of the model, what it was trained on before this run included.
    """

    config: Configuration
    position: Position
    data: Fingerprint
    numbers: dict[str, Any]
    tensors: dict[str, Tensor]
    losses: Losses = field(default_factory=Losses)
    provenance: Provenance = field(default_factory=Provenance)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix.``, without it."""
        return _under(prefix, self.tensors)


def save_checkpoint(state: TrainingCheckpoint, folder: Path) -> None:
    """Write `state` into `folder`, made if need be; the file changes as a whole.

    It is written beside the old one, forced to the disk and then renamed, so that a
    power cut leaves either of the two, never half of one.
    """
    header = {
        "format": _FORMAT,
        "configuration": state.config.model_dump_json(),
        "position": json.dumps(asdict(state.position)),
        "data": json.dumps(asdict(state.data)),
        "numbers": json.dumps(state.numbers),
        "provenance": state.provenance.as_json(),
    }
    tensors = dict(state.tensors)
    for name, values in state.losses.as_dict().items():
        tensors[f"losses.{name}"] = torch.tensor(values, dtype=torch.float64)
    make_folder(folder)
    write_tensors(folder / FILE, tensors, header)


def load_checkpoint(folder: str | Path) -> TrainingCheckpoint:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    MissingFileError
        If there is none in `folder`.
    UnreadableFileError
        If the file is not what it should be.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise MissingFileError(
            f"There is no run to go on with in {str(folder)!r} (no {FILE}); check the "
            "folder, or begin a new run."
        )
    with going_on(f"the run in {str(path)!r}"):
        file = open_tensors(path)
        header = file.header
        if header.get("format") != _FORMAT:
            raise ValueError("it was not written by this version of napari-hush")
        config = Configuration.model_validate_json(header["configuration"])
        for part in ("network", "average"):
            shapes = _under(part, file.shapes)
            if shapes or part == "network":
                check_weights(shapes, config.algorithm_config.model)
        # Copies: Windows replaces no file that somebody has mapped, as these would.
        tensors = {name: tensor.clone() for name, tensor in file.tensors().items()}
        losses = {name: tensors.pop(f"losses.{name}").tolist() for name in vars(Losses())}
        for name in ("train_step", "train_epoch", "val_epoch"):
            losses[name] = [int(number) for number in losses[name]]
        data: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(header["data"]).items()
        }
        seen = Fingerprint(**data)
        return TrainingCheckpoint(
            config,
            _position(header["position"]),
            seen,
            json.loads(header["numbers"]),
            tensors,
            Losses(**losses),
            Provenance.from_json(header["provenance"], len(seen.means)),
        )


@contextmanager
def going_on(what: str) -> Iterator[None]:
    """Turn what a damaged state raises into a sentence.

    Raises
    ------
    UnreadableFileError
        In place of whatever values of the wrong kind raise.
    """
    try:
        yield
    except HushError:
        raise
    except _FLAWS as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UnreadableFileError(
            f"Cannot go on with {what}: it is damaged ({reason}); begin a new run."
        ) from error


def check_alike(what: str, found: Any, wanted: Any) -> None:
    """Compare the kinds of numbers out of a file with those that they replace.

    Parameters
    ----------
    what : str
        What they are, for the message.
    found, wanted : dict, list, number or None
        As JSON has them. Dicts must have the same keys, values be of the same kind.

    Raises
    ------
    ValueError
        If they differ.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        if found.keys() != wanted.keys():
            raise ValueError(f"{what} holds {sorted(found)}")
        for key, value in wanted.items():
            check_alike(f"{what} {key}", found[key], value)
        return
    kinds: tuple[type, ...] = (type(wanted),)
    if wanted is None or isinstance(wanted, int | float):
        kinds = (bool,) if isinstance(wanted, bool) else (int, float, type(None))
    elif isinstance(wanted, list | tuple):
        kinds = (list, tuple)
    if not isinstance(found, kinds) or isinstance(found, bool) != isinstance(wanted, bool):
        raise ValueError(f"{what} is {found!r}")


def remove_checkpoint(folder: Path) -> None:
    """Remove the state from `folder`, if there is one; nothing else there is touched."""
    (folder / FILE).unlink(missing_ok=True)
    for part in folder.glob(f".{FILE}.*.part"):
        part.unlink(missing_ok=True)


def interrupted_run(folder: str | Path) -> TrainingCheckpoint | None:
    """The run in `folder` that was cut off, or None if there is none.

    Raises
    ------
    UnreadableFileError
        If there is a file that is not what it should be.
    """
    if not (Path(folder) / FILE).is_file():
        return None
    state = load_checkpoint(folder)
    return None if state.position.ended else state


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


def model_of(state: TrainingCheckpoint) -> Model:
    """What a run had learned when it was cut off: the averaged weights where there are any.

    Parameters
    ----------
    state : RunState
        As `load_checkpoint` reads it.

    Raises
    ------
    UnreadableFileError
        If the weights are not those of the network in the configuration.
    """
    position, data = state.position, state.data
    with going_on("the run that was cut off"):
        network = UNet(state.config.algorithm_config.model)
        network.load_state_dict(state.under("average") or state.under("network"))
        scaling = Normalization(data.means, data.stds)
        target = None
        if data.target_means is not None and data.target_stds is not None:
            target = Normalization(data.target_means, data.target_stds)
    return Model(
        state.config,
        network.eval(),
        scaling,
        target,
        epochs=position.first_epoch + position.epochs,
        steps=position.first_step + position.steps,
        provenance=state.provenance,
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The moments of `optimizer`, named by the number of their weight and their name."""
    found = {}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor):
                found[f"{number}.{name}"] = value
    return found


def restore_optimizer(
    optimizer: torch.optim.Optimizer, groups: list[Any], tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `optimizer_tensors` found, and the settings of the groups.

    Moments get the memory layout of their weights: sums in another order would round
    otherwise.

    Raises
    ------
    ValueError
        If they are not those of such an optimizer.
    """
    check_alike("the optimizer", groups, optimizer.state_dict()["param_groups"])
    for mine, theirs in zip(optimizer.state_dict()["param_groups"], groups, strict=True):
        check_alike("the optimizer's settings", theirs, mine)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = tensor
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for index, moments in state.items():
        like = weights[index]
        for key, value in moments.items():
            if value.ndim and value.shape != like.shape:
                raise ValueError(f"the moments {key!r} are {tuple(value.shape)}")
            if value.shape == like.shape:
                moments[key] = torch.empty_like(like, requires_grad=False).copy_(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})
