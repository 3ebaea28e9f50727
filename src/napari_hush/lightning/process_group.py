"""The processes that train one model together, and the messages between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from napari_hush.errors import DataError, HushError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor, nn

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
