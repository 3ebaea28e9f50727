"""The model file: weights, normalization and configuration in one safetensors file.

Reading one executes nothing, and loads no weights before their shapes are known to be
those of the configured network.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors
import torch
from safetensors.torch import load, save

from napari_hush.config import Configuration
from napari_hush.errors import MissingFileError, ModelFileError
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance, model_hash
from napari_hush.models.unet import UNet
from napari_hush.models.weights import check_weights
from napari_hush.system.atomic_write import as_path, refuse_existing, whole_file
from napari_hush.system.memory import require_memory

if TYPE_CHECKING:
    from torch import Tensor


Curve = tuple[tuple[float, float, float], ...]
"""Intensities of the network's output, the weight of a pixel's own value there, and the
largest difference that counts; linear in between and constant beyond the ends."""
SUFFIX = ".safetensors"
RECORD = "napari_hush"
"""Key in checkpoints of Lightning for `model_header`."""
_FORMAT = "napari-hush model 1"
_PER_IMAGE = "napari-hush model of any image 1"
"""Of models that are `Model.per_image`, which versions before 0.2 cannot use."""
MALFORMED = (
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    ArithmeticError,
    RuntimeError,
)
"""Errors that malformed files raise: wrong types and values, endless JSON."""


@dataclass(frozen=True)
class BuiltInShare:
    """The part of a result that is the built-in denoiser's, see `fit_built_in_share`."""

    shares: tuple[float, ...]
    """Between 0 and 1, one per channel."""
    sha256: str
    """Hash of the built-in network."""

    @property
    def percent(self) -> str:
        """The shares in words, such as ``"84 %"`` or ``"20 to 84 %"``."""
        low, high = (round(100 * part) for part in (min(self.shares), max(self.shares)))
        return f"{high} %" if low == high else f"{low} to {high} %"

    @property
    def in_words(self) -> str:
        """Its part of a result, in words."""
        if min(self.shares) == 1:
            return "the built-in denoiser makes up all of it, as training did not help"
        return f"the built-in denoiser makes up {self.percent} of the result"


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with all that denoising needs."""

    config: Configuration
    """Configuration of the training run."""
    network: UNet
    normalization: Normalization
    """Statistics of the training pixels."""
    target_normalization: Normalization | None = None
    """Statistics of the targets, if there were any."""
    epochs: int = 0
    steps: int = 0
    """Epochs and optimizer steps of its training."""
    provenance: Provenance = field(default_factory=Provenance)
    """Date, software and data of its training."""
    own_value: tuple[Curve, ...] = ()
    """Weights of a pixel's own value in its result, a curve per channel; empty for none."""
    built_in_share: BuiltInShare | None = None
    """The part of its result that is the built-in denoiser's; None for none."""
    per_image: bool = False
    """Whether it takes images of any number of channels, each of them scaled by its own
    statistics, as the built-in denoiser does."""
    for_volumes: Model | None = None
    """The model for images with Z of one that is `per_image`, not saved with it; without
    it they are denoised plane by plane."""
    of_samples: tuple[tuple[Normalization, Normalization], ...] = ()
    """Scaling of each sample of an image and of its result, of a built-in denoiser."""

    @property
    def sha256(self) -> str:
        """Hash of weights, statistics and configuration, which determine results."""
        return model_hash(self)

    @property
    def hashes(self) -> tuple[str, ...]:
        """`sha256`, also of the model for volumes."""
        return tuple(model.sha256 for model in (self, self.for_volumes) if model)

    @property
    def output_normalization(self) -> Normalization:
        """Scaling of the output of the network."""
        return self.target_normalization or self.normalization

    @property
    def normalized_own_value(self) -> tuple[Curve, ...]:
        """`own_value` in the units of the network's output."""
        by = self.output_normalization
        return tuple(
            tuple(((at - mean) / scale, weight, most / scale) for at, weight, most in curve)
            for curve, mean, scale in zip(
                self.own_value, by.means[: len(self.own_value)], by.scales, strict=False
            )
        )


