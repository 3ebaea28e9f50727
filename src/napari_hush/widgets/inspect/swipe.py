"""Compares two layers on either side of a line that can be dragged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QTimer

from napari_hush.widgets.data.helper_layers import Turns, add_quietly, bare, remove_quietly
from napari_hush.widgets.data.layers import PLACE, Origin, source_of
from napari_hush.widgets.inspect.compared_pixels import SameContrast, Swiped

if TYPE_CHECKING:
    from napari.layers import Image, Layer

EDGE = 40
"""Screen pixels that the line stays away from the border of the view."""
REACH = 10
"""Screen pixels from the line within which it can be dragged."""
STROKE = 2.0
"""Width of the strokes of the handle, in screen pixels."""
GRIP = (6.0, 14.0)
"""Distance of the two bars of the grip from the line and half their height, likewise."""
WHITE, BLACK = (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0)
REST = 2.0
"""Pause between two paints while dragging, in durations of a paint."""


class Swipe:
    """Shows `before` left of a line and `after` right of it, in an additional layer.

    The line cuts the horizontal axis, also after the axes were rolled or transposed.
    """

    def __init__(self, viewer: Any, before: Image, after: Image) -> None:
        self._viewer = viewer
        self._after = after
        look = Origin.of(before).appearance | {"blending": "translucent_no_depth"}
        look["opacity"] = 1.0
        hidden = look | {"visible": False}
        axis = self._displayed(before)[1]
        pixels = Swiped(source_of(before), source_of(after), axis, 0)
        self._pixels = pixels
        self._contrast = SameContrast(before, after, pixels, self._on_new_pixels)
        name = f"swipe: {before.name}"
        self._picture = add_quietly(viewer, "add_image", pixels, name=name, **hidden)
        self._contrast.picture = self._picture
        self._line: Any = None
        self.layers: tuple[Layer, ...] = (self._picture,)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._redraw)
        self._cost = 0.0
        bare(viewer).mouse_drag_callbacks.append(self._on_drag)
        for event, slot in self._slots():
            event.connect(slot)
        self._turns = Turns(self._add_line, self._appear)

    @property
    def axis(self) -> int:
        """The horizontal axis, which the line cuts."""
        return self._pixels.axis

    @property
    def split(self) -> int:
        """How many pixels of `before` are shown along `axis`."""
        return self._pixels.split

    def close(self) -> None:
        """Remove the layers and the callbacks."""
        self._turns.stop()
        self._timer.stop()
        bare(self._viewer).mouse_drag_callbacks.remove(self._on_drag)
        for event, slot in self._slots():
            event.disconnect(slot)
        self._contrast.close()
        remove_quietly(self._viewer, self.layers)

    def _add_line(self) -> None:
        place = {key: getattr(self._picture, key) for key in PLACE}
        empty = np.zeros((0, 2, self._picture.ndim))
        self._line = add_quietly(
            self._viewer,
            "add_vectors",
            empty,
            ndim=self._picture.ndim,
            name="line to drag",
            vector_style="line",
            **place,
        )
        self.layers = (self._picture, self._line)

    def _appear(self) -> None:
        self._centre()
        self._picture.visible = True

    def _slots(self) -> list[tuple[Any, Callable[..., None]]]:
        dims, scene = self._viewer.dims.events, self._viewer.scene
        return [
            (dims.current_step, self._draw_line),
            (dims.order, self._on_turned),
            (dims.ndisplay, self._on_turned),
            (scene.camera.events.zoom, self._on_moved),
            (scene.camera.events.center, self._on_moved),
            (self._viewer.canvas.events.size, self._on_moved),
            (self._after.events.set_data, self._on_new_pixels),
        ]

    def moveTo(self, split: float) -> None:
        """Move the line to `split` pixels along `axis`."""
        size = self._pixels.shape[self._pixels.axis]
        split = round(min(max(split, 0), size))
        if split != self._pixels.split:
            self._pixels.split = split
            self._draw_line()
            if not self._timer.isActive():
                self._timer.start(round(1000 * REST * self._cost))

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        if viewer.dims.ndisplay != 2 or viewer.canvas.grid.enabled:
            return
        if abs(self._place(event.position) - self.split) > REACH * self._screen_pixel()[1]:
            return
        event.handled = True  # or napari would pan
        yield
        while event.type == "mouse_move":
            event.handled = True
            self.moveTo(self._place(event.position))
            yield
        event.handled = True

    def _on_turned(self, event: Any = None) -> None:
        axis = self._displayed(self._picture)[1]
        if axis != self._pixels.axis:
            self._pixels.axis = axis
            self._centre()
        self._redraw()
        self._draw_line()

    def _centre(self) -> None:
        """Put the line in the middle of the visible part, or of the image if none is."""
        part = self._visible_part()
        across = self._displayed(self._picture)[1]
        size = self._pixels.shape[across]
        middle = size / 2 if part is None else part[:, 1].min() + np.ptp(part[:, 1]) / 2
        self._pixels.split = round(min(max(middle + 0.5, 0), size))
        self._redraw()
        self._draw_line()

    def _on_moved(self, event: Any = None) -> None:
        """Keep the line in view when the camera moves."""
        part = self._visible_part()
        if part is not None:
            size = self._pixels.shape[self._pixels.axis]
            first, last = part[:, 1].min() + 0.5, part[:, 1].max() + 0.5
            edge = min(EDGE * self._screen_pixel()[1], (last - first) / 2)
            low = first + edge if first > 0.5 else 0
            high = last - edge if last < size - 0.5 else size
            self.moveTo(min(max(self.split, low), high))
        self._draw_line()

    def _on_new_pixels(self, event: Any = None) -> None:
        self._pixels.forget()
        if not self._timer.isActive():
            self._timer.start(round(1000 * REST * self._cost))

    def _redraw(self) -> None:
        started = time.perf_counter()
        self._picture.refresh(extent=False, highlight=False, thumbnail=False)
        self._cost = time.perf_counter() - started

    def _draw_line(self, event: Any = None) -> None:
        """Draw line and grip where they are now, as thick on the screen as ever."""
        if self._line is None:
            return
        flat = self._viewer.dims.ndisplay == 2
        self._line.visible = flat
        if not flat:
            return
        up, across = self._displayed(self._line)
        tall, wide = self._screen_pixel()
        size = self._pixels.shape[up]
        at = self._pixels.split - 0.5
        middle = self._middle_of_line(at, size)
        away, half = GRIP[0] * wide, GRIP[1] * tall
        stroke = STROKE * wide
        strokes = []
        for place, first, length in (
            (at, -0.5, float(size)),
            (at - away, middle - half, 2 * half),
            (at + away, middle - half, 2 * half),
        ):  # white between black ones, to be seen on whatever is below
            sides = ((-stroke, BLACK), (stroke, BLACK), (0.0, WHITE))
            strokes += [(place + side, first, length, colour) for side, colour in sides]
        if self._line.edge_width != stroke:
            self._line.edge_width = stroke
        vectors = np.zeros((len(strokes), 2, self._line.ndim))
        vectors[:, 0] = np.round(self._data_at(self._viewer.dims.point))
        vectors[:, 0, across] = [stroke[0] for stroke in strokes]
        vectors[:, 0, up] = [stroke[1] for stroke in strokes]
        vectors[:, 1, up] = [stroke[2] for stroke in strokes]
        dressed = len(self._line.data) == len(vectors)
        self._line.data = vectors
        if not dressed:
            self._line.edge_color = np.array([stroke[3] for stroke in strokes])

    def _displayed(self, layer: Any) -> tuple[int, int]:
        """The vertical and the horizontal axis of the layer."""
        missing = self._viewer.dims.ndim - layer.ndim
        shown = [axis - missing for axis in self._viewer.dims.displayed[-2:]]
        if min(shown) < 0:  # a 2D layer in a view along other axes
            return layer.ndim - 2, layer.ndim - 1
        return shown[0], shown[1]

    def _place(self, position: Any) -> float:
        """Pixels along the horizontal axis up to a position in world coordinates."""
        return float(self._data_at(position)[self._pixels.axis]) + 0.5

    def _data_at(self, position: Any) -> NDArray[np.float64]:
        at = np.asarray(position, float)[-self._picture.ndim :]
        return np.asarray(self._picture.world_to_data(at), float)

    def _middle_of_line(self, at: float, size: int) -> float:
        """Where the visible part of the line has its middle, along the vertical axis."""
        part = self._visible_part()
        if part is not None:
            crossed = np.concatenate([_clipped(part, 1, at, 1), _clipped(part, 1, at, -1)])
            on_line = crossed[np.isclose(crossed[:, 1], at), 0]
            if on_line.size:
                return float(on_line.min() + np.ptp(on_line) / 2)
        return (size - 1) / 2

    def _visible_part(self) -> NDArray[np.float64] | None:
        """Corners ``(N, 2)`` of the visible part along `_displayed`; None if there is none.

        The layer may be rotated or sheared, so it is a polygon.
        """
        axes = list(self._displayed(self._picture))
        view = self._viewer.canvas.size / np.array(2 * self._viewer.scene.camera.zoom)
        corners = []
        for sides in ((-1, -1), (-1, 1), (1, 1), (1, -1)):
            world = self._world_centre()
            world[list(self._viewer.dims.displayed[-2:])] += view * sides
            corners.append(self._data_at(world)[axes])
        part = np.array(corners)
        for side, axis in enumerate(axes):
            part = _clipped(part, side, -0.5, 1)
            part = _clipped(part, side, self._pixels.shape[axis] - 0.5, -1)
        return part if len(part) else None

    def _world_centre(self) -> NDArray[np.float64]:
        world = np.array(self._viewer.dims.point, float)
        displayed = list(self._viewer.dims.displayed[-2:])
        world[displayed] = self._viewer.scene.camera.center[-2:]
        return world

    def _screen_pixel(self) -> tuple[float, float]:
        """Height and width of a screen pixel, in pixels of the layer."""
        step = 1 / self._viewer.scene.camera.zoom
        centre = self._world_centre()
        moves = []
        for axis in self._viewer.dims.displayed[-2:]:
            moved = centre.copy()
            moved[axis] += step
            moves.append(self._data_at(moved) - self._data_at(centre))
        tall, wide = np.linalg.norm(moves, axis=0)[list(self._displayed(self._picture))]
        return float(tall), float(wide)


def _clipped(
    corners: NDArray[np.float64], side: int, limit: float, sign: int
) -> NDArray[np.float64]:
    """The part of a convex polygon beyond `limit` along `side`: above it, or with -1 below.

    After Sutherland and Hodgman (1974).
    """
    kept = []
    beyond = sign * (corners[:, side] - limit)
    for number, (corner, depth) in enumerate(zip(corners, beyond, strict=True)):
        before, depth_before = corners[number - 1], beyond[number - 1]
        if (depth < 0) != (depth_before < 0):
            kept.append(corner + (before - corner) * depth / (depth - depth_before))
        if depth >= 0:
            kept.append(corner)
    return np.array(kept).reshape(-1, 2)
