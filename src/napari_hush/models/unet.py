"""The U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_hush.config import UNetConfig
    from napari_hush.models.file import Curve


class UNet(nn.Module):
    """An encoder and a decoder with a skip connection at every level.

    Each level has two convolutions with kernels of size 3, each followed by batch
    normalization and ReLU. Max pooling downsamples by 2 and linear interpolation upsamples
    by 2, along Z only at the levels of ``pool_z``. Convolutions pad with zeros along Y and
    X and repeat the border plane along Z, because stacks are thin.

    The variant ``"careamics"`` computes what U-Nets of CAREamics 0.1 to 0.3 do: it pads
    with zeros along Z too, pools N2V2 along all axes in one step, and has separate weights
    for each independent channel (grouped convolutions).

    Input and output are ``(B, C, (Z), Y, X)`` with every spatial size a multiple of
    `multiple`; with a `time_context` the input has each channel in all frames, one channel
    after the other. `steps` has the downsampling factor of each level along
    ``((Z), Y, X)``.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        shares = shares_weights(config)
        self._frames = 2 * config.time_context + 1
        inputs = self._frames * (1 if shares else config.in_channels)
        outputs = 1 if shares else config.num_classes
        self._groups = groups_of(config)
        first, depth = config.num_channels_init * self._groups, config.depth
        self.encoder = nn.ModuleList()
        filters = inputs
        for level in range(depth):
            width = first * 2**level
            self.encoder.append(_Block(filters, width, width, config))
            filters = width
        self.bottleneck = _Block(filters, 2 * filters, filters, config)
        self.decoder = nn.ModuleList()
        for level in reversed(range(depth)):
            width = first * 2**level
            out = first * 2 ** max(level - 1, 0)
            skipped = 0 if config.n2v2 and level == 0 else width
            self.decoder.append(_Block(width + skipped, width, out, config))
        self.last = _LAST[config.conv_dims](
            first, outputs, kernel_size=1, groups=self._groups
        )
        pool = _POOL[config.conv_dims]
        if config.n2v2:
            pool = _JointMaxBlurPool if config.variant == "careamics" else _MaxBlurPool
        self.steps = [
            tuple(2 if pooled else 1 for pooled in level)
            for level in zip(*config.pooling, strict=True)
        ]
        self._pools = nn.ModuleList(pool(step) for step in self.steps)
        self._mode = "bilinear" if config.conv_dims == 2 else "trilinear"
        if config.conv_dims == 2:
            # The faster layout on CPUs and GPUs. It is set here, so that a network computes
            # the same bits however it was made.
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def multiple(self) -> tuple[int, ...]:
        """Each spatial size ``((Z), Y, X)`` must be a multiple of this, in pixels."""
        return self.config.multiple

    @property
    def halo(self) -> tuple[int, ...]:
        """Radius of the receptive field per axis, in pixels."""
        return tuple(halo(levels, n2v2=self.config.n2v2) for levels in self.config.pooling)

    @property
    def computed_halo(self) -> tuple[int, ...]:
        """Pixels beyond a result for which it computes features; `halo` are read."""
        return self.halo

    @property
    def floats_per_pixel(self) -> int:
        """Approximate floats in memory per input pixel, without gradients.

        Most are in the last block of the decoder: its concatenated input and the results of
        its convolutions.
        """
        config = self.config
        channels = config.in_channels if config.independent_channels else 1
        return 5 * config.num_channels_init * channels

    def forward(self, x: Tensor, margin: int = 0) -> Tensor:
        """Denoise a normalized batch ``(B, C, (Z), Y, X)``.

        `margin` pixels are cropped from either end of Y and X; values that affect only
        these are not computed.
        """
        batch, channels = x.shape[0], x.shape[1] // self._frames
        apart = channels > 1 and shares_weights(self.config)
        if apart:
            x = x.reshape(batch * channels, self._frames, *x.shape[2:])
        y = self._network(x, margin)
        if self.config.residual:
            y = cropped(x[:, self.config.time_context :: self._frames], margin) - y
        if apart:
            y = y.reshape(batch, channels, *y.shape[2:])
        return y

    def _network(self, x: Tensor, margin: int) -> Tensor:
        skips = []
        *cuts, gone = _cuts(margin, len(self.steps))
        for block, pool in zip(self.encoder, self._pools, strict=True):
            x = block(x)
            skips.append(x)
            x = pool(x)
        x = self.bottleneck(cropped(x, gone))
        for block, step in zip(self.decoder, reversed(self.steps), strict=True):
            x = functional.interpolate(x, scale_factor=step, mode=self._mode)
            if x.requires_grad and x.is_cpu and x.ndim == 4:
                x.register_hook(_dense)  # type: ignore[no-untyped-call]
            cut = cuts.pop()
            x, gone = cropped(x, cut - 2 * gone), cut
            skip = skips.pop()  # deleted below, to free it before the block
            if skips or not self.config.n2v2:
                x = _joined(x, cropped(skip, cut), self._groups)
            del skip
            x = block(x)
        # The last, linear layer in float32: bfloat16 would round the image.
        with torch.autocast(x.device.type, enabled=False):
            result: Tensor = self.last(cropped(x, margin - gone))
        return result


