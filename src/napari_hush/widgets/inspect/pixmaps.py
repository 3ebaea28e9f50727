"""Pixmaps of small arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QColor, QImage, QPixmap

if TYPE_CHECKING:
    from napari_hush.widgets.inspect.check_task import Patch


def picture_of_map(values: NDArray[np.floating], low: str, high: str) -> QPixmap:
    """Draw values from -1 to 1: 0 in black, negative in `low`, positive in `high`.

    Shows square roots, so that a correlation of 0.1 is visible next to one of 1.
    """
    strength = np.sqrt(np.abs(np.clip(values, -1, 1)))[..., None]
    colours = np.where(values[..., None] < 0, _rgb(low), _rgb(high))
    return _pixmap((strength * colours).astype(np.uint8))


def picture_of_patch(patch: Patch, mark: str) -> QPixmap:
    """Draw a patch in gray, with masked pixels in `mark`."""
    low, high = np.quantile(patch.pixels, [0.005, 0.995])
    grey = np.clip((patch.pixels - low) / ((high - low) or 1), 0, 1)
    colours = np.repeat((255 * grey)[..., None], 3, axis=-1)
    colours[patch.masked] = _rgb(mark)
    return _pixmap(colours.astype(np.uint8))


def _rgb(colour: str) -> NDArray[np.float64]:
    parsed = QColor(colour)
    return np.array([parsed.red(), parsed.green(), parsed.blue()], float)


def _pixmap(colours: NDArray[np.uint8]) -> QPixmap:
    height, width, _ = colours.shape
    image = QImage(colours.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image.copy())  # owns its pixels
