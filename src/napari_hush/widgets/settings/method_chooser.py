"""The row of methods, one sentence on the chosen one, and what only structN2V asks."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_hush.config import N2VManipulateConfig
from napari_hush.config.methods import (
    METHODS,
    STRUCT_AXES,
    Method,
    Tree,
    method_of,
    with_method,
)
from napari_hush.widgets.settings.fields import ChoiceField, CountField
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons

__all__ = ["MethodChooser"]

_METHODS = list(METHODS.values())


class MethodChooser(QWidget):
    """Chooses a `Method` and, for structN2V, how the noise lies."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = "gray"

        # ---- widgets
        tips = {
            method.label: f"{method.sentence}\n({method.name}, {method.paper.short})"
            for method in _METHODS
        }
        self._segments = SegmentedButtons("method", tips)
        self._sentence = QLabel()
        self._sentence.setObjectName("method_sentence")
        self._sentence.setWordWrap(True)
        self._sentence.setProperty("role", "quiet")
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._sentence.setOpenExternalLinks(True)
        # Room for two lines, so that no other sentence moves what is below.
        self._sentence.setMinimumHeight(2 * self._sentence.fontMetrics().lineSpacing() + 8)
        self._struct = self._struct_row()

        # ---- layout
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.addWidget(self._segments)
        layout.addWidget(self._sentence)
        layout.addWidget(self._struct)

        # ---- connections
        self._segments.chosen.connect(self._on_edited)
        self._direction.valueChanged.connect(self._on_edited)
        self._span.valueChanged.connect(self._on_edited)

        self._segments.setValue(0)
        self._show()

    # ---- Public API

    def setLinkColour(self, colour: str) -> None:
        """Show links in `colour`, ``#rrggbb``."""
        self._link = colour
        self._show()

    def method(self) -> Method:
        """The chosen method."""
        return _METHODS[self._segments.value() or 0]

    def applied(self, tree: Tree) -> Tree:
        """`tree`, changed to the chosen method."""
        return with_method(
            tree, self.method(), str(self._direction.value()), self._span.count() or 0
        )

    def setTree(self, tree: Tree) -> None:
        """Show the method of `tree`."""
        masks = tree["algorithm_config"]["n2v_config"]
        self.blockSignals(True)
        self._segments.setValue(_METHODS.index(method_of(tree)))
        if masks["struct_mask_axis"] in STRUCT_AXES:
            self._direction.setValue(masks["struct_mask_axis"])
        self._span.setCount(masks["struct_mask_span"])
        self.blockSignals(False)
        self._show()

    def setValue(self, method: Method, direction: str | None, span: int | None) -> None:
        """Choose `method`, and how the noise lies where that is known."""
        self.blockSignals(True)
        self._segments.setValue(_METHODS.index(method))
        if direction is not None:
            self._direction.setValue(direction)
        if span is not None:
            self._span.setCount(span)
        self.blockSignals(False)
        self._on_edited()

    # ---- Private API

    def _struct_row(self) -> QWidget:
        fields = N2VManipulateConfig.model_fields
        self._direction = ChoiceField(STRUCT_AXES)
        self._direction.setObjectName("struct_mask_axis")
        self._direction.setAccessibleName("Direction of the noise")
        self._direction.setToolTip(
            f"{fields['struct_mask_axis'].description}\n(struct_mask_axis)"
        )
        self._span = CountField("struct_mask_span", fields["struct_mask_span"])
        self._span.setAccessibleName("Reach of the noise")
        self._span.setSuffix(" px")
        self._span.setSingleStep(2)  # it is odd, to have a centre
        row = QWidget()
        layout = QHBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 0)
        label = QLabel("Noise runs")
        label.setBuddy(self._direction)
        layout.addWidget(label)
        layout.addWidget(self._direction, 1)
        layout.addWidget(self._span)
        return row

    def _on_edited(self) -> None:
        self._show()
        self.valueChanged.emit()

    def _show(self) -> None:
        method = self.method()
        link = f'<a href="{method.paper.link}" style="color: {self._link}">Paper</a>'
        self._sentence.setText(f"{method.sentence} {link}")
        self._sentence.setToolTip(f"{method.name}, {method.paper.short}")
        self._struct.setVisible(method is METHODS["structn2v"])
