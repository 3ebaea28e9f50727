"""The menu of models from earlier in training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qtpy.QtWidgets import QWidget

    from napari_hush.lightning import Snapshot

__all__ = ["snapshot_menu"]


def snapshot_menu(
    parent: QWidget, snapshots: Sequence[Snapshot], take: Callable[[Snapshot], None]
) -> QMenu:
    """A menu of `snapshots`, the last one uppermost; `take` gets the one that is chosen."""
    menu = QMenu(parent)
    menu.setObjectName("snapshot_menu")
    for snapshot in reversed(snapshots):
        words = f"After {snapshot.steps} steps · loss {snapshot.loss:.3g}"
        action = menu.addAction(words)
        action.triggered.connect(lambda _=False, chosen=snapshot: take(chosen))
    return menu