def save_model(model: Model, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write `model` to `path`, atomically.

    Raises ModelFileError if the name does not end in ``.safetensors``, ExistingFileError
    if the file exists and `overwrite` is off, and UnwritableFileError if it cannot be
    written.
    """
    path = as_path(path)
    if path.suffix != SUFFIX:
        raise ModelFileError(
            f"Cannot save a model as {path.name!r}; end the name in {SUFFIX}."
        )
    refuse_existing(path, overwrite)
    with whole_file(path, follow=True) as part:
        part.write_bytes(model_bytes(model))
    return path


def model_bytes(model: Model) -> bytes:
    """The content of a model file."""
    return tensor_bytes(model.network.state_dict(), model_header(model))


def require_own(model: Model, wish: str) -> None:
    """Raise ModelFileError if the network is of another program and can only denoise."""
    if not isinstance(model.network, UNet):
        raise ModelFileError(
            "This model is in a package of another program: it denoises here but cannot be "
            f"{wish}; keep its package."
        )
    if model.per_image and wish != "saved":
        raise ModelFileError(
            f"The built-in denoiser cannot be {wish}, as it scales each image by its own "
            "statistics; train a model on your images."
        )
    if wish == "exported" and (context := model.network.config.time_context):
        raise ModelFileError(
            f"This model sees {context} frames before and after each frame, which no "
            "format of other programs describes; save it as .safetensors, or train a "
            "model with time_context 0."
        )


def model_header(model: Model) -> dict[str, str]:
    """All of `model` but its weights, as texts."""
    require_own(model, "saved")
    target = model.target_normalization
    header = {
        "format": _PER_IMAGE if model.per_image else _FORMAT,
        "configuration": model.config.model_dump_json(),
        "normalization": model.normalization.as_json(),
        "target_normalization": target.as_json() if target else "null",
        "trained": json.dumps({"epochs": model.epochs, "steps": model.steps}),
        "provenance": model.provenance.as_json(),
    }
    if model.own_value:
        header["own_value"] = json.dumps(model.own_value)
    if model.built_in_share:
        header["built_in_share"] = json.dumps(asdict(model.built_in_share))
    return header


def load_model(path: str | Path) -> Model:
    """Read a model file.

    Raises MissingFileError if there is none, and ModelFileError if it is not a model file
    of this package, or is damaged.
    """
    path = as_path(path)
    if not path.is_file():
        raise MissingFileError(f"There is no model file {str(path)!r}; check the path.")
    return model_of(path, repr(str(path)))


def model_of(source: Path | bytes, name: str) -> Model:
    """Read a model file or its content; `name` is for messages, see `load_model`."""
    try:
        file = open_tensors(source)
    except ValueError as error:
        raise ModelFileError(
            f"{name} is not a model file ({error}); give a {SUFFIX} file that napari-hush "
            "saved, a package or a checkpoint."
        ) from error
    header = file.header
    if header.get("format") not in (_FORMAT, _PER_IMAGE):
        raise ModelFileError(
            f"{name} holds weights but was not saved by napari-hush; give a file that was."
        )
    try:
        config = Configuration.model_validate_json(header["configuration"])
        network_config = config.algorithm_config.model
        channels = network_config.in_channels
        normalization = Normalization.from_json(header["normalization"], channels)
        target = header["target_normalization"]
        target_normalization = (
            None
            if target == "null"
            else Normalization.from_json(target, network_config.num_classes)
        )
        trained = _counts(header["trained"])
        trained["per_image"] = header["format"] == _PER_IMAGE
        if "own_value" in header:
            trained["own_value"] = _curves(header["own_value"])
        if "built_in_share" in header:
            trained["built_in_share"] = _share(header["built_in_share"])
        if "provenance" in header:  # older models have none
            trained["provenance"] = Provenance.from_json(header["provenance"], channels)
        check_weights(file.shapes, network_config)
        network = UNet(network_config)
        network.load_state_dict(file.tensors())
        model = Model(
            config, network.eval(), normalization, target_normalization, **trained
        )
        check_values(model)
        return model
    except MALFORMED as error:
        raise ModelFileError(
            f"The model file {name} is damaged or of another version "
            f"({' '.join(f'{type(error).__name__}: {error}'.split())}); save it again."
        ) from error


def check_values(model: Model) -> None:
    """Raise ValueError if the model has numbers that cannot denoise."""
    for name, tensor in model.network.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"the weights {name!r} are not finite")
        if name.endswith("running_var") and tensor.min() < 0:
            raise ValueError(f"the variances {name!r} are negative")
    channels = model.config.algorithm_config.model.num_classes
    if model.own_value and len(model.own_value) != channels:
        raise ValueError(f"its weights of own values are not those of {channels} channels")
    for curve in model.own_value:
        rises = all(low[0] < high[0] for low, high in itertools.pairwise(curve))
        if not (curve and rises and all(math.isfinite(sum(point)) for point in curve)):
            raise ValueError("its intensities of own values do not rise")
        if not all(0 <= weight <= 1 and most >= 0 for _, weight, most in curve):
            raise ValueError("its weights of own values are not between 0 and 1")
    if (share := model.built_in_share) is not None:
        if len(share.shares) != channels:
            raise ValueError(f"its shares of the built-in denoiser are not of {channels}")
        if not all(0 <= part <= 1 for part in share.shares):
            raise ValueError("its shares of the built-in denoiser are not between 0 and 1")
    for scaling in filter(None, (model.normalization, model.target_normalization)):
        if not all(map(math.isfinite, scaling.means)):
            raise ValueError("the means of its normalization are not finite")
        if not all(sys.float_info.min <= scale < math.inf for scale in scaling.scales):
            raise ValueError("the divisors of its normalization are not positive")


def _curves(text: str) -> tuple[Curve, ...]:
    return tuple(
        tuple((float(value), float(weight), float(most)) for value, weight, most in curve)
        for curve in json.loads(text)
    )


def _share(text: str) -> BuiltInShare:
    found = json.loads(text)
    return BuiltInShare(tuple(map(float, found["shares"])), str(found["sha256"]))


def _counts(text: str) -> dict[str, Any]:
    counts = json.loads(text)
    if counts.keys() != {"epochs", "steps"} or not all(
        type(count) is int and count >= 0 for count in counts.values()
    ):
        raise ValueError("its number of epochs or steps is missing")
    return dict(counts)


_MAX_HEADER = 8 * 2**20
"""Largest header in bytes; that of a network of depth 6 has some ten thousand."""

_NO_HEADER = f"it does not begin with a header of at most {_MAX_HEADER:,} bytes"
_CHECKSUM = "sha256"
"""Key in the header for the hash of everything else; older files have none."""


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file: texts of its header, and the shape of each tensor by name."""

    header: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    content: bytes = field(repr=False)

    def tensors(self) -> dict[str, Tensor]:
        """Read all tensors; ValueError if they are damaged."""
        try:
            found = load(self.content)
        except (safetensors.SafetensorError, RuntimeError) as error:
            raise ValueError(str(error)) from error
        texts = dict(self.header)
        checksum = texts.pop(_CHECKSUM, None)
        if checksum is not None and checksum != _checksum(found, texts):
            raise ValueError("it was changed or damaged since it was saved")
        return found


def open_tensors(source: Path | bytes) -> TensorFile:
    """Read a safetensors file, or its content, up to its tensors.

    Raises ValueError if it is not one, is damaged or has an oversize header, and
    OutOfMemoryError if it does not fit into memory.
    """
    try:
        content = source if isinstance(source, bytes) else _read(source)
        size = int.from_bytes(content[:8], "little")
        if size > _MAX_HEADER:
            raise ValueError(_NO_HEADER)
        found: Any = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
        shapes = {name: tuple(each["shape"]) for name, each in found}
        header: dict[str, str] = json.loads(content[8 : 8 + size]).get("__metadata__")
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(str(error)) from error
    return TensorFile(header or {}, shapes, content)


def _read(path: Path) -> bytes:
    """The bytes of a file; it is not mapped, since it may be truncated meanwhile."""
    with path.open("rb") as file:
        start = file.read(8)
        if int.from_bytes(start, "little") > _MAX_HEADER:
            raise ValueError(_NO_HEADER)
        needed = os.fstat(file.fileno()).st_size
        require_memory(needed, f"The file {str(path)!r}", "close other programs first")
        return start + file.read()


def _checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(header.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]
) -> None:
    """Write `tensors` and `header` to `path`, atomically.

    Raises UnwritableFileError if it cannot be written; an older file then stays.
    """
    with whole_file(path) as part:
        part.write_bytes(tensor_bytes(tensors, header))


def tensor_bytes(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """The content of a safetensors file with a checksum."""
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    return save(plain, {**header, _CHECKSUM: _checksum(plain, header)})
