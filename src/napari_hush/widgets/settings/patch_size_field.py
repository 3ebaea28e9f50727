"""The field for `patch_size`."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QWidget

from napari_hush.config import DataConfig
from napari_hush.config.data import DEFAULT_PATCH, SMALLEST_SIDE
from napari_hush.widgets.settings.fields import SpinBox
from napari_hush.widgets.theme.widgets import column

LARGEST_PATCH = 4096
"""Pixels along one axis; larger patches fit no memory."""


class PatchSizeField(QWidget):
    """Edits ``patch_size``: ``(Y, X)``, or ``(Z, Y, X)`` when the axes have a Z."""

    valueChanged = Signal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lateral: tuple[int, ...] = ()

        self.setObjectName("patch_size")
        field = DataConfig.model_fields["patch_size"]
        self.setToolTip(f"{field.description}\n(patch_size)")
        self._yx = _box("patch_size_yx", "Patch size along Y and X", " px")
        self._z = _box("patch_size_z", "Patch size along Z", " px in Z")
        self.setLimits((1, 2, 2))
        layout = column(self)
        layout.addWidget(self._yx)
        layout.addWidget(self._z)
        self._yx.valueChanged.connect(lambda side: self._set_lateral((side, side)))
        self._z.valueChanged.connect(self._emit)

        self._z.setValue(DEFAULT_PATCH[0])
        self.setValue(field.default)

    def value(self) -> tuple[int, ...]:
        """``(Y, X)`` or ``(Z, Y, X)`` in pixels."""
        depth = () if self._z.isHidden() else (int(self._z.value()),)
        return (*depth, *self._lateral)

    def setValue(self, size: tuple[int, ...]) -> None:
        """Show `size`, ``(Y, X)`` or ``(Z, Y, X)`` in pixels; Y and X may differ."""
        self.setVolumes(len(size) == 3)
        if len(size) == 3:
            self._z.setValue(size[0])
        self._set_lateral(tuple(size[-2:]))

    def setVolumes(self, volumes: bool) -> None:
        """Show or hide the number for Z."""
        if volumes == self._z.isHidden():
            self._z.setVisible(volumes)
            self._emit()

    def setLimits(
        self, multiple: Sequence[int], available: Sequence[int] | None = None
    ) -> None:
        """Let sizes be multiples of `multiple`, at most `available`, both ((Z), Y, X).

        Only the larger one of Y and X limits the number for both.
        """
        step, largest = (
            multiple[-1],
            LARGEST_PATCH if available is None else max(available[-2:]),
        )
        # With one step, the deepest level would be a single pixel.
        least = 2 * step if 2 * step <= largest else max(step, SMALLEST_SIDE)
        self._yx.setRange(least, max(least, largest // step * step))
        self._yx.setSingleStep(4 * step)
        self._z.setRange(multiple[0], LARGEST_PATCH if available is None else available[0])
        self._z.setSingleStep(multiple[0])

    def _set_lateral(self, lateral: tuple[int, ...]) -> None:
        height, width = lateral
        if lateral == self._lateral:
            return
        self._lateral = lateral
        with QSignalBlocker(self._yx):
            self._yx.setValue(width)
            # One number edits both; different ones, from a file, are shown and kept.
            self._yx.setPrefix("" if height == width else f"{height} × ")
        self._emit()

    def _emit(self) -> None:
        self.valueChanged.emit(self.value())


def _box(name: str, accessible: str, unit: str) -> SpinBox:
    box = SpinBox()
    box.setObjectName(name)
    box.setAccessibleName(accessible)
    box.setSuffix(unit)
    return box
