"""Chooses the method, and for structN2V the neighbors that it masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_hush.config import N2VManipulateConfig, methods
from napari_hush.config.methods import METHODS, STRUCT_AXES, Method, Tree
from napari_hush.errors import ConfigurationError
from napari_hush.widgets.settings.fields import ChoiceField, CountField, show_value
from napari_hush.widgets.settings.struct_mask_grid import StructMaskGrid, as_mask
from napari_hush.widgets.theme.segmented_buttons import SegmentedButtons
from napari_hush.widgets.theme.widgets import WrappedLabel, column, row

if TYPE_CHECKING:
    from napari_hush.widgets.settings.struct_mask_grid import Offsets
    from napari_hush.widgets.theme.theme import Colours

_METHODS = list(METHODS.values())
_STRUCT = METHODS["structn2v"]
_HINT = "Click the neighbors whose noise is correlated with that of the center."
_HINT_3D = "A mask in 3D; only the neighbors in the plane are shown."


class MethodChooser(QWidget):
    """Chooses a `Method` and, for structN2V, an axis and a span, or any neighbors."""

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._link = "gray"
        self._mask: Any = None
        self.chosen_by_user = False
        """Whether a person chose the method, so that no advice changes it."""

        # ---- widgets
        tips = {
            method.label: f"{method.sentence}\n({method.name}, {method.paper.short})"
            for method in _METHODS
        }
        self._segments = SegmentedButtons("method", tips)
        self._sentence = WrappedLabel("method_sentence", role="quiet")
        self._sentence.setOpenExternalLinks(True)
        self._grid = StructMaskGrid()
        self._hint = WrappedLabel("struct_mask_hint", role="quiet")
        self._struct = self._struct_part()

        # ---- layout
        layout = column(self, spacing=5)
        layout.addWidget(self._segments)
        layout.addWidget(self._sentence)
        layout.addWidget(self._struct)

        # ---- connections
        self._segments.chosen.connect(self._on_edited)
        self._axis.valueChanged.connect(self._on_axis)
        self._span.valueChanged.connect(self._on_axis)
        self._grid.valueChanged.connect(self._on_grid)

        self._segments.setValue(0)
        self._show()

    def setColours(self, colours: Colours) -> None:
        """Draw in these colors."""
        self._link = colours.curve
        self._grid.setColours(colours)
        self._show()

    def method(self) -> Method:
        """The chosen method."""
        return _METHODS[self._segments.value() or 0]

    def applied(self, tree: Tree) -> Tree:
        """`tree`, changed to the chosen method."""
        axis, span = self._axis.value() or STRUCT_AXES[0], self._span.value() or 0
        return methods.with_method(tree, self.method(), axis, span, self._mask)

    def setTree(self, tree: Tree) -> None:
        """Show the method of `tree`."""
        masks, method = tree["algorithm_config"]["n2v_config"], methods.method_of(tree)
        if method is _STRUCT:
            self._mask = masks["struct_mask"]
            axis = masks["struct_mask_axis"]
            show_value(self._axis, axis if axis in STRUCT_AXES else None)
        show_value(self._span, masks["struct_mask_span"])
        self._segments.setValue(_METHODS.index(method))
        self._show()

    def setValue(self, method: Method, axis: str | None, span: int | None) -> None:
        """Show `method`, and the axis and span of the noise where they are known."""
        if span is not None:
            show_value(self._span, span)
        if axis is not None:
            self._mask = None
            show_value(self._axis, axis)
        self._segments.setValue(_METHODS.index(method))
        self._show()
        self.valueChanged.emit()

    def choose(self, method: Method, axis: str | None, span: int | None) -> None:
        """`setValue` on behalf of a person."""
        self.chosen_by_user = True
        self.setValue(method, axis, span)

    def _struct_part(self) -> QWidget:
        fields = N2VManipulateConfig.model_fields
        self._axis = ChoiceField(STRUCT_AXES)
        self._axis.setPlaceholderText("custom")
        self._axis.setObjectName("struct_mask_axis")
        self._axis.setAccessibleName("Axis of the noise")
        self._axis.setToolTip(
            f"{fields['struct_mask_axis'].description}\n(struct_mask_axis)"
        )
        self._axis.setMinimumWidth(0)  # its longest name
        self._axis.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._span = CountField("struct_mask_span", fields["struct_mask_span"])
        self._span.setAccessibleName("Span of the noise")
        self._span.setSingleStep(2)  # it is odd, to have a center
        self._span.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        label = QLabel("Axis")
        label.setBuddy(self._axis)
        widget = QWidget()
        layout = column(widget, spacing=6)
        fields_row, grid_row = row(), row(spacing=10)
        fields_row.addWidget(label)
        fields_row.addWidget(self._axis, 3)
        fields_row.addWidget(self._span, 2)
        grid_row.addWidget(self._grid)
        grid_row.addWidget(self._hint, 1)
        layout.addLayout(fields_row)
        layout.addLayout(grid_row)
        return widget

    def _on_edited(self) -> None:
        self.chosen_by_user = True
        self._show()
        self.valueChanged.emit()

    def _on_axis(self) -> None:
        self._mask = None
        self._on_edited()

    def _on_grid(self) -> None:
        offsets = self._grid.value()
        found = _axis_and_span(offsets)
        self._mask = as_mask(offsets) if found is None else None
        show_value(self._axis, None if found is None else found[0])
        if found is not None:
            show_value(self._span, found[1])
        self._on_edited()

    def _show(self) -> None:
        method = self.method()
        link = f'<a href="{method.paper.link}" style="color: {self._link}">Paper</a>'
        self._sentence.setText(f"{method.sentence} {link}")
        self._sentence.setToolTip(f"{method.name}, {method.paper.short}")
        self._struct.setVisible(method is _STRUCT)
        axis, span = self._axis.value(), self._span.value() or 3
        offsets, flat = _in_plane(axis or "none", span - 1 + span % 2, self._mask)
        self._grid.setValue(offsets)
        self._grid.setEnabled(flat)
        self._hint.setText(_HINT if flat else _HINT_3D)
        self._span.setEnabled(axis is not None)


def _in_plane(axis: str, span: int, mask: Any) -> tuple[Offsets, bool]:
    """Masked neighbors in the plane of the pixel, and whether there are no others."""
    masking = {"struct_mask": mask} if axis == "none" else {"struct_mask_axis": axis}
    try:
        config = N2VManipulateConfig.build({**masking, "struct_mask_span": span})
    except ConfigurationError:  # a mask without neighbors
        return frozenset(), True
    hidden = config.hidden(3)
    plane = frozenset((y, x) for z, y, x in hidden if z == 0)
    return plane, len(plane) == len(hidden)


def _axis_and_span(offsets: Offsets) -> tuple[str, int] | None:
    """The axis and span that mask `offsets`; None if it takes a mask."""
    span = 2 * max((max(abs(y), abs(x)) for y, x in offsets), default=0) + 1
    for axis in STRUCT_AXES:
        if span >= 3 and _in_plane(axis, span, None) == (offsets, True):
            return axis, span
    return None
