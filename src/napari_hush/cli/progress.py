"""What a running job tells on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_hush.events import (
    EpochDone,
    Event,
    FileWritten,
    ImageStarted,
    PixelsClipped,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingStarted,
)


class Bars:
    """Tells of a running job with bars and lines; a callable for ``on_progress``.

    Parameters
    ----------
    quiet : bool
        Tell nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._val_loss = ""

    def __call__(self, event: Event) -> None:
        """Show what `event` tells."""
        match event:
            case TrainingStarted():
                steps = event.num_epochs * event.steps_per_epoch
                self._open(f"Training on {event.device}", steps, "step")
            case StepsDone():
                self._bar.set_postfix_str(
                    f"loss {event.losses[-1]:.3f}{self._val_loss}, "
                    f"{event.patches_per_second:.0f} patches/s",
                    refresh=False,
                )
                self._bar.update(len(event.losses))
            case EpochDone(val_loss=float()):
                self._val_loss = f", validation {event.val_loss:.3f}"
            case ImageStarted():
                self._close()
                self._open(f"Denoising {Path(event.name).name}", event.num_tiles, "tile")
            case TilesDone():
                self._bar.update(event.done - self._bar.n)
                if event.done == event.num_tiles:
                    self._close()
            case PixelsClipped() if event.clipped and not self._quiet:
                self._close()
                print(
                    f"{event.clipped} of {event.num_pixels} pixels of {event.name} were "
                    f"beyond what {event.dtype} can hold and were clipped"
                )
            case FileWritten():
                self._close()
                if not self._quiet:
                    print(f"Wrote {event.path}")
            case TrainingDone():
                self._close()

    def _open(self, what: str, total: int, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=what, total=total, unit=unit, disable=self._quiet, dynamic_ncols=True
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
