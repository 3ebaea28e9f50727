"""From what a training tells to the loss plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_hush.events import EpochDone, Event, StepsDone, TrainingStarted
from napari_hush.widgets.tasks import EarlierLosses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_hush.widgets.loss_plot import LossPlot

__all__ = ["feed"]


def feed(plot: LossPlot, events: Iterable[Event]) -> None:
    """Show what `events` tell about losses."""
    for event in events:
        match event:
            case TrainingStarted():
                plot.begin(first_epoch=event.first_epoch)
            case EarlierLosses():
                plot.addSteps(event.first_step, event.losses)
                for step, loss in event.validation:
                    plot.addValidation(step, loss)
            case StepsDone():
                plot.addSteps(event.first_step, event.losses)
            case EpochDone(val_loss=float(loss)):
                plot.addValidation(event.step, loss)
    plot.redraw()
