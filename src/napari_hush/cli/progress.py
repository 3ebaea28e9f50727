"""What a running job tells: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from napari_hush.events import (
    BatchSplit,
    EarlyStopped,
    EpochDone,
    Event,
    FileFailed,
    FileKept,
    FileWritten,
    ImageStarted,
    PixelsClipped,
    Plateau,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingStarted,
    WarningIssued,
)

_LINE_EVERY = 10.0
"""Seconds between two lines of a log."""


class Bars:
    """Tells of a running job on stderr and of results on stdout; for ``on_progress``.

    Parameters
    ----------
    quiet : bool
        Tell nothing.
    json : bool
        Leave stdout to the answer that follows.

    Attributes
    ----------
    training : dict
        How training went, fit for JSON.
    files : list of str
        Results that were written.
    clipped : dict
        By name of an image, how many pixels of its result did not fit into its type.
    cautions : list of dict
        What speaks against a result: what it is ``about``, and a ``message``.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self._quiet = quiet
        self._prints = not (quiet or json)
        self._bar: Any = None
        self._val_loss = ""
        self.training: dict[str, Any] = {}
        self.files: list[str] = []
        self.clipped: dict[str, int] = {}
        self.cautions: list[dict[str, str]] = []

    def __call__(self, event: Event) -> None:
        """Show what `event` tells."""
        match event:
            case TrainingStarted():
                steps = event.num_epochs * event.steps_per_epoch
                self.training = {
                    "device": event.device,
                    "precision": event.precision,
                    "batch_size": event.batch_size,
                    "processes": event.processes,
                }
                what = f"Training on {event.device}"
                if event.processes > 1:
                    what += f", {event.batch_size} patches per step in all"
                self._open(what, steps, "step")
                if event.resumed_step:
                    done = event.resumed_step - event.first_epoch * event.steps_per_epoch
                    self._bar.update(done)
            case StepsDone():
                self._bar.set_postfix_str(
                    f"loss {event.losses[-1]:.3f}{self._val_loss}, "
                    f"{event.patches_per_second:.0f} patches/s",
                    refresh=False,
                )
                self._bar.update(len(event.losses))
            case EpochDone():
                if event.val_loss is not None:
                    self._val_loss = f", validation {event.val_loss:.3f}"
                self.training |= {
                    "epochs": event.epoch + 1,
                    "steps": event.step,
                    "train_loss": event.train_loss,
                    "val_loss": event.val_loss,
                }
            case BatchSplit():
                self._note(f"Memory is short: {event.new} patches at once from now on")
            case WarningIssued():
                self.cautions.append({"about": event.about, "message": event.message})
                self._note(f"Caution: {event.message}")
            case Plateau():
                self._note(f"The loss has not fallen for {event.epochs} epochs")
            case EarlyStopped():
                self._note(f"Ended early: no better for {event.epochs} epochs")
            case ImageStarted():
                self._close()
                self._open(f"Denoising {Path(event.name).name}", event.num_tiles, "tile")
            case TilesDone():
                self._bar.update(event.done - self._bar.n)
                if event.done == event.num_tiles:
                    self._close()
            case PixelsClipped() if event.clipped:
                self._close()
                self.clipped[event.name] = event.clipped
                self._print(
                    f"{event.clipped} of {event.num_pixels} pixels of {event.name} were "
                    f"beyond what {event.dtype} can hold and were clipped"
                )
            case FileWritten():
                self._close()
                self.files.append(str(event.path))
                self._print(f"Wrote {event.path}")
            case FileKept():
                self.files.append(str(event.path))
                self._print(f"Left {event.path}, which was there")
            case FileFailed():
                self._close()
            case TrainingDone():
                self.training |= {"stopped": event.stopped, "seconds": event.seconds}
                self._close()

    def _print(self, text: str) -> None:
        if self._prints:
            print(text)

    def _note(self, text: str) -> None:
        if self._quiet:
            return
        if self._bar is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._bar.write(text, file=sys.stderr)

    def _open(self, what: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        if self._quiet or sys.stderr.isatty():
            self._bar = tqdm(
                desc=what, total=total, unit=unit, disable=self._quiet, dynamic_ncols=True
            )
        else:
            self._bar = _Lines(what, total, unit)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class _Lines:
    """A bar for logs, used as those of tqdm: a line at the start, at the end, and at times.

    Parameters
    ----------
    what : str
        What is done.
    total : int
        How much of it there is.
    unit : str
        What it is counted in.
    """

    def __init__(self, what: str, total: int, unit: str) -> None:
        self.n = 0
        self._what, self._total, self._unit = what, total, unit
        self._more = ""
        self._started = self._told = time.monotonic()
        self._tell()

    def update(self, count: int) -> None:
        """Note that `count` more are done."""
        self.n += count
        now = time.monotonic()
        if now - self._told >= _LINE_EVERY:
            self._told = now
            self._tell()

    def set_postfix_str(self, text: str, *, refresh: bool) -> None:
        """Say `text` in the next line."""
        self._more = f", {text}"

    def write(self, text: str, *, file: Any) -> None:
        """Say `text` in a line of its own."""
        print(text, file=file, flush=True)

    def close(self) -> None:
        """Tell how it ended."""
        self._tell()

    def _tell(self) -> None:
        from tqdm import tqdm

        seconds = time.monotonic() - self._started
        took = f", {tqdm.format_interval(seconds)} so far" if self.n else ""
        left = self._total - self.n
        if self.n and left:
            took += f", {tqdm.format_interval(seconds / self.n * left)} left"
        unit = self._unit if self._total == 1 else f"{self._unit}s"
        print(
            f"{self._what}: {self.n}/{self._total} {unit}{took}{self._more}",
            file=sys.stderr,
            flush=True,
        )
