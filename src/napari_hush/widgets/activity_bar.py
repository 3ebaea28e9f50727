"""A run's bar in napari's activity dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils import progress

if TYPE_CHECKING:
    from napari_hush.widgets.run_state import RunState

__all__ = ["ActivityBar"]


class ActivityBar:
    """Shows a `RunState` in napari's activity dock while it is busy."""

    def __init__(self) -> None:
        self._bar: progress | None = None
        self._total = 0

    def show(self, state: RunState) -> None:
        """Show where `state` is; the bar goes when the run ends."""
        if not state.busy:
            self.close()
            return
        total = state.total
        if self._bar is None or total != self._total:
            self.close()
            words = f"{state.activity.value.capitalize()}: {state.subject}"
            self._bar = progress(total=total, desc=words)
            self._total = total
        if state.done > self._bar.n:
            self._bar.update(state.done - self._bar.n)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
