"""The processes that train one model together, and what they tell each other."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from napari_hush.errors import DataError, HushError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

_Value = TypeVar("_Value")


class ProcessGroup:
    """All processes of a run, seen from one of them; a process alone is one of one.

    Every method has to be called by all of them, in the same order.

    Parameters
    ----------
    rank, count : int
        Number of this process, and of how many.
    timeout : float
        Seconds after which a process that does not answer counts as lost; only told.
    """

    def __init__(self, rank: int = 0, count: int = 1, timeout: float = 0.0) -> None:
        self.rank = rank
        self.count = count
        self._timeout = timeout

    @property
    def is_alone(self) -> bool:
        """Whether there is only this process."""
        return self.count == 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def from_first(self, work: Callable[[], _Value]) -> _Value:
        """What `work` returns in the first process, which alone calls it.

        Raises
        ------
        HushError
            If it fails there: in all processes.
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
        with self.answering():
            dist.broadcast_object_list(answer)
        if error is not None:
            raise error
        if answer[1] is not None:
            raise TrainingError(f"The first process refused: {answer[1]}")
        value: _Value = answer[0]
        return value

    def agree(self, what: str, value: Any) -> None:
        """Make sure that all processes have the same `value`.

        Raises
        ------
        DataError
            If one has another: in all processes.
        """
        if self.is_alone:
            return
        values: list[Any] = [None] * self.count
        with self.answering():
            dist.all_gather_object(values, value)
        for number, other in enumerate(values):
            if other != values[0]:
                raise DataError(
                    f"Process {number} has other {what} than the first one ({other} and "
                    f"{values[0]}); let all machines see the same files."
                )

    def total(self, tensor: Tensor) -> Tensor:
        """Add up `tensor` over all processes, in place; the same bits everywhere."""
        if not self.is_alone:
            with self.answering():
                dist.all_reduce(tensor)
        return tensor

    def add_up(self, network: nn.Module, loss: Tensor, flag: bool) -> tuple[Tensor, Tensor]:
        """Add up gradients and losses of the parts of a batch, in one message.

        Parameters
        ----------
        network : Module
            Its gradients are replaced by their sums.
        loss : Tensor
            A scalar.
        flag : bool
            Any wish.

        Returns
        -------
        loss : Tensor
            The sum.
        flags : Tensor
            A scalar: how many processes have that wish.
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
    def answering(self) -> Iterator[None]:
        """Say in a sentence that another process is gone.

        Raises
        ------
        TrainingError
            In place of what torch raises.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise TrainingError(
                f"Process {self.rank} of {self.count} lost the others: one of them ended, "
                f"or did not answer for {self._timeout:g} s; see what it said, then go on "
                "from the last state that was kept (hush resume)."
            ) from error


def is_lost_connection(error: RuntimeError) -> bool:
    """Whether `error` is what torch raises if another process is gone."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "NCCL" in text
