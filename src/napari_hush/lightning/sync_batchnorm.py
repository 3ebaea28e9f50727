"""Batch normalisation over the whole batch, where several processes have a part each.

torch's own ``SyncBatchNorm`` runs on GPUs alone; this one runs anywhere, gives the bits of
the plain one in evaluation, and needs two short messages per layer and step.
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
    """Lightning's way to exchange the normalisations of a network while it is trained.

    Parameters
    ----------
    ranks : Ranks
        Among whom batches are shared.
    """

    def __init__(self, ranks: ProcessGroup) -> None:
        self._ranks = ranks

    def apply(self, model: nn.Module) -> nn.Module:
        """Let every batch normalisation of `model` measure the whole batch."""
        for layer in model.modules():
            if (shared := _SHARED.get(type(layer))) is not None:
                layer.__class__ = shared
                cast("_Shared", layer).ranks = self._ranks
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Make them what they were."""
        return plain(model)


def plain(network: nn.Module) -> nn.Module:
    """`network`, whose normalisations are torch's own again."""
    for layer in network.modules():
        if isinstance(layer, _Shared):
            del layer.ranks
            own = next(own for own, it in _SHARED.items() if it is type(layer))
            cast("nn.Module", layer).__class__ = own
    return network


class _Shared(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base
    """What the plain layers do in evaluation, and more in training."""

    ranks: Any

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        mean, var, count = _moments(x.detach(), self.ranks)
        kept, spread = cast("Tensor", self.running_mean), cast("Tensor", self.running_var)
        share = cast("float", self.momentum)
        with torch.no_grad():
            cast("Tensor", self.num_batches_tracked).add_(1)
            kept.lerp_(mean, share)
            spread.lerp_(var * (count / (count - 1).clamp(min=1)), share)
        return cast(
            "Tensor",
            _Normalize.apply(  # type: ignore[no-untyped-call]
                x, self.weight, self.bias, mean, var, count, self.eps, self.ranks
            ),
        )


class _Shared2d(_Shared, nn.BatchNorm2d):
    pass


class _Shared3d(_Shared, nn.BatchNorm3d):
    pass


_SHARED: dict[type[nn.Module], type[_Shared]] = {
    nn.BatchNorm2d: _Shared2d,
    nn.BatchNorm3d: _Shared3d,
}


def _moments(x: Tensor, ranks: ProcessGroup) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance ``(C,)`` of ``(B, C, ...)`` over all processes, and the count."""
    count = x.numel() // x.shape[1]
    var = mean = torch.zeros(x.shape[1], device=x.device)
    if count:
        var, mean = torch.var_mean(x.float(), _dims(x), correction=0)
    # In 64 bits, because the square of the mean may be far larger than the variance.
    mean, var = mean.double(), var.double()
    counts = torch.full((1,), float(count), dtype=torch.float64, device=x.device)
    message = ranks.total(torch.cat([count * mean, count * (var + mean**2), counts]))
    sums, squares, whole = torch.split(message, [len(mean), len(mean), 1])
    mean = sums / whole
    return mean.float(), (squares / whole - mean**2).clamp(min=0).float(), whole.float()


class _Normalize(torch.autograd.Function):
    """Subtract the mean, divide by the spread, scale and shift.

    The gradient through mean and variance takes in all processes (Ioffe and Szegedy, ICML
    2015, arXiv:1502.03167, section 3); those of scale and shift are of this one alone, as
    are those of all other weights at that point.
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
        slope = (var + ctx.eps).rsqrt()
        ahead = gradients[0].float()
        normal = (x.float() - mean.view(shape)) * slope.view(shape)
        of_bias, of_weight = ahead.sum(_dims(x)), (ahead * normal).sum(_dims(x))
        both = ctx.ranks.total(torch.cat([of_bias, of_weight])) / count
        shift, stretch = both.view(2, *shape)
        of_x = (ahead - shift - normal * stretch) * (weight * slope).view(shape)
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None, None, None


def _dims(x: Tensor) -> list[int]:
    return [0, *range(2, x.ndim)]
