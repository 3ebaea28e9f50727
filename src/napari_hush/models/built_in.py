"""Built-in networks, which were trained on simulated images alone.

Each is one file in the folder ``builtin``; it is read when it is first needed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_hush.config import Configuration, UNetConfig
from napari_hush.models.file import SUFFIX, Model, TensorFile, open_tensors
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance
from napari_hush.models.unet import UNet, cropped
from napari_hush.models.weights import check_weights, inflated, new_network

if TYPE_CHECKING:
    from napari_hush.io import Image

Kind = Literal["denoiser", "n2v", "n2v2"]
"""denoiser: sees the pixel; n2v, n2v2: blind to it, as those methods are."""
FORMAT = "napari-hush network 1"
FOLDER = Path(__file__).parent / "builtin"
"""The built-in networks, one file each."""


@dataclass(frozen=True)
class BuiltIn:
    """A built-in network and facts about it, from the header of its file."""

    name: str
    """Such as ``"denoiser-2d"``."""
    kind: Kind
    config: UNetConfig
    """Its architecture, for one channel."""
    trained_on: str
    """Its training data."""
    date: str
    """Date of its training, ISO 8601 in UTC."""
    steps: int
    """Optimizer steps of its training."""
    recipe: dict[str, Any]
    """All settings of its training."""
    license: str
    """License of the training data and of the weights."""
    sha256: str
    """Hash of its weights and of these facts."""
    file: TensorFile

    def weights(self) -> dict[str, Tensor]:
        """Its weights by name, float32."""
        return {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in self.file.tensors().items()
        }

    @property
    def provenance(self) -> Provenance:
        """Provenance of models that begin with its weights."""
        return Provenance(built_in=self.name, built_in_sha256=self.sha256)


@cache
def built_in_networks() -> dict[str, BuiltIn]:
    """All built-in networks by name; none of their weights are unpacked."""
    return {path.stem: _opened(path) for path in sorted(FOLDER.glob(f"*{SUFFIX}"))}


def _opened(path: Path) -> BuiltIn:
    file = open_tensors(path)
    header = file.header
    config = UNetConfig.model_validate_json(header["configuration"])
    check_weights(file.shapes, config)
    return BuiltIn(
        header["name"],
        header["kind"],  # type: ignore[arg-type]
        config,
        header["trained_on"],
        header["date"],
        int(header["steps"]),
        json.loads(header["recipe"]),
        header["license"],
        header["sha256"],
        file,
    )


def first_network(config: Configuration) -> tuple[UNet, Provenance]:
    """The network that training with `config` begins with, and its provenance.

    Raises OutOfMemoryError if it does not fit into memory.
    """
    network = new_network(config.algorithm_config.model, config.data_config.seed)
    if config.built_in_weights is None:
        return network, Provenance()
    built_in = built_in_networks()[config.built_in_weights]
    network.load_state_dict(inflated(built_in.weights(), network))
    return network, built_in.provenance


def keep_statistics(network: UNet) -> None:
    """Keep means and variances of batch normalization in training, as in prediction."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm):
            layer.eval()


@cache
def built_in_denoiser() -> Model:
    """The built-in denoiser, for images of any number of channels and any axes.

    Each image is scaled by its own statistics. Each plane of a volume is denoised with
    those above and below it, if there are three or more.
    """
    planes, volumes = (built_in_networks()[f"denoiser-{n}d"] for n in (2, 3))
    return replace(_denoiser(planes), for_volumes=_denoiser(volumes))


def _denoiser(network: BuiltIn) -> Model:
    dims = network.config.conv_dims
    config = Configuration.build(
        {
            "experiment_name": "built-in denoiser",
            "algorithm_config": {
                "algorithm": "care",
                "loss": "mse",
                "model": network.config.model_dump(),
            },
            "data_config": {
                "axes": "TYX" if network.config.time_context else "ZYX"[-dims:],
                "patch_size": (16, 64, 64)[-dims:],
            },
        }
    )
    unet = UNet(network.config)
    unet.load_state_dict(network.weights())
    return Model(
        config,
        unet.eval(),
        Normalization((0.0,), (1.0,)),
        steps=network.steps,
        provenance=replace(network.provenance, date=network.date),
        per_image=True,
    )


