"""BioImage.IO packages of other programs, whose networks run as TorchScript or ONNX.

No Python code of a package is executed. TorchScript is a program as well, so only one that
calls operators on tensors is accepted: others can write files.
"""

from __future__ import annotations

import hashlib
import io
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_hush.config import create_care_configuration
from napari_hush.errors import HushError, ModelFileError
from napari_hush.interop.foreign_scaling import Step, steps_of
from napari_hush.models import Model
from napari_hush.models.normalization import Normalization
from napari_hush.system.memory import require_memory
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.config import Configuration
    from napari_hush.interop.files import Archive
    from napari_hush.models import UNet

_FLOATS = 1000
"""Memory of a network of unknown size, in floats per pixel of a tile."""
_HALO = 8
"""A package without a halo gets this fraction of its smallest size."""
_PRIVATE = ("_convolution", "_shape_as_tensor", "_upsample")
"""Starts of operators of networks that start with an underscore."""
_CALL = re.compile(r"(?<![\w.])(?:torch|ops)\.([A-Za-z_][\w.]*)\s*\(")


@dataclass(frozen=True)
class _Port:
    """The input or output tensor of a package."""

    name: str
    axes: str
    """Its axes in order, of ``bczyx``."""
    sizes: dict[str, Any]
    """Per axis a number, a pair of smallest size and step, or None: that of the input."""
    halo: dict[str, int]
    steps: list[Step]


def foreign_model(text: Mapping[str, Any], archive: Archive, path: str) -> Model:
    """The denoiser that `text` describes, with its weights in `archive`, for prediction.

    Raises a ModelFileError that says what in the package cannot be used.
    """
    try:
        source, result = _ports(text)
        dims = _dims(source, result)
        graph, content = _graph(text, archive)
        name = str(text.get("name") or "package")
        config = _configuration(name, source, result, dims)
        network = ForeignNetwork(graph, content, source, result, config)
    except _Refused as error:
        raise ModelFileError(
            f"The package {path} cannot be used for denoising: {error}; open it in the "
            "program that it is made for."
        ) from error
    before, after = (_as_it_is(_channels(port)) for port in (source, result))
    return Model(config, cast("UNet", network), before, after)


class _Refused(ValueError):
    """Why a package cannot be used."""


def _configuration(name: str, source: _Port, result: _Port, dims: int) -> Configuration:
    """A configuration with the channels and axes of a package."""
    channels, made = _channels(source), _channels(result)
    several = max(channels, made) > 1
    return create_care_configuration(
        re.sub(r"[^\w \-]", "_", name)[:100],
        "array",
        ("C" if channels > 1 else "") + "ZYX"[-dims:],
        [64, 64] if dims == 2 else [16, 64, 64],
        1,
        independent_channels=not several,
        n_channels_in=channels if several else None,
        n_channels_out=made if several else None,
    )


def _as_it_is(channels: int) -> Normalization:
    return Normalization((0.0,) * channels, (1.0,) * channels)


