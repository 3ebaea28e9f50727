"""Progress of a job: bars on a terminal or in a notebook, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_hush import events
from napari_hush.errors import counted

_LINE_EVERY = 10.0
"""Seconds between two lines of a log."""


_PAIRS = 3
"""Pairs of files that are shown."""


def can_show_bars() -> bool:
    """Whether stderr is a terminal, or this is a notebook."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return "IPKernelApp" in getattr(shell, "config", ()) or (
        sys.stderr is not None and sys.stderr.isatty()
    )


class Bars:
    """Shows progress on stderr and results on stdout; for ``on_progress``.

    With `quiet` it shows nothing, with `json` no results, which the command then prints.
    """

    def __init__(self, *, quiet: bool = False, json: bool = False) -> None:
        self._quiet = quiet
        self._prints = not (quiet or json)
        self._bar: Any = None
        self._val_loss = ""
        self.training: dict[str, Any] = {}
        """Facts about the training run, serializable as JSON."""
        self.files: list[str] = []
        self.clipped: dict[str, int] = {}
        """Number of clipped pixels by path of the image."""
        self.warnings: list[dict[str, str]] = []
        """Each with its topic (``about``) and a ``message``."""

    @property
    def warnings_answer(self) -> dict[str, Any]:
        """The warnings for ``--json``, under their former key as well (until 0.3)."""
        return {"warnings": self.warnings, "cautions": self.warnings}

    def __call__(self, event: events.Event) -> None:
        """Show `event`."""
        self._show_training(event)
        self._show_denoising(event)
        if isinstance(event, events.WarningIssued):
            self.warnings.append({"about": event.about, "message": event.message})
            self._note(f"Warning: {event.message}")

    def _show_training(self, event: events.Event) -> None:
        match event:
            case events.TrainingStarted():
                self._start_training(event)
            case events.StepsDone():
                self._bar.set_postfix_str(
                    f"loss {event.losses[-1]:.3f}{self._val_loss}, "
                    f"{event.patches_per_second:.0f} patches/s",
                    refresh=False,
                )
                self._bar.update(len(event.losses))
            case events.EpochDone():
                if event.val_loss is not None:
                    self._val_loss = f", validation {event.val_loss:.3f}"
                self.training |= {
                    "epochs": event.epoch + 1,
                    "steps": event.step,
                    "train_loss": event.train_loss,
                    "val_loss": event.val_loss,
                    **event.val_metrics,
                }
            case events.BatchSplit():
                self._note(
                    "Memory is short: batches are processed "
                    f"{counted(event.new, 'patch')} at a time"
                )
            case events.Plateau():
                epochs = counted(event.epochs, "epoch")
                self._note(
                    f"The loss has not decreased for {epochs}; Ctrl-C stops and "
                    "keeps the model"
                )
            case events.EarlyStopped():
                epochs = counted(event.epochs, "epoch")
                self._note(f"Stopped early: no improvement for {epochs}")
            case events.BestRestored():
                text = f"Kept the model of epoch {event.epoch + 1}, which has the lowest "
                self._note(f"{text}validation loss, {event.val_loss:.4g}")
            case events.TrainingDone():
                self.training |= {"stopped": event.stopped, "seconds": event.seconds}
                self._close()

    def _start_training(self, event: events.TrainingStarted) -> None:
        self.training = {
            "device": event.device,
            "precision": event.precision,
            "batch_size": event.batch_size,
            "processes": event.processes,
        }
        if event.pairs:
            self._note(_described(event.pairs))
        title = f"Training on {event.device}"
        if event.processes > 1:
            title += f", total batch size {event.batch_size}"
        done = 0
        if event.resumed_step:
            done = event.resumed_step - event.first_epoch * event.steps_per_epoch
        self._open(title, event.num_epochs * event.steps_per_epoch, "step", done)

    def _show_denoising(self, event: events.Event) -> None:
        match event:
            case events.ImageStarted():
                self._close()
                self._open(f"Denoising {event.name}", event.num_tiles, "tile", event.done)
            case events.TilesDone():
                self._bar.update(event.done - self._bar.n)
                if event.done == event.num_tiles:
                    self._close()
            case events.PixelsClipped() if event.clipped:
                self._close()
                self.clipped[str(event.path or event.name)] = event.clipped
                self._print(
                    f"{event.clipped} of {event.num_pixels} pixels of {event.name} were "
                    f"outside the range of {event.dtype} and were clipped"
                )
            case events.FileWritten():
                self._close()
                self.files.append(str(event.path))
                self._print(f"Wrote {event.path}")
            case events.FileKept():
                self.files.append(str(event.path))
                self._print(f"Kept {event.path}, which already exists")
            case events.FileFailed():
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

    def _open(self, title: str, total: int, unit: str, done: int = 0) -> None:
        from tqdm.auto import tqdm

        self._close()  # of a job that failed
        if self._quiet or can_show_bars():
            self._bar = tqdm(
                desc=title,
                total=total,
                initial=done,
                unit=unit,
                disable=self._quiet,
                dynamic_ncols=True,
            )
        else:
            self._bar = _Lines(title, total, unit, done)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _described(pairs: Sequence[tuple[Path, Path]]) -> str:
    """The first pairs: "12 pairs: a_low.tif -> a_high.tif, ..."."""
    shown = [f"{image.name} -> {target.name}" for image, target in pairs[:_PAIRS]]
    more = [f"and {len(pairs) - _PAIRS} more"] if len(pairs) > _PAIRS else []
    word = "pair" if len(pairs) == 1 else "pairs"
    return f"{len(pairs)} {word}: {', '.join(shown + more)}"


class _Lines:
    """Replaces a tqdm bar in logs: a line at the start, at the end, and in between."""

    def __init__(self, title: str, total: int, unit: str, done: int) -> None:
        self.n = self._done_before = done
        self._title, self._total, self._unit = title, total, unit
        self._postfix = ""
        self._started = self._printed = time.monotonic()
        self._print()

    def update(self, count: int) -> None:
        self.n += count
        now = time.monotonic()
        if now - self._printed >= _LINE_EVERY:
            self._printed = now
            self._print()

    def set_postfix_str(self, text: str, *, refresh: bool) -> None:
        self._postfix = f", {text}"

    def write(self, text: str, *, file: Any) -> None:
        print(text, file=file, flush=True)

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        from tqdm import tqdm

        seconds = time.monotonic() - self._started
        done, left = self.n - self._done_before, self._total - self.n
        took = f", {tqdm.format_interval(seconds)} elapsed" if done else ""
        if done and left:
            took += f", {tqdm.format_interval(seconds / done * left)} left"
        unit = self._unit if self._total == 1 else f"{self._unit}s"
        print(
            f"{self._title}: {self.n}/{self._total} {unit}{took}{self._postfix}",
            file=sys.stderr,
            flush=True,
        )
