"""Open a model, whatever file it is in."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import torch

from napari_hush.config.plain_yaml import plain_values
from napari_hush.errors import (
    ConfigurationError,
    MissingFileError,
    ModelFileError,
    OutOfMemoryError,
)
from napari_hush.exchange.archive import Archive
from napari_hush.exchange.careamics import careamics_model
from napari_hush.models import load_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_hush.models import Model

_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_OWN = ".safetensors"
_NETWORK = "model."
"""What the names of a network's weights begin with in a checkpoint."""
_FLAWS = (
    AttributeError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What values of the wrong kind raise, and values without end (a RecursionError)."""


def open_model(path: str | Path) -> Model:
    """Read a model file, a package, or a checkpoint.

    No code in any of them is run.

    Parameters
    ----------
    path : str or Path
        A ``.safetensors`` file that `save_model` wrote; a BioImage.IO package (``.zip``)
        that `write_package` or CAREamics wrote; a checkpoint (``.ckpt``) of CAREamics.

    Raises
    ------
    MissingFileError
        If there is no such file.
    ModelFileError
        If there is no model in it that can be used here.
    OutOfMemoryError
        If it holds more than fits into memory.
    """
    path = Path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        return load_model(path)
    if not path.is_file():
        raise MissingFileError(f"There is no model file {str(path)!r}; check the path.")
    try:
        return read(path)
    except (ModelFileError, OutOfMemoryError):
        raise
    except ConfigurationError as error:
        raise ModelFileError(
            f"The model in {str(path)!r} cannot be used here: {_told(error).rstrip('.')}."
        ) from error
    except _FLAWS as error:
        raise ModelFileError(
            f"{str(path)!r} is no model that can be read ({_told(error)}); give a package "
            "that napari-hush or CAREamics wrote, or a checkpoint of CAREamics."
        ) from error


def _package(path: Path) -> Model:
    with Archive(path, repr(path.name)) as archive:
        name = next((name for name in _DESCRIPTIONS if name in archive.names), None)
        if name is None:
            raise ValueError(f"there is no {_DESCRIPTIONS[0]} in it")
        text = plain_values(archive.read(name))
        if not isinstance(text, dict) or text.get("type") != "model":
            raise ValueError(f"its {name} describes no model")
        attached = _attached(text)
        for file, sha256 in attached.items():
            if file.endswith(_OWN):
                return _own(archive.read(file, sha256=sha256))
        for file, sha256 in attached.items():
            if PurePosixPath(file).suffix in (".yml", ".yaml"):
                values = plain_values(archive.read(file, sha256=sha256))
                if isinstance(values, dict) and "algorithm_config" in values:
                    return careamics_model(values, _weights(text, archive))
        raise ValueError("it holds no weights of a network that is known here")


def _attached(text: Mapping[str, Any]) -> dict[str, str | None]:
    """Attachments of a package and what they hash to; before 0.5 a list of names."""
    attached = text.get("attachments") or ()
    if isinstance(attached, dict):
        return {str(name): None for name in attached.get("files") or ()}
    return {str(file["source"]): file.get("sha256") for file in attached}


def _own(content: bytes) -> Model:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, f"model{_OWN}")
        file.write_bytes(content)
        return load_model(file)


def _weights(text: Mapping[str, Any], archive: Archive) -> dict[str, torch.Tensor]:
    weights = text["weights"]["pytorch_state_dict"]
    content = archive.read(weights["source"], sha256=weights.get("sha256"))
    with Archive(content, repr(weights["source"])):
        pass  # torch would not look at how much there is to unpack
    return _tensors(_unpickled(io.BytesIO(content)))


def _checkpoint(path: Path) -> Model:
    with Archive(path, repr(path.name)):
        pass
    found = _unpickled(path)
    kept = [found.get(f"{part}hyper_parameters") or {} for part in ("", "datamodule_")]
    values = {**kept[0], **kept[1], **(found.get("careamics_info") or {})}
    weights = {
        name.removeprefix(_NETWORK): tensor
        for name, tensor in _tensors(found["state_dict"]).items()
        if name.startswith(_NETWORK)
    }
    return careamics_model(
        values, weights, epochs=_count(found, "epoch"), steps=_count(found, "global_step")
    )


def _unpickled(source: Path | io.BytesIO) -> Any:
    """What torch kept there: tensors and plain values; nothing in it is executed."""
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its parts lead to
        raise ValueError(f"it cannot be unpickled: {_told(error)}") from error


def _tensors(found: Any) -> dict[str, torch.Tensor]:
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(each, torch.Tensor)
        for name, each in found.items()
    ):
        raise ValueError("its weights are not named tensors")
    return dict(found)


def _count(found: Mapping[str, Any], name: str) -> int:
    count = found.get(name, 0)
    if type(count) is not int or count < 0:
        raise ValueError(f"its {name} is {count!r}")
    return count


def _told(error: Exception) -> str:
    kind = "" if type(error) in (ValueError, ConfigurationError) else type(error).__name__
    return " ".join(f"{kind} {error}".split())


_READERS: dict[str, Callable[[Path], Model]] = {".zip": _package, ".ckpt": _checkpoint}
