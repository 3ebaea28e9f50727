"""The processes that train one model together, and the messages between them.

``torch.nn.SyncBatchNorm`` runs on GPUs alone. `SyncedBatchNorms` runs on any device, gives
the bits of the plain layers in evaluation, and needs two short messages per layer and step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from pytorch_lightning.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn import functional

from napari_hush.errors import DataError, HushError, TrainingError

_Value = TypeVar("_Value")


class ProcessGroup:
    """The processes of a run, as seen from one of them; by default only this one.

    All processes have to call every method, in the same order. After `timeout` seconds
    without an answer a process counts as lost; here it is only for the message.
    """

    def __init__(self, rank: int = 0, count: int = 1, timeout: float = 0.0) -> None:
        self.rank = rank
        self.count = count
        self.is_alone = count == 1
        self.is_first = rank == 0
        """Whether this is the process that writes files and reports."""
        self._timeout = timeout

    def from_first(self, work: Callable[[], _Value]) -> _Value:
        """Call `work` in the first process alone; return its result in all of them.

        A HushError there is raised in all processes.
        """
        if self.is_alone:
            return work()
        answer: list[Any] = [None, None]
        error: HushError | None = None
        if self.is_first:
            try:
                answer[0] = work()
            except HushError as raised:
                error, answer[1] = raised, str(raised)
        with self.connected():
            dist.broadcast_object_list(answer)
        if error is not None:
            raise error
        if answer[1] is not None:
            raise TrainingError(f"The first process failed: {answer[1]}")
        value: _Value = answer[0]
        return value

    def agree(self, what: str, value: Any) -> None:
        """Raise DataError in all processes unless they have the same `value`."""
        if self.is_alone:
            return
        values: list[Any] = [None] * self.count
        with self.connected():
            dist.all_gather_object(values, value)
        for number, other in enumerate(values):
            if other != values[0]:
                raise DataError(
                    f"Process {number} has other {what} than the first one ({other} and "
                    f"{values[0]}); give all machines the same files."
                )

    def total(self, tensor: Tensor) -> Tensor:
        """Sum `tensor` over all processes, in place; the same bits in all of them."""
        if not self.is_alone:
            with self.connected():
                dist.all_reduce(tensor)
        return tensor

    def sum_gradients(
        self, network: nn.Module, loss: Tensor, flag: bool
    ) -> tuple[Tensor, Tensor]:
        """Sum gradients, losses and flags over the parts of a batch, in one message.

        Gradients are replaced by their sums; the sums of `loss` and `flag` are returned as
        scalars.
        """
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        last = torch.stack([loss.float(), torch.full_like(loss, float(flag)).float()])
        message = self.total(torch.cat([*(g.reshape(-1) for g in gradients), last]))
        sizes = [*(g.numel() for g in gradients), 1, 1]
        *sums, loss, flags = torch.split(message, sizes)
        for gradient, total in zip(gradients, sums, strict=True):
            gradient.copy_(total.view(gradient.shape))
        return loss[0], flags[0]

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Raise TrainingError in place of torch's errors if another process is lost."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise TrainingError(
                f"Process {self.rank} of {self.count} lost the others: one of them ended, "
                f"or did not answer for {self._timeout:g} s; see its output, then resume "
                "from the last checkpoint (hush resume)."
            ) from error


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether torch raised `error` because another process is lost."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text


class SyncedBatchNorms(LayerSync):
    """Lightning plugin that replaces batch normalizations while a network is trained."""

    def __init__(self, ranks: ProcessGroup) -> None:
        self._ranks = ranks

    def apply(self, model: nn.Module) -> nn.Module:
        """Synchronize every batch normalization of `model`."""
        for layer in model.modules():
            for plain_norm, synced in _SYNCED.items():
                if isinstance(layer, plain_norm) and not isinstance(layer, _Synced):
                    former, layer.__class__ = type(layer), synced
                    cast("_Synced", layer).former = former
                    cast("_Synced", layer).ranks = self._ranks
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Restore the plain layers."""
        return plain(model)


def plain(network: nn.Module) -> nn.Module:
    """`network`, with the plain batch normalizations of torch."""
    for layer in network.modules():
        if isinstance(layer, _Synced):
            former = layer.former
            del layer.ranks, layer.former
            cast("nn.Module", layer).__class__ = former
    return network


class _Synced(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the common base
    """The plain layer in evaluation, synchronized in training."""

    ranks: Any
    former: type[nn.Module]
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
