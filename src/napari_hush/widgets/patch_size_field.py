"""The size of the training patches: one number for Y and X, one more for volumes."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_hush.config import DataConfig
from napari_hush.widgets.spin_box import SpinBox

__all__ = ["PatchSizeField"]

LARGEST = 4096
"""Pixels along one side; more fits no memory."""
DEFAULT_Z = 16
"""Planes of a patch when the axes gain a Z; few volumes are deeper than a few dozen."""


class PatchSizeField(QWidget):
    """Edits ``patch_size``: ``(Y, X)``, or ``(Z, Y, X)`` when the axes have a Z."""

    valueChanged = Signal(tuple)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lateral: tuple[int, ...] = ()

        # ---- widgets
        self.setObjectName("patch_size")
        field = DataConfig.model_fields["patch_size"]
        self.setToolTip(f"{field.description}\n(patch_size)")
        self._z = SpinBox()
        self._z.setObjectName("patch_size_z")
        self._z.setAccessibleName("Patch size along Z")
        self._z.setSuffix(" px in Z")
        self._yx = SpinBox()
        self._yx.setObjectName("patch_size_yx")
        self._yx.setAccessibleName("Patch size along Y and X")
        self._yx.setSuffix(" px")
        self.setStep(2)

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._yx)
        layout.addWidget(self._z)

        # ---- connections
        self._yx.valueChanged.connect(self._on_lateral_edited)
        self._z.valueChanged.connect(self._emit)

        self._z.setValue(DEFAULT_Z)
        self.setValue(field.default)

    # ---- Public API

    def value(self) -> tuple[int, ...]:
        """Sizes in pixels, ``(Y, X)`` or ``(Z, Y, X)``."""
        depth = () if self._z.isHidden() else (int(self._z.value()),)
        return (*depth, *self._lateral)

    def setValue(self, size: tuple[int, ...]) -> None:
        """Show `size`, ``(Y, X)`` or ``(Z, Y, X)`` in pixels, equal sides or not."""
        self.setVolumes(len(size) == 3)
        if len(size) == 3:
            self._z.setValue(size[0])
        self._set_lateral(tuple(size[-2:]))

    def setVolumes(self, volumes: bool) -> None:
        """Show or hide the number for Z."""
        if volumes == self._z.isHidden():
            self._z.setVisible(volumes)
            self._emit()

    def setStep(self, step: int) -> None:
        """Let sizes be multiples of `step`, what the network halves evenly."""
        for box in (self._z, self._yx):
            box.setRange(2 * step, LARGEST)  # below, the deepest level is a single pixel
            box.setSingleStep(4 * step)
        self._z.setSingleStep(step)

    # ---- Private API

    def _on_lateral_edited(self, side: int) -> None:
        self._set_lateral((side, side))

    def _set_lateral(self, lateral: tuple[int, ...]) -> None:
        height, width = lateral
        if lateral == self._lateral:
            return
        self._lateral = lateral
        self._yx.blockSignals(True)
        self._yx.setValue(width)
        # One number edits both sides; unequal ones, from a file, are shown and kept.
        self._yx.setPrefix("" if height == width else f"{height} × ")
        self._yx.blockSignals(False)
        self._emit()

    def _emit(self) -> None:
        self.valueChanged.emit(self.value())
