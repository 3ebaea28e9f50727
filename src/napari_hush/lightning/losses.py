"""Losses of all runs of one model, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

from napari_hush.events import EpochDone, Event, StepsDone


@dataclass
class Losses:
    """Losses by step and by epoch, both counted over all runs from 0.

    Attributes
    ----------
    train_step, train_step_loss : list
        One entry per optimizer step.
    train_epoch, train_loss : list
        One entry per epoch.
    val_epoch, val_loss : list
        One entry per epoch that was validated.
    """

    train_step: list[int] = field(default_factory=list)
    train_step_loss: list[float] = field(default_factory=list)
    train_epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_epoch: list[int] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)

    def record(self, event: Event) -> None:
        """Take in what `event` tells about losses."""
        if isinstance(event, StepsDone):
            steps = range(event.first_step, event.first_step + len(event.losses))
            self.train_step.extend(steps)
            self.train_step_loss.extend(event.losses)
        elif isinstance(event, EpochDone):
            self.train_epoch.append(event.epoch)
            self.train_loss.append(event.train_loss)
            if event.val_loss is not None:
                self.val_epoch.append(event.epoch)
                self.val_loss.append(event.val_loss)

    def cut(self, epoch: int, step: int) -> None:
        """Leave only the epochs before `epoch` and the steps before `step`."""
        for numbers, values, end in (
            (self.train_step, self.train_step_loss, step),
            (self.train_epoch, self.train_loss, epoch),
            (self.val_epoch, self.val_loss, epoch),
        ):
            count = sum(number < end for number in numbers)
            del numbers[count:], values[count:]

    def take_over(self, others: Losses) -> None:
        """Hold what `others` hold."""
        for name, values in others.as_dict().items():
            getattr(self, name)[:] = values

    def as_dict(self) -> dict[str, list[float]]:
        """A copy as plain lists, by name."""
        return {name: list(values) for name, values in vars(self).items()}
