"""Open and export models in the format of a file's suffix."""

from __future__ import annotations

import hashlib
import io
import pickletools
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Self

import torch

from napari_hush.config.configuration import BYTES, plain_values
from napari_hush.errors import (
    ConfigurationError,
    MissingFileError,
    ModelFileError,
    OutOfMemoryError,
)
from napari_hush.interop.bioimageio import write_package
from napari_hush.interop.careamics import careamics_model
from napari_hush.interop.foreign import foreign_model
from napari_hush.interop.onnx import write_onnx
from napari_hush.interop.torchscript import write_torchscript
from napari_hush.models import built_in_denoiser, load_model
from napari_hush.models.file import MALFORMED, RECORD, model_of, require_own, tensor_bytes
from napari_hush.system.atomic_write import as_path, refuse_existing
from napari_hush.system.memory import require_memory

if TYPE_CHECKING:
    from napari_hush.models import Model

_FILES = 10_000
"""Limit for the number of files in an archive."""
_BYTES = 4 * 2**30
"""Limit for their total size, unpacked."""
_RATIO = 1100
"""Limit for their compression ratio, which is 1,032 at most for deflate."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Compressions that zipfile unpacks in bounded steps."""


class Archive:
    """An untrusted zip archive in memory or on disk, called `name` in messages.

    Raises a ValueError if it is invalid, too large, or has names outside of it, and an
    OutOfMemoryError if its files do not fit into memory.
    """

    def __init__(self, source: Path | bytes, name: str) -> None:
        try:
            self._zip = zipfile.ZipFile(
                io.BytesIO(source) if isinstance(source, bytes) else source
            )
        except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeError) as error:
            raise ValueError(f"it is not a zip archive: {error}") from error
        infos = self._zip.infolist()
        if len(infos) > _FILES:
            raise ValueError(f"it contains {len(infos)} files, more than {_FILES}")
        total = sum(info.file_size for info in infos)
        packed = sum(info.compress_size for info in infos)
        if total > _BYTES or total > _RATIO * packed + 2**20:
            raise ValueError(f"its files would unpack to {total} bytes")
        require_memory(total, f"The content of {name}", "close other programs first")
        for info in infos:
            _check_name(info.filename)
            if info.compress_type not in _METHODS:
                raise ValueError(f"{info.filename!r} in it is packed by another method")
        self.nbytes = total
        self.names = {info.filename for info in infos}
        if len(self.names) != len(infos):
            raise ValueError("it contains two files with one name")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()

    def read(self, name: str, *, sha256: str | None = None, limit: int = _BYTES) -> bytes:
        """The content of one file, of at most `limit` bytes.

        A ValueError if it is missing, larger, damaged or not of `sha256`.
        """
        if name not in self.names:
            raise ValueError(f"it has no {name!r}")
        if (claimed := self._zip.getinfo(name).file_size) > limit:
            raise ValueError(f"{name!r} in it has more than {limit} bytes")
        try:
            with self._zip.open(name) as file:  # may hold more than it claims
                content = file.read(claimed + 1)
        # RuntimeError: a password is required, or the compression is unknown
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError) as error:
            raise ValueError(f"{name!r} in it is damaged: {error}") from error
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256.lower():
            raise ValueError(f"{name!r} in it does not have its SHA-256")
        return content


def _check_name(name: str) -> None:
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    if posix.is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise ValueError(f"the path {name!r} in it is outside of it")


_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_OWN = ".safetensors"


_PICKLE_BYTES = 2**24
"""Limit for the values in a checkpoint besides its tensors."""
_ZIP = b"PK\3\4"
_CALLED = re.compile(
    r"collections (OrderedDict|Counter)|torch \w+(Storage|\d)|torch (Size|bool|device)"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|parameter)|torch.nn.parameter Parameter"
    r"|_codecs encode|(__builtin__|builtins) (set|complex)"
)
"""Names in checkpoints; weights of a network and plain values need no others."""


def open_model(path: str | Path) -> Model:
    """Read a model without running any code in its file.

    ``"built-in"``, the built-in denoiser; a ``.safetensors`` file that `save_model` wrote;
    a BioImage.IO package (``.zip``) that `write_package` or CAREamics wrote, or one of
    another program, see `foreign_model`; a checkpoint (``.ckpt``) of CAREamics, or of
    Lightning with a `HushModule`. Raises a MissingFileError, a ModelFileError if there is
    no usable model in it, or an OutOfMemoryError.
    """
    if path == BUILT_IN:
        return built_in_denoiser()
    path = as_path(path)
    read = _READERS.get(path.suffix.lower())
    if read is None and not path.suffix and not path.exists():
        raise MissingFileError(
            f"There is no model file {str(path)!r}; check the path, or give built-in for "
            "the built-in denoiser."
        )
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
            f"The model in {str(path)!r} cannot be used: {_message(error).rstrip('.')}."
        ) from error
    except (*MALFORMED, OSError) as error:
        raise ModelFileError(
            f"{str(path)!r} is not a readable model ({_message(error)}); give a package "
            "that napari-hush or CAREamics wrote, or a checkpoint of CAREamics."
        ) from error


