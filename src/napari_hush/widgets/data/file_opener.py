"""Opens files as layers: reads them in the background, adds one layer at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_hush.errors import HushError, SourceTypeError
from napari_hush.io.contents import some_names
from napari_hush.widgets.background import Background
from napari_hush.widgets.data.chosen_files import ChosenFiles, read_files
from napari_hush.widgets.data.file_images import Found, images_at
from napari_hush.widgets.data.open_as_layers import (
    Reading,
    grouped,
    layers_of,
    load_units,
    open_with_napari,
)
from napari_hush.widgets.data.sample_data import simulated_sample

if TYPE_CHECKING:
    import napari.viewer

SAMPLE = "sample"
MOST_LAYERS = 16
"""More images of a folder are not opened as a layer each."""
_log = logging.getLogger(__name__)

_Outcome = Reading | ChosenFiles | HushError


class FileOpener(QObject):
    """Opens files as layers of `viewer`, and says in one sentence what cannot be opened."""

    opened = Signal(str, list)
    """These layers were opened for a role."""
    chosen = Signal(str, object)
    """These `ChosenFiles` were opened for a role."""
    changed = Signal()
    """`message` has changed."""
    refused = Signal(str)
    """Why a file cannot be opened, in one sentence."""

    def __init__(self, viewer: napari.viewer.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._background = Background(self)
        self._opening: list[str] = []
        self._steps: list[Iterator[None]] = []
        self._next = QTimer(self)
        self._next.setInterval(0)
        self._next.timeout.connect(self._on_next)

    def message(self) -> str:
        """Names of files that are being opened, or empty."""
        return f"Opening {self._opening[0]} …" if self._opening else ""

    def open(self, paths: Sequence[Path], role: str, *, on_disk: bool = False) -> None:
        """Open `paths` as layers, or to be read from disk; a signal follows.

        Folders with many images that are no stack are read from disk in any case.
        """
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        many = [paths] if on_disk else [[path] for path in paths]
        self._start(
            f"“{paths[0].name}”{more}",
            lambda: [_read(some, on_disk=on_disk) for some in many],
            role,
        )

    def openSample(self) -> None:
        """Open a ground truth and its noisy image for the role `SAMPLE`."""

        def work() -> list[_Outcome]:
            made = [Image(data, **look) for data, look, _ in simulated_sample()]
            return [Reading(Found(Path("sample")), made)]

        self._start("the sample", work, SAMPLE)

    def _start(self, words: str, work: Callable[[], list[_Outcome]], role: str) -> None:
        self._opening.append(words)
        self.changed.emit()

        def run() -> list[_Outcome]:
            load_units()
            return work()

        self._background.start(run, lambda outcomes: self._on_read(outcomes, role))

    def _on_read(self, outcomes: list[_Outcome], role: str) -> None:
        self._steps.append(self._add(outcomes, role))
        self._next.start()

    def _on_next(self) -> None:
        """Add one layer, since each takes a while; events are handled in between."""
        for _ in self._steps[0]:
            return
        self._steps.pop(0)
        if not self._steps:
            self._next.stop()

    def _add(self, outcomes: list[_Outcome], role: str) -> Iterator[None]:
        layers: list[Any] = []
        files: ChosenFiles | None = None
        problems: list[str] = []
        for one in outcomes:
            if isinstance(one, HushError):
                problems.append(str(one))
            elif isinstance(one, ChosenFiles):
                files = one
                _say_left_out(one.name, one.left_out)
            elif one.found.error is not None:
                try:
                    layers += open_with_napari(self._viewer, one.found)
                except HushError as error:
                    problems.append(str(error))
            else:
                for layer in one.layers:
                    self._viewer.add_layer(layer)
                    layers.append(layer)
                    yield
                _say_left_out(one.found.path.name, one.found.left_out)
        self._opening.pop(0)
        if layers:
            self.opened.emit(role, layers)
        if files is not None:
            self.chosen.emit(role, files)
        self.changed.emit()
        if problems:
            more = len(problems) - 1
            others = f" {more} more cannot be opened either." if more else ""
            self.refused.emit(problems[0] + others)


def _say_left_out(name: str, left_out: Sequence[str]) -> None:
    if left_out:
        show_info(f"Left out of “{name}”: {some_names(left_out)}.")


def _read(paths: Sequence[Path], *, on_disk: bool) -> _Outcome:
    try:
        if on_disk:
            return read_files(paths)
        found = images_at(paths[0])
        if len(grouped(found.images)) > MOST_LAYERS:
            return ChosenFiles.of(found)
        return Reading(found, layers_of(found))
    except HushError as error:
        return error
    except Exception as error:
        name = paths[0].name
        _log.exception("%r cannot be opened", name)
        return SourceTypeError(
            f"{name!r} cannot be opened ({error}); choose another file, or open it with "
            "another napari plugin."
        )
