"""Chooses the part of the image to train on, and draws shapes to train inside of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QWidget

from napari_hush.widgets.data.helper_layers import bare
from napari_hush.widgets.data.layer_field import LayerChooser
from napari_hush.widgets.data.layers import pixel_shape
from napari_hush.widgets.data.regions import Extent
from napari_hush.widgets.settings.fields import ChoiceField
from napari_hush.widgets.theme.widgets import column, row, small_button

if TYPE_CHECKING:
    import napari.viewer
    from napari.layers import Image

DRAWING = "add_rectangle"
"""Mode of a Shapes layer."""
SETTLED_MS = 150
"""Milliseconds without a change of the view until it counts."""


class RegionField(QWidget):
    """Chooses an `Extent`; without a shape, "Inside shapes" starts to draw one.

    `image` returns the first noisy layer, or None.
    """

    valueChanged = Signal()
    """Another part was chosen, or it has changed."""

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        image: Callable[[], Image | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image = image
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)

        # ---- widgets
        self.extent = ChoiceField([extent.value for extent in Extent])
        self.extent.setObjectName("extent")
        self.extent.setAccessibleName("Part to train on")
        self.extent.setToolTip(
            "Train on the whole layer, the visible region, the current slice, or the "
            "bounding boxes of shapes."
        )
        tip = "The shapes to train inside of."
        self.shapes = LayerChooser(viewer.layers, "shapes_layer", tip, (Shapes,))
        self.shapes.setPlaceholderText("no Shapes layer yet")
        self._draw = small_button("draw_shape", "Draw", "Draw a rectangle on the image.")

        # ---- layout
        self._inside = QWidget()
        line = row(self._inside, spacing=4)
        line.addWidget(self.shapes, 1)
        line.addWidget(self._draw)
        layout = column(self)
        layout.addWidget(self.extent)
        layout.addWidget(self._inside)
        self._inside.hide()

        # ---- connections
        self.extent.valueChanged.connect(self._on_extent)
        self.shapes.valueChanged.connect(lambda layer: self.valueChanged.emit())
        self.shapes.edited.connect(lambda what: self.valueChanged.emit())
        self._draw.clicked.connect(self._start_drawing)
        self._settled.timeout.connect(self.valueChanged)
        viewer.layers.events.inserted.connect(self._on_inserted)
        camera, dims = viewer.scene.camera.events, viewer.dims.events
        for changed in (camera.center, camera.zoom, dims.order, dims.ndisplay):
            changed.connect(self._on_moved)

    def value(self) -> Extent:
        """The part to train on."""
        return Extent(self.extent.value())

    def _on_extent(self) -> None:
        inside = self.value() is Extent.SHAPES
        self._inside.setVisible(inside)
        shapes = self.shapes.value()
        if inside and (shapes is None or not shapes.nshapes):
            self._start_drawing()
        elif not inside and shapes is not None and shapes.mode == DRAWING:
            shapes.mode = "pan_zoom"
        self.valueChanged.emit()

    def _start_drawing(self) -> None:
        """Let the mouse draw rectangles, in a new Shapes layer if there is none."""
        image = self._image()
        if image is None:
            return
        if self.shapes.value() is None:
            size = max(pixel_shape(image)[: image.ndim][-2:])
            self._viewer.add_shapes(
                ndim=2,  # so that a shape counts in every slice
                name=f"{image.name} region",
                scale=image.scale[-2:],
                translate=image.translate[-2:],
                units=image.units[-2:],
                edge_width=max(1, size / 256),
                edge_color="yellow",
                face_color="transparent",
            )
        if (shapes := self.shapes.value()) is not None:
            self._viewer.layers.selection.active = shapes
            shapes.mode = DRAWING

    def _on_inserted(self, event: Any) -> None:
        """Choose a new Shapes layer in place of an empty one."""
        chosen, new = self.shapes.value(), bare(event.value)
        if isinstance(new, Shapes) and chosen is not None and not chosen.nshapes:
            self.shapes.setValue(new)

    def _on_moved(self, event: Any = None) -> None:
        if self.value() is Extent.VIEW:
            self._settled.start()