_LEAST_PLANES = 3  # fewer cannot be reflected


def _of_image(model: Model, image: Image) -> Model:
    """`model`, or that for volumes if the image has planes above and below each other."""
    _, _, *depth, _, _ = image.axes.canonical_shape
    volume = bool(depth) and depth[0] >= _LEAST_PLANES
    return model.for_volumes if volume and model.for_volumes is not None else model


def suited_config(model: Model, image: Image) -> Configuration:
    """The configuration of `suited`."""
    if not model.per_image:
        return model.config
    model = _of_image(model, image)
    _, channels, *spatial = image.axes.canonical_shape
    values = model.config.model_dump()
    network, data = values["algorithm_config"]["model"], values["data_config"]
    if network["conv_dims"] > len(spatial):  # saved without a network for planes
        return model.config
    if network["conv_dims"] < len(spatial):
        network |= {"conv_dims": 3, "time_context": 0}
        data["patch_size"] = (4, *data["patch_size"])
    network |= {"in_channels": channels, "num_classes": channels}
    data["axes"] = image.axes.axes
    return Configuration.build(values)


def suited(model: Model, image: Image) -> Model:
    """`model`, or of a built-in one that for the channels and dimensions of `image`."""
    if not model.per_image:
        return model
    config, model = suited_config(model, image), _of_image(model, image)
    wanted, own = config.algorithm_config.model, model.config.algorithm_config.model
    kind = DenoiserUNet if wanted.conv_dims == own.conv_dims else PlanewiseUNet
    given = {"conv_dims": own.conv_dims, "time_context": own.time_context}
    with torch.device("meta"):
        network = kind(wanted.replace(**given))
    network.load_state_dict(model.network.state_dict(), assign=True)
    return replace(model, config=config, network=network.eval(), for_volumes=None)


SPIKE = 15.0
"""Standard deviations of the image from which a pixel may be hot. A photon is as far above
an image with one photon in 200 pixels."""
_SHARPEST = 4.0  # the center of a spot over the pixels beside it, for any optics


def without_spikes(x: Tensor, least: float) -> Tensor:
    """`x`, of mean 0, with hot pixels lowered to what optics can make.

    Those are hot, alone or in pairs, that exceed `least` and four times the third brightest
    of their 8 neighbors together.
    """
    places = (x > least).nonzero(as_tuple=True)
    if not len(places[0]):
        return x
    *rest, rows, columns = places
    around = torch.stack(
        [
            x[(*rest, _inside(rows + dy, x.shape[-2]), _inside(columns + dx, x.shape[-1]))]
            for dy, dx in product((-1, 0, 1), repeat=2)
            if dy or dx
        ]
    )
    highest = _SHARPEST * around.topk(3, dim=0).values[2].clamp(min=0) + least
    lowered = x.clone()
    lowered[places] = torch.minimum(x[places], highest)
    return lowered


def _inside(index: Tensor, size: int) -> Tensor:
    """`index` reflected at the borders of an axis of `size` pixels."""
    index = index.abs()
    return torch.where(index < size, index, 2 * size - 2 - index).clamp(min=0)


