"""Opens files as layers: reads them in the background, adds one layer at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_hush.errors import HushError, SourceTypeError
from napari_hush.io.contents import some_names
from napari_hush.widgets.background import Background
from napari_hush.widgets.data.open_as_layers import (
    Reading,
    open_with_napari,
    read_layers,
)
from napari_hush.widgets.notifications import notify

if TYPE_CHECKING:
    import napari.viewer

_log = logging.getLogger(__name__)


class FileOpener(QObject):
    """Opens files as layers of `viewer`, and says in one sentence what cannot be opened."""

    opened = Signal(str, list)
    """These layers were opened for a role."""
    changed = Signal()
    """`message` has changed."""

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
        """What is being opened, or empty."""
        return f"Opening {self._opening[0]} …" if self._opening else ""

    def open(self, paths: Sequence[Path], role: str) -> None:
        """Open `paths` for `role`; `opened` follows if any of them can be opened."""
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        self._opening.append(f"“{paths[0].name}”{more}")
        self.changed.emit()
        self._background.start(
            lambda: [_read(path) for path in paths],
            lambda found: self._on_read(found, role),
        )

    def _on_read(self, found: list[Reading | HushError], role: str) -> None:
        self._steps.append(self._add(found, role))
        self._next.start()

    def _on_next(self) -> None:
        """Add one layer, since each takes a while; events are handled in between."""
        for _ in self._steps[0]:
            return
        self._steps.pop(0)
        if not self._steps:
            self._next.stop()

    def _add(self, found: list[Reading | HushError], role: str) -> Iterator[None]:
        layers: list[Any] = []
        problems: list[str] = []
        for one in found:
            if isinstance(one, HushError):
                problems.append(str(one))
                continue
            for layer in one.layers:
                self._viewer.add_layer(layer)
                layers.append(layer)
                yield
            if one.error is not None:
                try:
                    layers += open_with_napari(self._viewer, one)
                except HushError as error:
                    problems.append(str(error))
            if one.left_out:
                show_info(f"Left out of “{one.path.name}”: {some_names(one.left_out)}.")
        self._opening.pop(0)
        if problems:
            more = len(problems) - 1
            others = f" {more} more cannot be opened either." if more else ""
            notify(problems[0] + others)
        if layers:
            self.opened.emit(role, layers)
        self.changed.emit()


def _read(path: Path) -> Reading | HushError:
    try:
        return read_layers(path)
    except HushError as error:
        return error
    except Exception as error:
        _log.exception("%r cannot be opened", str(path))
        return SourceTypeError(
            f"{path.name!r} cannot be opened ({error}); choose another file, or open it "
            "with another plugin of napari."
        )
