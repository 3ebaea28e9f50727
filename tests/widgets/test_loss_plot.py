from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor

from napari_hush.widgets.colours import Colours
from napari_hush.widgets.loss_plot import LossPlot, _points


@pytest.fixture
def plot(qtbot):
    widget = LossPlot(Colours.of("dark"))
    qtbot.addWidget(widget)
    widget.resize(280, 210)
    widget.show()
    return widget


def colours_in(plot: LossPlot) -> set[str]:
    image = plot.grab().toImage()
    return {
        QColor(image.pixel(x, y)).name()
        for x in range(image.width())
        for y in range(image.height())
    }


def test_draws_the_curve(plot):
    plot.addSteps(0, (1.0, 0.5, 0.25))
    plot.addValidation(3, 0.3)
    plot.redraw()
    assert Colours.of("dark").curve in colours_in(plot)


@pytest.mark.parametrize("losses", [(0.5,), (1.0, 0.0), (float("nan"), 1.0, float("inf"))])
def test_draws_whatever_comes(plot, losses):
    plot.addSteps(0, losses)
    plot.redraw()
    assert len(colours_in(plot)) > 2


def test_clear_brings_back_the_quiet_sentence(plot):
    plot.addSteps(0, (1.0,))
    plot.redraw()
    plot.clear()
    assert plot.history.steps == []
    assert Colours.of("dark").curve not in colours_in(plot)


def test_the_colours_can_change(plot):
    plot.addSteps(0, (1.0, 0.5))
    plot.setColours(Colours.of("light"))
    assert Colours.of("light").curve in colours_in(plot)


def test_many_points_become_few_and_keep_the_extremes():
    frame = QRectF(0, 0, 100, 100)
    places = np.linspace(0, 1, 100_000)
    heights = np.full(100_000, 0.5)
    heights[777] = 1.0
    points = _points(frame, places, heights)
    assert len(points) == 200
    assert min(point.y() for point in points) == 0
    xs = [point.x() for point in points]
    assert xs == sorted(xs)
