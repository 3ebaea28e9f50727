"""Chooses the method, and for structN2V the axis and span of its mask."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_hush.config import N2VManipulateConfig, methods
from napari_hush.config.methods import METHODS, STRUCT_AXES, Method, Tree
from napari_hush.widgets.settings.fields import ChoiceField, CountField, show_value
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons
from napari_hush.widgets.theme.widgets import column, row

_METHODS = list(METHODS.values())


class MethodChooser(QWidget):
    """Chooses a `Method` and, for structN2V, the axis and span of the noise."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = "gray"
        self.chosen_by_user = False
        """Whether a person chose the method, so that no advice changes it."""

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
        # Two lines high, so that a longer sentence does not move the controls below.
        self._sentence.setMinimumHeight(2 * self._sentence.fontMetrics().lineSpacing() + 8)
        self._struct = self._struct_row()

        # ---- layout
        layout = column(self, spacing=5)
        layout.addWidget(self._segments)
        layout.addWidget(self._sentence)
        layout.addWidget(self._struct)

        # ---- connections
        self._segments.chosen.connect(self._on_edited)
        self._axis.valueChanged.connect(self._on_edited)
        self._span.valueChanged.connect(self._on_edited)

        self._segments.setValue(0)
        self._show()

    def setLinkColour(self, colour: str) -> None:
        """Show links in `colour`, ``#rrggbb``."""
        self._link = colour
        self._show()

    def method(self) -> Method:
        """The chosen method."""
        return _METHODS[self._segments.value() or 0]

    def applied(self, tree: Tree) -> Tree:
        """`tree`, changed to the chosen method."""
        axis, span = str(self._axis.value()), self._span.value() or 0
        return methods.with_method(tree, self.method(), axis, span)

    def setTree(self, tree: Tree) -> None:
        """Show the method of `tree`."""
        masks = tree["algorithm_config"]["n2v_config"]
        axis = masks["struct_mask_axis"]
        self._set(methods.method_of(tree), axis if axis in STRUCT_AXES else None)
        show_value(self._span, masks["struct_mask_span"])

    def setValue(self, method: Method, axis: str | None, span: int | None) -> None:
        """Show `method`, and the axis and span of the noise where they are known."""
        if span is not None:
            show_value(self._span, span)
        self._set(method, axis)
        self.valueChanged.emit()

    def choose(self, method: Method, axis: str | None, span: int | None) -> None:
        """`setValue` on behalf of a person."""
        self.chosen_by_user = True
        self.setValue(method, axis, span)

    def _set(self, method: Method, axis: str | None) -> None:
        self._segments.setValue(_METHODS.index(method))
        if axis is not None:
            show_value(self._axis, axis)
        self._show()

    def _struct_row(self) -> QWidget:
        fields = N2VManipulateConfig.model_fields
        self._axis = ChoiceField(STRUCT_AXES)
        self._axis.setObjectName("struct_mask_axis")
        self._axis.setAccessibleName("Axis of the noise")
        self._axis.setToolTip(
            f"{fields['struct_mask_axis'].description}\n(struct_mask_axis)"
        )
        self._span = CountField("struct_mask_span", fields["struct_mask_span"])
        self._span.setAccessibleName("Span of the noise")
        self._span.setSingleStep(2)  # it is odd, to have a center
        widget = QWidget()
        layout = row(widget)
        label = QLabel("Noise axis")
        label.setBuddy(self._axis)
        layout.addWidget(label)
        self._span.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout.addWidget(self._axis, 3)
        layout.addWidget(self._span, 2)
        return widget

    def _on_edited(self) -> None:
        self.chosen_by_user = True
        self._show()
        self.valueChanged.emit()

    def _show(self) -> None:
        method = self.method()
        link = f'<a href="{method.paper.link}" style="color: {self._link}">Paper</a>'
        self._sentence.setText(f"{method.sentence} {link}")
        self._sentence.setToolTip(f"{method.name}, {method.paper.short}")
        self._struct.setVisible(method is METHODS["structn2v"])