def _package(path: Path) -> Model:
    with Archive(path, repr(path.name)) as archive:
        name = next((name for name in _DESCRIPTIONS if name in archive.names), None)
        if name is None:
            raise ValueError(f"it has no {_DESCRIPTIONS[0]}")
        text = plain_values(archive.read(name, limit=BYTES))
        if not isinstance(text, dict) or text.get("type") != "model":
            raise ValueError(f"its {name} describes no model")
        attached = _attached(text)
        for file, sha256 in attached.items():
            if file.endswith(_OWN):
                return model_of(archive.read(file, sha256=sha256), repr(str(path)))
        for file, sha256 in attached.items():
            if PurePosixPath(file).suffix in (".yml", ".yaml"):
                values = plain_values(archive.read(file, sha256=sha256, limit=BYTES))
                if isinstance(values, dict) and "algorithm_config" in values:
                    return careamics_model(values, _weights(text, archive))
        if {"inputs", "outputs", "weights"} <= text.keys():
            return foreign_model(text, archive, repr(str(path)))
        raise ValueError("it contains no weights of a known network")


def _attached(text: Mapping[str, Any]) -> dict[str, str | None]:
    """Attachments of a package and their SHA-256; before format 0.5, names alone."""
    attached = text.get("attachments") or ()
    if isinstance(attached, dict):
        return {str(name): None for name in attached.get("files") or ()}
    return {str(file["source"]): file.get("sha256") for file in attached}


def _weights(text: Mapping[str, Any], archive: Archive) -> dict[str, torch.Tensor]:
    weights = text["weights"]["pytorch_state_dict"]
    content = archive.read(weights["source"], sha256=weights.get("sha256"))
    found, nbytes = _unpickled(content, repr(weights["source"]))
    return _tensors(found, nbytes)


def _checkpoint(path: Path) -> Model:
    found, nbytes = _unpickled(path, repr(path.name))
    if (texts := found.get(RECORD)) is not None:
        weights = _network_weights(found, nbytes, "network.")
        return model_of(tensor_bytes(weights, dict(texts)), repr(str(path)))
    kept = [found.get(f"{part}hyper_parameters") or {} for part in ("", "datamodule_")]
    values = {**kept[0], **kept[1], **(found.get("careamics_info") or {})}
    weights = _network_weights(found, nbytes, "model.")
    return careamics_model(
        values, weights, epochs=_count(found, "epoch"), steps=_count(found, "global_step")
    )


def _network_weights(found: Any, nbytes: int, prefix: str) -> dict[str, torch.Tensor]:
    """The weights in a checkpoint whose names start with `prefix`, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in _tensors(found["state_dict"], nbytes).items()
        if name.startswith(prefix)
    }


def _unpickled(source: Path | bytes, name: str) -> tuple[Any, int]:
    """Tensors and plain values that torch saved, and the bytes of their archive.

    Nothing in the file is executed.
    """
    with Archive(source, name) as archive:  # checks what torch does not
        for each in archive.names:
            if each.endswith("data.pkl"):
                _check_pickle(archive.read(each, limit=_PICKLE_BYTES))
    stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    try:
        with stream:
            if stream.read(len(_ZIP)) != _ZIP:  # torch would read another format
                raise ValueError("it does not begin with a zip archive")
            stream.seek(0)
            found = torch.load(stream, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise ValueError(f"it cannot be unpickled: {_message(error)}") from error
    return found, archive.nbytes


def _check_pickle(content: bytes) -> None:
    """Refuse calls that make objects of any size from a number, such as bytearray."""
    for code, name, _ in pickletools.genops(content):
        if code.name == "GLOBAL" and not _CALLED.fullmatch(str(name)):
            raise ValueError(f"{name!r} in it is not allowed")


def _tensors(found: Any, nbytes: int) -> dict[str, torch.Tensor]:
    """Named tensors that take no more memory than the `nbytes` they were read from."""
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(each, torch.Tensor)
        for name, each in found.items()
    ):
        raise ValueError("its weights are not named tensors")
    # A tensor of stride 0, or several of one storage, take more than they were stored in.
    if sum(each.numel() * each.element_size() for each in found.values()) > nbytes:
        raise ValueError("its weights take more bytes than it holds")
    return dict(found)


def _count(found: Mapping[str, Any], name: str) -> int:
    count = found.get(name, 0)
    if type(count) is not int or count < 0:
        raise ValueError(f"its {name} is {count!r}")
    return count


def _message(error: Exception) -> str:
    kind = "" if type(error) in (ValueError, ConfigurationError) else type(error).__name__
    return " ".join(f"{kind} {error}".split())


BUILT_IN = "built-in"
"""The built-in denoiser, in place of the path of a model."""
_READERS: dict[str, Callable[[Path], Model]] = {".zip": _package, ".ckpt": _checkpoint}

_WRITERS: dict[str, Callable[[Model, Path], None]] = {
    ".onnx": write_onnx,
    ".pt": write_torchscript,
    ".zip": write_package,
}


def export_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `model` as ONNX (``.onnx``), TorchScript (``.pt``) or BioImage.IO (``.zip``).

    Input and output are float32 intensities ``(B, C, (Z), Y, X)`` with spatial sizes that
    are multiples of `UNet.multiple`. `write_package` takes metadata for a package.
    Raises a ModelFileError for another suffix, an ExistingFileError unless `overwrite` is
    on, an UnwritableFileError, or a HushError if the package onnx is not installed.
    """
    path = as_path(path)
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ModelFileError(
            f"Cannot export a model as {path.name!r}; end the name in .onnx (ONNX), .pt "
            "(TorchScript) or .zip (a BioImage.IO package)."
        )
    require_own(model, "exported")
    refuse_existing(path, overwrite)
    write(model, path)
    return path