class ForeignNetwork(nn.Module):
    """A network of another program, in place of a `UNet`.

    Input and output are intensities ``(B, C, (Z), Y, X)``. Before it, `prepare` applies the
    preprocessing of the package, which may depend on a whole image.
    """

    floats_per_pixel = _FLOATS

    def __init__(
        self,
        graph: Callable[[Tensor], Tensor],
        content: bytes,
        source: _Port,
        result: _Port,
        config: Configuration,
    ) -> None:
        super().__init__()
        digest = hashlib.sha256(content + repr((source, result)).encode()).digest()
        self.content = nn.Buffer(torch.tensor(list(digest), dtype=torch.uint8))
        self.config = config.algorithm_config.model
        letters = "zyx"[-self.config.conv_dims :]
        self._graph, self._source, self._result = graph, source, result
        self._letters = "c" + letters
        self._sizes = [source.sizes[axis] for axis in letters]
        least = [size if isinstance(size, int) else size[0] for size in self._sizes]
        self.multiple = tuple(1 if isinstance(n, int) else n[1] for n in self._sizes)
        self.halo = self.computed_halo = tuple(
            result.halo.get(axis) or size // _HALO
            for axis, size in zip(letters, least, strict=True)
        )
        # Pixels of a tile, which is bounded where the network takes one size only.
        self.largest = tuple(
            n - 2 * halo if isinstance(n, int) else sys.maxsize
            for n, halo in zip(self._sizes, self.halo, strict=True)
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Itself: it is never trained."""
        return self

    def prepare(self, sample: Any) -> Callable[[Tensor], Tensor]:
        """The preprocessing of pixels of `sample`, both ``(C, (Z), Y, X)``."""
        whole: Tensor | None = None
        if any(step.needs_whole for step in self._source.steps):
            require_memory(
                4 * int(np.prod(sample.shape)), "An image", "denoise a part of it"
            )
            every = sample[tuple(slice(0, n) for n in sample.shape)]
            whole = torch.from_numpy(np.asarray(every, np.float32))
        functions = []
        for step in self._source.steps:
            function = step.function(self._letters, whole)
            whole = None if whole is None else function(whole)
            functions.append(function)
        return partial(_in_turn, functions)

    def forward(self, x: Tensor, margin: int = 0) -> Tensor:
        """Denoise prepared pixels; crop `margin` at either end of Y and X."""
        shape = x.shape[2:]
        missing: list[int] = []
        for have, size in zip(shape, self._sizes, strict=True):
            missing = [0, _least(have, size) - have, *missing]
        if any(missing):
            x = functional.pad(x, missing, mode="replicate")
        with torch.autocast(x.device.type, enabled=False):
            clean = torch.stack([self._one(item.float()) for item in x])
        clean = clean[(slice(None), slice(None), *(slice(0, n) for n in shape))]
        return clean[..., margin:-margin, margin:-margin] if margin else clean

    def _one(self, item: Tensor) -> Tensor:
        given, order = item, self._letters
        result = self._graph(_arranged(given, order, self._source.axes))
        result = _arranged(result.float(), self._result.axes, order)
        if result.shape[1:] != item.shape[1:] or len(result) != self.config.num_classes:
            raise ModelFileError(
                f"The network of the package gave {tuple(result.shape)} values for "
                f"{tuple(item.shape)}, other than its description says; use another one."
            )
        for step in self._result.steps:
            result = step.function(self._letters, None)(result)
        return result


def _in_turn(functions: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
    for function in functions:
        x = function(x)
    return x


def _arranged(x: Tensor, have: str, want: str) -> Tensor:
    """`x` with the axes `want` in place of `have`; those that one lacks have size 1."""
    for axis in set(have) - set(want):
        x, have = x.squeeze(have.index(axis)), have.replace(axis, "")
    for axis in set(want) - set(have):
        x, have = x[None], axis + have
    return x.permute([have.index(axis) for axis in want]).contiguous()


def _least(have: int, size: Any) -> int:
    """The smallest size that the network takes and that holds `have` pixels."""
    if isinstance(size, int):
        if have > size:
            raise ModelFileError(
                f"The network of the package takes {size} pixels, not {have}; set tta to 4 "
                "or less."
            )
        return size
    least, step = size
    return int(max(least, least + -(-(have - least) // step) * step))


def _channels(port: _Port) -> int:
    return int(port.sizes["c"]) if "c" in port.axes else 1


# ---- the description


def _ports(text: Mapping[str, Any]) -> tuple[_Port, _Port]:
    for which in ("inputs", "outputs"):
        if len(text[which]) != 1:
            count = len(text[which])
            raise _Refused(f"it has {count} {which}, a denoiser one image in and one out")
    is_old = str(text.get("format_version", "")).startswith(("0.3", "0.4"))
    read = _old_port if is_old else _port
    return read(text["inputs"][0], "pre"), read(text["outputs"][0], "post")


def _port(text: Mapping[str, Any], which: str) -> _Port:
    """A tensor as format 0.5 describes it."""
    axes, sizes, halo = "", {}, {}
    for axis in text["axes"]:
        kind, name = axis["type"], str(axis.get("id", ""))
        if kind not in ("batch", "channel") and (kind != "space" or name not in "zyx"):
            raise _Refused(f"it has an axis {name!r} of type {kind!r}")
        letter = name if kind == "space" else kind[0]
        axes += letter
        size: Any = axis.get("size")
        if kind == "channel":
            size = len(axis.get("channel_names") or ()) or size
        elif isinstance(size, dict):
            if size.get("offset"):
                raise _Refused("its result has another size than its input")
            size = (int(size["min"]), int(size["step"])) if "step" in size else None
        sizes[letter] = size
        halo[letter] = int(axis.get("halo") or 0)
    name = str(text.get("id") or ("input" if which == "pre" else "output"))
    steps = steps_of(text.get(f"{which}processing") or (), which, _Refused)
    return _Port(name, axes, sizes, halo, steps)


def _old_port(text: Mapping[str, Any], which: str) -> _Port:
    """A tensor as format 0.4 describes it."""
    axes, shape = str(text["axes"]), text["shape"]
    if set(axes) - set("bczyx"):
        raise _Refused(f"its axes are {axes!r}")
    if isinstance(shape, dict) and "min" in shape:
        pairs = zip(shape["min"], shape["step"], strict=True)
        found: list[Any] = [(int(n), int(step)) if step else int(n) for n, step in pairs]
    elif isinstance(shape, dict):
        changed = zip(axes, shape["scale"], shape["offset"], strict=True)
        if any((scale, offset) != (1, 0) for a, scale, offset in changed if a in "zyx"):
            raise _Refused("its result has another size than its input")
        found = [None] * len(axes)
        if "c" in axes:
            number, twice = shape["scale"], 2 * shape["offset"][axes.index("c")]
            found[axes.index("c")] = int(twice) if not number[axes.index("c")] else None
    else:
        found = [int(n) for n in shape]
    halo = dict(zip(axes, map(int, text.get("halo") or (0,) * len(axes)), strict=True))
    steps = steps_of(text.get(f"{which}processing") or (), which, _Refused)
    return _Port(str(text["name"]), axes, dict(zip(axes, found, strict=True)), halo, steps)


def _dims(source: _Port, result: _Port) -> int:
    """Number of spatial axes; refuses what is no image in and an image out."""
    dims = sum(axis in source.axes for axis in "zyx")
    if not set("yx") <= set(source.axes) or set(source.axes) - {"b", "c"} != set(
        result.axes
    ) - {"b", "c"}:
        raise _Refused(
            f"it makes {result.axes!r} of {source.axes!r}, not an image of an image"
        )
    for axis in "zyx"[-dims:]:
        given, made = source.sizes[axis], result.sizes[axis]
        if given is None:
            raise _Refused(f"the size of its input along {axis} is not given")
        if isinstance(made, int) and isinstance(given, int) and made != given:
            raise _Refused("its result has another size than its input")
        if isinstance(given, int) and given <= 2 * result.halo.get(axis, 0):
            raise _Refused(f"its halo is all of its input along {axis}")
    for port in (source, result):
        if "c" in port.axes and port.sizes["c"] is None and port is result:
            port.sizes["c"] = _channels(source)
        if "c" in port.axes and not isinstance(port.sizes["c"], int):
            raise _Refused(f"the number of channels of {port.name!r} is not fixed")
    return dims


# ---- the weights


def _graph(
    text: Mapping[str, Any], archive: Archive
) -> tuple[Callable[[Tensor], Tensor], bytes]:
    """The network as a function of one tensor, and the content of its file."""
    weights, reasons = text["weights"], []
    for kind, read in (("torchscript", _torchscript), ("onnx", _onnx)):
        if (given := weights.get(kind)) is None:
            continue
        content = archive.read(str(given["source"]), sha256=given.get("sha256"))
        try:
            return read(content, archive), content
        except (_Refused, HushError) as error:
            reasons.append(str(error).rstrip("."))
    if reasons:
        raise _Refused("; ".join(reasons))
    kinds = ", ".join(map(str, weights)) or "none"
    raise _Refused(
        "its network is Python code or a format of another library, which napari-hush does "
        f"not run (weights: {kinds}; TorchScript and ONNX can be used)"
    )


def _torchscript(content: bytes, outer: Archive) -> Callable[[Tensor], Tensor]:
    """Load a program that calls operators on tensors only."""
    with type(outer)(content, "the TorchScript") as archive:
        for name in archive.names:
            if name.endswith(".py"):
                _check_script(archive.read(name).decode())
    loaded = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    return cast("Callable[[Tensor], Tensor]", loaded.eval())


def _check_script(code: str) -> None:
    """Refuse what is no operator on tensors, or takes the name of a file."""
    if ".torch.classes." in code:
        raise _Refused("its TorchScript uses classes of other libraries")
    for name in _CALL.findall(code):
        space, _, operator = name.rpartition(".")
        schemas = _schemas(f"{space or 'aten'}::{operator}")
        private = operator.startswith("_") and not operator.endswith("__")
        if (
            space not in ("", "aten", "prim")
            or not schemas
            or (private and not operator.startswith(_PRIVATE))
            or any(one.name == "filename" for each in schemas for one in each.arguments)
        ):
            raise _Refused(f"its TorchScript calls {name!r}, which is not known to be safe")


def _schemas(name: str) -> list[Any]:
    """The signatures of an operator of TorchScript; none if there is no such operator."""
    found: list[Any] = torch._C._jit_get_schemas_for_operator(name)  # noqa: SLF001
    return found


def _onnx(content: bytes, outer: Archive) -> Callable[[Tensor], Tensor]:
    onnx = require("onnx", "interop", "An ONNX network")
    runtime = require("onnxruntime", "interop", "An ONNX network")
    try:
        proto = onnx.load_model_from_string(content)
        if any(tensor.external_data for tensor in proto.graph.initializer):
            raise _Refused("its ONNX weights are in other files")
        session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except _Refused:
        raise
    except Exception as error:  # a damaged file raises anything
        raise _Refused(f"its ONNX network cannot be read ({error})") from error
    name = session.get_inputs()[0].name

    def run(x: Tensor) -> Tensor:
        (result, *_) = session.run(None, {name: x.cpu().numpy()})
        return torch.from_numpy(result).to(x.device)

    return run
