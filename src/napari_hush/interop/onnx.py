"""Export to ONNX, node by node, which gives the same graph with any version of torch.

Batch normalization is fused into the weights. Runtimes of 2022 and later read the graph
(opset 17), whose sizes are free except for the number of channels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import nn

from napari_hush.axes import spatial_axes
from napari_hush.models import Model, fuse_batch_norm
from napari_hush.models.unet import groups_of, shares_weights
from napari_hush.system.atomic_write import whole_file
from napari_hush.system.optional import require

if TYPE_CHECKING:
    from napari_hush.models import Curve, UNet
    from napari_hush.models.normalization import Normalization

OPSET = 17
"""Version of the operators."""
_IR = 8
"""Version of the file format, that of the opset."""
INPUT, OUTPUT = "raw", "denoised"
"""Names of input and output."""


def write_onnx(model: Model, path: Path, *, scaled: bool = True) -> None:
    """Write the network of `model` as an ONNX file.

    Input and output are float32 ``(B, C, (Z), Y, X)`` of any batch size, intensities if
    `scaled` and else normalized. Spatial sizes are multiples of `UNet.multiple`, as the
    names of the axes say. Raises a HushError if the package onnx is not installed.
    """
    proto = onnx_model(model, scaled=scaled)
    with whole_file(path, follow=True) as part:
        part.write_bytes(proto.SerializeToString())


def onnx_model(model: Model, *, scaled: bool = True) -> Any:
    """The graph of `write_onnx` as a validated ``onnx.ModelProto``."""
    onnx = require("onnx", "interop", "Writing ONNX")
    network = fuse_batch_norm(model.network).cpu()
    graph = _Graph(onnx, len(network.multiple), repeats=network.config.reflects)
    noisy = graph.scaled(INPUT, model.normalization) if scaled else INPUT
    at = _network(graph, network, noisy)
    if model.own_value:
        at = graph.with_own_value(at, noisy, model.normalized_own_value)
    if scaled:
        at = graph.unscaled(at, model.output_normalization)
    graph.add("Identity", [at], name=OUTPUT)
    sizes = _sizes(network)
    config = network.config
    made = onnx.helper.make_graph(
        graph.nodes,
        "denoiser",
        [_value(onnx, INPUT, config.in_channels, sizes)],
        [_value(onnx, OUTPUT, config.num_classes, sizes)],
        graph.weights,
    )
    proto = onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=_IR,
        producer_name="napari-hush",
    )
    proto.doc_string = (
        f"{'Intensities' if scaled else 'Normalized intensities'} in and out, float32, "
        f"axes {', '.join(['batch', 'channel', *sizes])}."
    )
    onnx.helper.set_model_props(proto, _properties(model, scaled))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _properties(model: Model, scaled: bool) -> dict[str, str]:
    return {
        "name": model.config.experiment_name,
        "intensities": "original" if scaled else "normalised",
        "axes": "BC" + "".join(spatial_axes(model.config.data_config.axes)),
        "size_multiple_of": json.dumps(model.network.multiple),
        "halo": json.dumps(model.network.halo),
        "configuration": model.config.model_dump_json(),
    }


def _sizes(network: UNet) -> list[str]:
    names = "zyx"[-len(network.multiple) :]
    return [
        f"{name}_multiple_of_{step}" if step > 1 else name
        for name, step in zip(names, network.multiple, strict=True)
    ]


def _value(onnx: Any, name: str, channels: int, sizes: list[str]) -> Any:
    return onnx.helper.make_tensor_value_info(
        name, onnx.TensorProto.FLOAT, ["batch", channels, *sizes]
    )


def _network(graph: _Graph, network: UNet, x: str) -> str:
    """The nodes of `UNet.forward`; returns the name of the output."""
    config = network.config
    channels, groups = config.in_channels, groups_of(config)
    apart = shares_weights(config) and channels > 1
    if apart:
        x = graph.reshaped(x, 1)
    skips, at = [], x
    for block, step in zip(network.encoder, network.steps, strict=True):
        at = graph.block(cast("nn.Sequential", block), at)
        skips.append(at)
        if not config.n2v2:
            at = graph.add("MaxPool", [at], kernel_shape=step, strides=step)
        elif config.variant == "careamics":
            at = graph.blurred_jointly(at, step, _filters(block))
        else:
            at = graph.blurred(at, step, _filters(block))
    at = graph.block(network.bottleneck, at)
    for block, step in zip(network.decoder, reversed(network.steps), strict=True):
        at = graph.upsampled(at, step)
        skip = skips.pop()
        if skips or not config.n2v2:
            at = graph.joined(at, skip, groups, 2 * _filters(network.encoder[len(skips)]))
        at = graph.block(cast("nn.Sequential", block), at)
    at = graph.convolution(network.last, at)
    if config.residual:
        at = graph.add("Sub", [x, at])
    return graph.reshaped(at, channels) if apart else at


def _filters(block: nn.Module) -> int:
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    return convolutions[-1].out_channels


class _Graph:
    """Collects nodes and weights; methods add them and return the name of the output."""

    def __init__(self, onnx: Any, dims: int, *, repeats: bool) -> None:
        self._onnx = onnx
        self._dims = dims
        self._repeats = repeats
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(
        self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any
    ) -> str:
        name = name or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(
            self._onnx.helper.make_node(kind, list(inputs), [name], name, **attributes)
        )
        return name

    def constant(self, values: Any, dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(self.weights)}"
        array = np.ascontiguousarray(values, dtype)
        self.weights.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def scaled(self, x: str, by: Normalization) -> str:
        mean, scale = self._statistics(by)
        return self.add("Div", [self.add("Sub", [x, mean]), scale])

    def unscaled(self, x: str, by: Normalization) -> str:
        mean, scale = self._statistics(by)
        return self.add("Add", [self.add("Mul", [x, scale]), mean])

    def _statistics(self, by: Normalization) -> tuple[str, str]:
        shape = (1, -1, *(1,) * self._dims)
        return (
            self.constant(np.reshape(by.means, shape)),
            self.constant(np.reshape(by.scales, shape)),
        )

    def with_own_value(self, clean: str, noisy: str, curves: Sequence[Curve]) -> str:
        """The nodes of `napari_hush.models.unet.with_own_value`."""
        most, weight = (self._interpolated(clean, curves, column) for column in (2, 1))
        held = self.add("Max", [self.add("Sub", [noisy, clean]), self.add("Neg", [most])])
        held = self.add("Min", [held, most])
        return self.add("Add", [clean, self.add("Mul", [held, weight])])

    def _interpolated(self, at: str, curves: Sequence[Curve], column: int) -> str:
        """A column of the curves, one per channel, at the values `at`."""
        longest = max(map(len, curves))
        filled = [[*one, *[one[-1]] * (longest - len(one))] for one in curves]
        knots = np.array(filled).reshape(1, len(curves), longest, 3, *(1,) * self._dims)
        found = self.constant(knots[:, :, 0, column])
        for low, high in pairwise(range(longest)):
            width = knots[:, :, high, 0] - knots[:, :, low, 0]
            rise = knots[:, :, high, column] - knots[:, :, low, column]
            slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
            along = self.add("Sub", [at, self.constant(knots[:, :, low, 0])])
            along = self.add("Max", [along, self.constant(0.0)])
            along = self.add("Min", [along, self.constant(width)])
            part = self.add("Mul", [along, self.constant(slope)])
            found = self.add("Add", [found, part])
        return found

    def reshaped(self, x: str, channels: int) -> str:
        """Move channels to the batch axis or back; a size of 0 is kept."""
        shape = self.constant([-1, channels, *(0,) * self._dims], np.int64)
        return self.add("Reshape", [x, shape])

    def block(self, block: nn.Sequential, x: str) -> str:
        for layer in block:
            if isinstance(layer, nn.ReLU):
                x = self.add("Relu", [x])
            elif not isinstance(layer, nn.Identity):
                x = self.convolution(layer, x)
        return x

    def convolution(self, layer: nn.Module, x: str) -> str:
        weight = cast("nn.Conv2d", layer).weight.detach().numpy()
        bias = cast("nn.Parameter", layer.bias).detach().numpy()
        pads = [size // 2 for size in weight.shape[2:]]
        if self._repeats and self._dims == 3 and pads[0]:  # planes, not zeros
            x = self.padded(x, axis=0, before=1, after=1)
            pads[0] = 0
        return self.add(
            "Conv",
            [x, self.constant(weight), self.constant(bias)],
            kernel_shape=weight.shape[2:],
            pads=[*pads, *pads],
            group=cast("nn.Conv2d", layer).groups,
        )

    def joined(self, x: str, skip: str, groups: int, filters: int) -> str:
        """Both, of `filters` in all, along the channels, group by group."""
        both = self.add("Concat", [x, skip], axis=1)
        if groups == 1:
            return both
        order = np.arange(filters).reshape(2, groups, -1).swapaxes(0, 1).ravel()
        return self.add("Gather", [both, self.constant(order, np.int64)], axis=1)

    def padded(self, x: str, axis: int, before: int, after: int) -> str:
        """Pad one spatial axis by repetition."""
        pads = np.zeros((2, self._dims + 2), np.int64)
        pads[:, axis + 2] = before, after
        return self.add("Pad", [x, self.constant(pads.ravel(), np.int64)], mode="edge")

    def blurred(self, x: str, step: Sequence[int], filters: int) -> str:
        """Max pooling and blur (1, 2, 1) / 4 along one axis after the other."""
        for axis in (axis for axis, size in enumerate(step) if size == 2):
            x = self.padded(x, axis, 0, 1)
            pair = [2 if other == axis else 1 for other in range(self._dims)]
            x = self.add("MaxPool", [x], kernel_shape=pair)
            x = self._blur(self.padded(x, axis, 1, 0), pair, filters)
        return x

    def blurred_jointly(self, x: str, step: Sequence[int], filters: int) -> str:
        """Max pooling along all axes, then the blur, with zeros beyond the border."""
        x = self.add("MaxPool", [x], kernel_shape=step)
        pads = [size - 1 for size in step]
        return self._blur(x, step, filters, pads=[*pads, *pads])

    def _blur(self, x: str, step: Sequence[int], filters: int, **attributes: Any) -> str:
        """Blur and subsample along the axes of which the `step` is 2."""
        kernel = np.ones((1,) * self._dims)
        for axis, size in enumerate(step):
            if size == 2:
                along = [3 if other == axis else 1 for other in range(self._dims)]
                kernel = kernel * np.reshape([0.25, 0.5, 0.25], along)
        weight = np.broadcast_to(kernel, (filters, 1, *kernel.shape))
        return self.add(
            "Conv",
            [x, self.constant(weight)],
            kernel_shape=kernel.shape,
            strides=step,
            group=filters,
            **attributes,
        )

    def upsampled(self, x: str, step: Sequence[int]) -> str:
        return self.add(
            "Resize",
            [x, "", self.constant([1, 1, *step])],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