def shares_weights(config: UNetConfig) -> bool:
    """Whether channels are denoised one by one, with the same weights."""
    return config.independent_channels and config.variant != "careamics"


def groups_of(config: UNetConfig) -> int:
    """Number of groups of channels with separate weights."""
    separate = config.independent_channels and config.variant == "careamics"
    return config.in_channels if separate else 1


def _joined(x: Tensor, skip: Tensor, groups: int) -> Tensor:
    """Both along the channels, group by group."""
    pairs = zip(x.chunk(groups, 1), skip.chunk(groups, 1), strict=True)
    return torch.cat([part for pair in pairs for part in pair], dim=1)


def _cuts(margin: int, depth: int) -> list[int]:
    """Pixels that the result, cropped by `margin`, does not need at either end.

    One number per level, from the first to the bottleneck.
    """
    cuts = []
    for _ in range(depth + 1):
        cuts.append(max(margin - 2, 0))  # two convolutions
        # Pixel i after upsampling mixes pixels floor((i - 0.5) / 2) and the next one.
        margin = max((cuts[-1] - 1) // 2, 0)
    return cuts


def cropped(x: Tensor, margin: int) -> Tensor:
    """`x` cropped by `margin` pixels at either end of Y and X."""
    return x[..., margin:-margin, margin:-margin] if margin else x


def _dense(gradient: Tensor) -> Tensor:
    """Contiguous `gradient`; a slice of its channels makes backward ten times slower."""
    return gradient.contiguous(memory_format=torch.channels_last)


def halo(pooled: Sequence[bool], *, n2v2: bool = False) -> int:
    """Radius of the receptive field of a U-Net along one axis.

    `pooled` says for each level whether it downsamples the axis. Follows the interval of
    input pixels that one output pixel depends on through every layer, for each position
    relative to the pooling grid; returns pixels on the wider side: 10, 26, 58, 122 for 1,
    2, 3, 4 levels that all pool; 11, 29, 65, 137 with the blur pooling of N2V2; 6, 10, 14,
    18 if none pools.
    """
    reach = 0
    for pixel in range(2 ** sum(pooled)):
        first, last = _depends(pixel, pixel, 0, pooled, n2v2)
        reach = max(reach, pixel - first, last - pixel)
    return reach


def _depends(
    first: int, last: int, level: int, pooled: Sequence[bool], n2v2: bool
) -> tuple[int, int]:
    """Input pixels that pixels ``first..last`` of a level's decoder output depend on."""
    if level == len(pooled):  # the bottleneck
        return _encoded(first - 2, last + 2, pooled, n2v2)
    first, last = first - 2, last + 2  # two convolutions
    below = first, last
    if pooled[level]:
        # Pixel i after upsampling mixes pixels floor((i - 0.5) / 2) and the next one.
        below = (first - 1) // 2, (last - 1) // 2 + 1
    below = _depends(*below, level + 1, pooled, n2v2)
    if n2v2 and level == 0:
        return below
    skip = _encoded(first - 2, last + 2, pooled[:level], n2v2)
    return min(skip[0], below[0]), max(skip[1], below[1])


def _encoded(first: int, last: int, pooled: Sequence[bool], n2v2: bool) -> tuple[int, int]:
    """Input pixels that pixels ``first..last`` of the encoder output depend on."""
    for pools in reversed(pooled):
        if pools and n2v2:  # a blur over three maxima of two pixels each
            first, last = 2 * first - 1, 2 * last + 2
        elif pools:
            first, last = 2 * first, 2 * last + 1
        first, last = first - 2, last + 2  # two convolutions
    return first, last


class _Block(nn.Sequential):
    """Two convolutions, each with batch normalization and ReLU."""

    def __init__(self, inputs: int, middle: int, outputs: int, config: UNetConfig) -> None:
        layers: list[nn.Module] = []
        convolution, groups = _CONV[config.conv_dims], groups_of(config)
        if config.conv_dims == 3 and config.variant == "careamics":
            convolution = nn.Conv3d
        for i, o in ((inputs, middle), (middle, outputs)):
            # A bias before batch normalization has no effect but is kept, so that weights
            # of the usual layout fit.
            layers.append(convolution(i, o, kernel_size=3, padding=1, groups=groups))
            if config.use_batch_norm:
                layers.append(_NORM[config.conv_dims](o))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class _MaxBlurPool(nn.Module):
    """Max blur pooling of N2V2: maxima of neighbors, blurred by (1, 2, 1) / 4, stride 2.

    After Zhang, "Making convolutional networks shift-invariant again", ICML 2019.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        super().__init__()
        self._dims = [dim for dim, step in enumerate(steps, 2) if step == 2]

    def forward(self, x: Tensor) -> Tensor:
        for dim in self._dims:
            x = self._pool(x, dim)
        return x

    def _pool(self, x: Tensor, dim: int) -> Tensor:
        size = x.shape[dim]
        longer = torch.cat([x, x.narrow(dim, size - 1, 1)], dim)
        # Equals torch.maximum of neighbors, whose gradient takes several times longer.
        pair = [2 if axis == dim else 1 for axis in range(2, x.ndim)]
        maxima = _MAX_POOL[x.ndim](longer, pair, stride=1)
        padded = torch.cat([maxima.narrow(dim, 0, 1), maxima], dim)  # from -1 on
        left, centre, right = (_stride_2(padded, dim, start) for start in range(3))
        # The last right-hand neighbor is inside, because sizes are even.
        return (left + 2 * centre + right) / 4


class _JointMaxBlurPool(nn.Module):
    """Max blur pooling of CAREamics: maxima along all axes, then the blur.

    Zeros are beyond the border.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        super().__init__()
        self._steps = tuple(steps)

    def forward(self, x: Tensor) -> Tensor:
        x = _MAX_POOL[x.ndim](x, self._steps, stride=1)
        pads = [step - 1 for step in reversed(self._steps) for _ in range(2)]
        x = functional.pad(x, pads)
        for dim, step in enumerate(self._steps, 2):
            if step == 2:
                left, centre, right = (_stride_2(x, dim, start) for start in range(3))
                x = (left + 2 * centre + right) / 4
        return x


_MAX_POOL: dict[int, Callable[..., Tensor]] = {
    4: functional.max_pool2d,
    5: functional.max_pool3d,
}


def _stride_2(x: Tensor, dim: int, start: int) -> Tensor:
    count = (x.shape[dim] - 1) // 2
    index = [slice(None)] * x.ndim
    index[dim] = slice(start, start + 2 * count, 2)
    return x[tuple(index)]


class _Last2d(nn.Conv2d):
    """A 1x1 convolution in float32."""

    def forward(self, input: Tensor) -> Tensor:
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        if traced or not input.is_cpu:  # a trace would fix the number of pieces
            return super().forward(input.float())
        if (
            self.training and self.groups == 1
        ):  # equal, with gradients in a quarter of the time
            pixels = input.permute(0, 2, 3, 1).float()
            result = functional.linear(pixels, self.weight.flatten(1), self.bias)
            return result.permute(0, 3, 1, 2)
        # Some rows at a time, so that the float32 copies stay in the caches.
        rows = max(1, _CACHED_FLOATS // max(1, input[:, :, :1].numel()))
        pieces: tuple[Tensor, ...] = input.split(rows, 2)  # type: ignore[no-untyped-call]
        parts = [super(_Last2d, self).forward(piece.float()) for piece in pieces]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


_CACHED_FLOATS = 2**19
"""Floats that stay in the caches of a CPU."""


class _Last3d(nn.Conv3d):
    """A 1x1x1 convolution in float32."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.float())


class _Conv3d(nn.Conv3d):
    """A convolution that pads with zeros along Y and X, and repeats planes along Z."""

    def forward(self, input: Tensor) -> Tensor:
        padded = functional.pad(input, (0, 0, 0, 0, 1, 1), mode="replicate")
        return functional.conv3d(padded, self.weight, self.bias, padding=(0, 1, 1))


_CONV: dict[int, type[nn.Conv2d | nn.Conv3d]] = {2: nn.Conv2d, 3: _Conv3d}
_LAST: dict[int, type[nn.Conv2d | nn.Conv3d]] = {2: _Last2d, 3: _Last3d}


class _FewValues(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base
    """Uses the running statistics for a single value per channel, which has no variance.

    The last batch of an epoch may be one patch, and the bottleneck one pixel.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or input.numel() > input.shape[1]:
            return super().forward(input)
        return functional.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class _Norm2d(_FewValues, nn.BatchNorm2d):
    pass


class _Norm3d(_FewValues, nn.BatchNorm3d):
    pass


_NORM: dict[int, type[nn.Module]] = {2: _Norm2d, 3: _Norm3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


class OwnValueUNet(UNet):
    """A U-Net that adds a part of each pixel's own value; `curves` are normalized too."""

    def __init__(self, config: UNetConfig, curves: Sequence[Curve]) -> None:
        super().__init__(config)
        self.curves = curves

    def forward(self, x: Tensor, margin: int = 0) -> Tensor:
        """Denoise a batch; see `UNet.forward`."""
        clean = super().forward(x, margin)
        return with_own_value(clean, cropped(x, margin), self.curves)


def with_own_value(clean: Tensor, noisy: Tensor, curves: Sequence[Curve]) -> Tensor:
    """``clean + w (noisy - clean)``, both ``(B, C, (Z), Y, X)``; see `Curve`.

    Every step is rounded by itself, so bits do not depend on a pixel's place in a tile.
    """
    residual = (noisy - clean).to(clean.dtype)
    for channel, curve in enumerate(curves):
        values, weights, limits = zip(*curve, strict=True)
        place, own = clean[:, channel], residual[:, channel]
        most = _interpolated(place, values, limits)
        own.copy_(own.clamp(-most, most) * _interpolated(place, values, weights))
    return clean + residual


def _interpolated(at: Tensor, x: Sequence[float], y: Sequence[float]) -> Tensor:
    """Linear interpolation of rising `x`, constant beyond its ends."""
    found = torch.full_like(at, y[0])
    for low, high, first, last in zip(x[:-1], x[1:], y[:-1], y[1:], strict=True):
        found += (at - low).clamp(0, high - low) / (high - low) * (last - first)
    return found
