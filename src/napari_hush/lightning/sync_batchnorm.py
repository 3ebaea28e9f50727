"""Batch normalization over a batch that several processes share.

``torch.nn.SyncBatchNorm`` runs on GPUs alone. This one runs on any device, gives the bits
of the plain layers in evaluation, and needs two short messages per layer and step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from pytorch_lightning.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from napari_hush.lightning.process_group import ProcessGroup


class SyncedBatchNorms(LayerSync):
    """Lightning plugin that replaces batch normalizations while a network is trained."""

    def __init__(self, ranks: ProcessGroup) -> None:
        self._ranks = ranks

    def apply(self, model: nn.Module) -> nn.Module:
        """Synchronize every batch normalization of `model`."""
        for layer in model.modules():
            if (synced := _SYNCED.get(type(layer))) is not None:
                layer.__class__ = synced
                cast("_Synced", layer).ranks = self._ranks
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Restore the plain layers."""
        return plain(model)


def plain(network: nn.Module) -> nn.Module:
    """`network`, with the plain batch normalizations of torch."""
    for layer in network.modules():
        if isinstance(layer, _Synced):
            del layer.ranks
            original = next(c for c, synced in _SYNCED.items() if synced is type(layer))
            cast("nn.Module", layer).__class__ = original
    return network


class _Synced(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base
    """The plain layer in evaluation, synchronized in training."""

    ranks: Any
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, var, count = _moments(x.detach(), self.ranks)
        unbiased = var * (count / (count - 1).clamp(min=1))
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        result: Tensor = _Normalize.apply(  # type: ignore[no-untyped-call]
            x, self.weight, self.bias, mean, var, count, self.eps, self.ranks
        )
        return result


class _Synced2d(_Synced, nn.BatchNorm2d):
    pass


class _Synced3d(_Synced, nn.BatchNorm3d):
    pass


_SYNCED: dict[type[nn.Module], type[_Synced]] = {
    nn.BatchNorm2d: _Synced2d,
    nn.BatchNorm3d: _Synced3d,
}


def _moments(x: Tensor, ranks: ProcessGroup) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance ``(C,)`` of ``(B, C, ...)`` over all processes, and the count."""
    count = x.numel() // x.shape[1]
    var = mean = torch.zeros(x.shape[1], device=x.device)
    if count:
        var, mean = torch.var_mean(x.float(), _dims(x), correction=0)
    # In float64, because the squared mean may be far larger than the variance.
    mean, var = mean.double(), var.double()
    counts = torch.full((1,), float(count), dtype=torch.float64, device=x.device)
    message = ranks.total(torch.cat([count * mean, count * (var + mean**2), counts]))
    sums, squares, whole = torch.split(message, [len(mean), len(mean), 1])
    mean = sums / whole
    return mean.float(), (squares / whole - mean**2).clamp(min=0).float(), whole.float()


class _Normalize(torch.autograd.Function):
    """Subtract the mean, divide by the spread, scale and shift.

    The gradient through mean and variance is over all processes (Ioffe and Szegedy, ICML
    2015, arXiv:1502.03167, section 3); those of scale and shift are of this process alone,
    as are those of all other weights at that point.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        count: Tensor,
        eps: float,
        ranks: ProcessGroup,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, var, count)
        ctx.eps, ctx.ranks = eps, ranks
        return functional.batch_norm(x, mean, var, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, count = ctx.saved_tensors
        shape = (1, -1, *[1] * (x.ndim - 2))
        inv_std = (var + ctx.eps).rsqrt()
        grad = gradients[0].float()
        normalized = (x.float() - mean.view(shape)) * inv_std.view(shape)
        grad_bias, grad_weight = grad.sum(_dims(x)), (grad * normalized).sum(_dims(x))
        both = ctx.ranks.total(torch.cat([grad_bias, grad_weight])) / count
        shift, stretch = both.view(2, *shape)
        grad_x = (grad - shift - normalized * stretch) * (weight * inv_std).view(shape)
        return grad_x.to(x.dtype), grad_weight, grad_bias, None, None, None, None, None


def _dims(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]
