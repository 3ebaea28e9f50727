"""All it takes to go on with a run that was cut off, in one file.

Random draws are keyed by seed, pass, patch and step, so the position of a run says which
come next, and no state of a generator has to be kept. Reading a state executes nothing:
safetensors holds raw numbers and a header of JSON.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import torch
from safetensors.torch import save

from napari_hush.config import Configuration
from napari_hush.errors import ConfigurationError, MissingFileError, UnreadableFileError
from napari_hush.lightning.losses import Losses

if TYPE_CHECKING:
    from torch import Tensor

FILE = "run-state.safetensors"
"""Name of the state in the folder that is chosen for it."""
_FORMAT = "napari-hush run 1"


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
class RunState:
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
    """

    config: Configuration
    position: Position
    data: Fingerprint
    numbers: dict[str, Any]
    tensors: dict[str, Tensor]
    losses: Losses = field(default_factory=Losses)

    def under(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix.``, without it."""
        start = f"{prefix}."
        return {
            name.removeprefix(start): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(start)
        }


def save_state(state: RunState, folder: Path) -> None:
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
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in state.tensors.items()}
    for name, values in state.losses.as_dict().items():
        tensors[f"losses.{name}"] = torch.tensor(values, dtype=torch.float64)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{FILE}.{os.getpid()}.part"
    try:
        with part.open("wb") as file:
            file.write(save(tensors, header))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / FILE)
    finally:
        part.unlink(missing_ok=True)
    if hasattr(os, "O_DIRECTORY"):  # the new name, too; Windows has no such thing
        descriptor = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def load_state(folder: str | Path) -> RunState:
    """Read what `save_state` wrote.

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
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header.get("format") != _FORMAT:
            raise ValueError("it was not written by this version of napari-hush")
        losses = {name: tensors.pop(f"losses.{name}").tolist() for name in vars(Losses())}
        for name in ("train_step", "train_epoch", "val_epoch"):
            losses[name] = [int(number) for number in losses[name]]
        data: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(header["data"]).items()
        }
        return RunState(
            Configuration.model_validate_json(header["configuration"]),
            Position(**json.loads(header["position"])),
            Fingerprint(**data),
            json.loads(header["numbers"]),
            tensors,
            Losses(**losses),
        )
    except (
        safetensors.SafetensorError,
        OSError,
        KeyError,
        TypeError,
        ValueError,
        ConfigurationError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UnreadableFileError(
            f"Cannot go on with the run in {str(path)!r}: {reason}; begin a new run."
        ) from error


def remove_state(folder: Path) -> None:
    """Remove the state from `folder`, if there is one; nothing else there is touched."""
    (folder / FILE).unlink(missing_ok=True)
    for part in folder.glob(f".{FILE}.*.part"):
        part.unlink(missing_ok=True)


def interrupted_run(folder: str | Path) -> RunState | None:
    """The run in `folder` that was cut off, or None if there is none.

    Raises
    ------
    UnreadableFileError
        If there is a file that is not what it should be.
    """
    if not (Path(folder) / FILE).is_file():
        return None
    state = load_state(folder)
    return None if state.position.ended else state
