"""The docks of a window: shortcuts, and finding those that are open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut

from napari_hush.widgets.data.helper_layers import bare
from napari_hush.widgets.notifications import confirm

if TYPE_CHECKING:
    from qtpy.QtWidgets import QPushButton, QWidget

TITLES = {"denoise_dock": "Denoise", "files_dock": "Denoise files"}
"""In the menu, by objectName."""

SHORTCUTS = {
    "denoise_now": "Alt+N",
    "train": "Alt+T",
    "train_on": "Alt+Shift+T",
    "pause": "Alt+U",
    "stop": "Alt+X",
    "denoise": "Alt+D",
    "cancel": "Alt+Shift+D",
    "save_model": "Alt+M",
    "load_model": "Alt+O",
}
"""By the name of the button, while the focus is in the dock.

napari uses Alt+S and most combinations with Ctrl.
"""


def add_shortcuts(dock: QWidget, buttons: Mapping[str, QPushButton]) -> None:
    """Let shortcuts click `buttons`; disabled ones ignore it."""
    dock.setFocusPolicy(Qt.FocusPolicy.ClickFocus)  # by a click on an empty place, too
    for name, keys in SHORTCUTS.items():
        shortcut = QShortcut(QKeySequence(keys), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(buttons[name].click)


def find_dock(viewer: Any, name: str) -> Any:
    """The dock with this objectName that is open in `viewer`; None if there is none.

    napari finds only docks that were opened in the same way, by its menu or by a script.
    """
    docks = map(bare, viewer.window.dock_widgets.values())
    return next((dock for dock in docks if dock.objectName() == name), None)


def open_dock(viewer: Any, kind: Callable[[Any], QWidget], name: str) -> Any:
    """Show the dock of this kind and objectName, or open it under its name in the menu."""
    dock = find_dock(viewer, name)
    if dock is None:
        dock = kind(bare(viewer))
        viewer.window.add_dock_widget(dock, name=f"{TITLES[name]} (Hush)")
    _raise(dock)
    return dock


class OnlyDock(QObject):
    """Closes `dock` again if one of its kind is open, and shows that one instead.

    The other dock and `dock` become tabs, since a laptop is too low for both.
    """

    def __init__(self, dock: QWidget, viewer: Any) -> None:
        super().__init__(dock)
        self._dock, self._viewer = dock, viewer
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ParentChange and self._dock.parent() is not None:
            QTimer.singleShot(0, self._check)
        return False

    def _check(self) -> None:
        first = find_dock(self._viewer, self._dock.objectName())
        if first not in (None, self._dock) and self._dock.parent() is not None:
            self._viewer.window.remove_dock_widget(self._dock)
            _raise(first)
        else:
            self._make_tabs()

    def _make_tabs(self) -> None:
        (other,) = (
            find_dock(self._viewer, name)
            for name in TITLES
            if name != self._dock.objectName()
        )
        frame: Any = self._dock.parentWidget()
        if frame is None or other is None or not other.isVisible():
            return
        beside, window = other.parentWidget(), frame.parentWidget()
        docked = not (frame.isFloating() or beside.isFloating())
        if docked and window.dockWidgetArea(frame) == window.dockWidgetArea(beside):
            window.tabifyDockWidget(beside, frame)
            _raise(self._dock)


class AskBeforeClosing(QObject):
    """Asks a person who closes `dock`, or the window, while there is a `reason` to stay.

    A script that closes the window is not asked. By its cross, napari asks itself unless
    the dock `is_idle`, but never by Ctrl+Q.
    """

    def __init__(
        self, dock: QWidget, reason: Callable[[], str], is_idle: Callable[[], bool]
    ) -> None:
        super().__init__(dock)
        self._dock, self._reason, self._is_idle = dock, reason, is_idle
        self._frame: Any = None

    def watch(self) -> None:
        """Ask in the frame that the dock has now."""
        frame: Any = self._dock.parentWidget()
        close = getattr(frame, "destroyOnClose", None)
        if close is None or frame is self._frame:
            return

        def ask() -> None:
            if self._may_close():
                close()

        # The cross calls a method of the frame, without an event that could be refused.
        frame.destroyOnClose = ask
        self._frame = frame
        frame.parentWidget().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() != QEvent.Type.Close or self._dock.parent() is None:
            return False
        quits = getattr(watched, "_quit_app", False)
        asks = quits or (event.spontaneous() and self._is_idle())
        if not asks or self._may_close():
            return False
        watched._quit_app = False  # noqa: SLF001
        event.ignore()
        return True

    def _may_close(self) -> bool:
        while sentence := self._reason():
            if not confirm(self._dock, "Close anyway", sentence):
                return False
            if self._reason() == sentence:  # training may have ended meanwhile
                return True
        return True


def _raise(dock: QWidget) -> None:
    if (frame := dock.parentWidget()) is not None:
        frame.show()
        frame.raise_()
