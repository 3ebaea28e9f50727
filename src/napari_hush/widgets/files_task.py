"""Denoising of files as a job: what the worker thread does. No Qt here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from napari_hush.events import OnProgress
    from napari_hush.widgets.tasks import StopRequest

__all__ = ["DenoisingFiles"]


@dataclass(frozen=True)
class DenoisingFiles:
    """Denoise all images in a folder into another one; returns the results written."""

    model: Path
    source: Path
    """A folder, or one file."""
    output: Path
    axes: str
    """Axes of the files; empty for those that the model was trained on."""
    overwrite: bool = False
    resume: bool = False
    """Leave the results that are there."""

    def __call__(self, report: OnProgress, stop: StopRequest) -> list[Path]:
        from napari_hush.careamist import CAREamist

        engine = CAREamist(source=self.model, on_progress=report)
        return engine.predict_to_disk(
            self.source,
            prediction_dir=self.output.absolute(),
            overwrite=self.overwrite,
            resume=self.resume,
            axes=self.axes or None,
            should_stop=stop.is_set,
        )

    def __str__(self) -> str:
        return f"denoising of the files in “{self.source.name}”"
