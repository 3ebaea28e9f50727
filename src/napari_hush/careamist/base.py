"""What all parts of the facade share: a configuration, and a model once there is one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_hush.config import Configuration, load_configuration
from napari_hush.errors import TrainingError
from napari_hush.events import WarningIssued
from napari_hush.interop import open_model
from napari_hush.io import file_type, is_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytorch_lightning as L

    from napari_hush.events import Event, OnProgress
    from napari_hush.models import Model

_log = logging.getLogger(__name__)


class Base:
    """A configuration or a model, where things go, and who is told."""

    def __init__(
        self,
        source: Configuration | str | Path,
        work_dir: str | Path | None = None,
        callbacks: Sequence[L.Callback] | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.model: Model | None = None
        if isinstance(source, Configuration):
            self.config = source
        elif Path(source).suffix.lower() in (".yml", ".yaml"):
            self.config = load_configuration(source)
        else:
            self.model = open_model(source)
            self.config = self.model.config
        self.work_dir = None if work_dir is None else Path(work_dir)
        self.callbacks = tuple(callbacks or ())
        self.on_progress: OnProgress = on_progress or _log_warnings

    @property
    def is_trained(self) -> bool:
        """Whether there is a model to denoise with or to save."""
        return self.model is not None

    @property
    def trained(self) -> Model:
        """The model.

        Raises
        ------
        TrainingError
            If there is none yet.
        """
        if self.model is None:
            raise TrainingError(
                "There is no model yet; train one first, or load a model file."
            )
        return self.model

    def _data_type(self, source: Any) -> str:
        """What `source` is if nobody says."""
        if not is_path(source):
            return "array"
        trained_on = self.config.data_config.data_type
        return trained_on if trained_on == "custom" else file_type(source, trained_on)

    def _level(self, data_type: str) -> int:
        return self.config.data_config.level if data_type == "zarr" else 0


def _log_warnings(event: Event) -> None:
    """Where nobody listens, what speaks against a result is logged all the same."""
    if isinstance(event, WarningIssued):
        _log.warning(event.message)
