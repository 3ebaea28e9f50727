"""The menu of models to go back to: moments of the last training, and models before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QMenu

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from napari_hush.lightning import Snapshot
    from napari_hush.widgets.model_at_hand import Earlier, ModelAtHand

__all__ = ["snapshot_menu"]


def snapshot_menu(
    parent: QWidget, hand: ModelAtHand, take: Callable[[Snapshot | Earlier], None]
) -> QMenu:
    """A menu of what one can go back to, the last uppermost; `take` gets what is chosen."""
    menu = QMenu(parent)
    menu.setObjectName("snapshot_menu")
    moments: list[tuple[str, Snapshot | Earlier]] = [
        (f"After {moment.steps:,} steps · loss {moment.loss:.3g}", moment)
        for moment in reversed(hand.snapshots)
    ]
    moments += [
        (f"Before: “{one.name}” · {one.model.steps:,} steps", one) for one in hand.earlier
    ]
    for words, moment in moments:
        action = menu.addAction(words)
        action.triggered.connect(lambda _=False, chosen=moment: take(chosen))
    return menu