_WIDTH = 33
"""Of the running mean in pixels; three of them are a blur of standard deviation 16.5."""
REACH = 3 * (_WIDTH // 2)
_SQUARE = 32


class DenoiserUNet(UNet):
    """A U-Net for what is finer than wide gradients, which it leaves as they are.

    It sees the image minus its blur in Y and X, and the blur is added to its result. So is
    the blurred residual: noise hardly affects the mean of hundreds of pixels, but a network
    shifts dark regions.
    """

    @property
    def halo(self) -> tuple[int, ...]:
        """The reach of both blurs and of `without_spikes` beyond the receptive field."""
        *depth, height, width = super().halo
        return (*depth, height + 2 * REACH + 2, width + 2 * REACH + 2)

    @property
    def computed_halo(self) -> tuple[int, ...]:
        """The reach of the blurred residual and the receptive field."""
        *depth, height, width = super().halo
        return (*depth, height + REACH, width + REACH)

    def forward(self, x: Tensor, margin: int = 0) -> Tensor:
        """Denoise a batch; see `UNet.forward`."""
        fine, wide = _split(x)
        return self._denoised(fine, margin) + cropped(wide, margin)

    def _denoised(self, fine: Tensor, margin: int) -> Tensor:
        """The image minus its blur, without noise; both with a mean of about 0."""
        inner, step = max(margin - REACH, 0), self.config.multiple[-1]
        unused = max(inner - super().halo[-1], 0) // step * step
        y = super().forward(cropped(fine, unused), inner - unused)
        seen = fine[:, self._frames // 2 :: self._frames]
        with torch.autocast(y.device.type, enabled=False):
            added = blurred(cropped(seen, inner) - y, REACH + inner - margin)
            return cropped(y, margin - inner) + added


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    """`x` minus its blur, and the blur, without hot pixels."""
    with torch.autocast(x.device.type, enabled=False):
        x = without_spikes(x, SPIKE)
        wide = blurred(x, REACH)
        return without_spikes(x - wide, SPIKE), wide


def blurred(x: Tensor, missing: int) -> Tensor:
    """`x` blurred in Y and X, smaller by `REACH` at either end after padding `missing`."""
    planes = x.flatten(0, -3)[:, None]
    if missing:
        planes = functional.pad(planes, (missing,) * 4, mode="replicate")
    for _ in range(3):
        planes = _running_mean(_running_mean(planes, -1), -2)
    return planes.reshape(*x.shape[:-2], *planes.shape[-2:])


def _running_mean(planes: Tensor, axis: int) -> Tensor:
    """Means of `_WIDTH` pixels along an axis, which becomes so much shorter."""
    if planes.device.type != "cpu":  # pools in parallel, and may have no float64
        return functional.avg_pool2d(planes, (1, _WIDTH) if axis == -1 else (_WIDTH, 1), 1)
    sums = functional.pad(planes, (1, 0) if axis == -1 else (0, 0, 1, 0)).double()
    sums = sums.cumsum(axis)
    size = sums.shape[axis] - _WIDTH
    means = (sums.narrow(axis, _WIDTH, size) - sums.narrow(axis, 0, size)) / _WIDTH
    return means.to(planes.dtype)


def within_squares(values: Tensor) -> Tensor:
    """Sum of squared differences of ``(C, (Z), Y, X)`` from means of squares, ``(C,)``.

    Squares have sides of 32 pixels, or less at the borders; wide gradients hardly count.
    """
    planes = values.double().reshape(len(values), -1, *values.shape[-2:])
    means = functional.avg_pool2d(planes, _SQUARE, ceil_mode=True)
    for axis, size in zip((-2, -1), planes.shape[-2:], strict=True):
        means = means.repeat_interleave(_SQUARE, axis).narrow(axis, 0, size)
    return (planes - means).square().sum((1, 2, 3))


class PlanewiseUNet(DenoiserUNet):
    """A U-Net for planes that denoises volumes ``(B, C, Z, Y, X)`` plane by plane.

    If it has a `time_context`, its frames are the planes above and below.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        self.config = config.replace(time_context=0)  # of the volume

    @property
    def multiple(self) -> tuple[int, ...]:
        """Any number of planes."""
        return (1, *super().multiple)

    @property
    def halo(self) -> tuple[int, ...]:
        """The planes that one depends on, beside it."""
        return (self._frames // 2, *super().halo)

    @property
    def computed_halo(self) -> tuple[int, ...]:
        """As for one plane."""
        return (0, *super().computed_halo)

    def forward(self, x: Tensor, margin: int = 0) -> Tensor:
        """Denoise a batch; see `UNet.forward`. Planes are reflected beyond the stack."""
        depth, middle = x.shape[2], self._frames // 2
        pairs = [_split(plane) for plane in x.unbind(2)]
        planes, results = [fine for fine, _ in pairs], []
        for number, (_, wide) in enumerate(pairs):
            around = (abs(number + shift - middle) for shift in range(self._frames))
            seen = [planes[depth - 1 - abs(depth - 1 - other)] for other in around]
            fine = torch.stack(seen, 2).flatten(1, 2)
            fine = fine.contiguous(memory_format=torch.channels_last)
            results.append(self._denoised(fine, margin) + cropped(wide, margin))
        return torch.stack(results, 2)
