from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.colours import Colours
from napari_hush.widgets.loss_plot import LossPlot


@pytest.fixture
def plot(qtbot):
    widget = LossPlot(Colours.of("dark"))
    qtbot.addWidget(widget)
    widget.show()
    return widget


def test_draws_one_point_per_step_and_one_per_validation(qtbot, plot):
    plot.addSteps(0, (1.0, 0.5, 0.25))
    plot.addValidation(3, 0.3)
    qtbot.waitUntil(lambda: plot._pages.currentWidget() is plot._drawn)
    steps, losses = plot._chart._steps.getOriginalDataset()
    assert steps.tolist() == [1, 2, 3]
    assert losses.tolist() == [1.0, 0.5, 0.25]
    assert plot._chart._validation.getOriginalDataset()[1].tolist() == [0.3]
    assert "0.3" in plot._caption.text()
    assert plot._chart.getPlotItem().getAxis("left").logMode


def test_a_loss_of_zero_is_drawn_on_a_linear_axis(qtbot, plot):
    plot.addSteps(0, (1.0, 0.0))
    qtbot.waitUntil(lambda: plot._pages.currentWidget() is plot._drawn)
    assert not plot._chart.getPlotItem().getAxis("left").logMode


def test_clear_brings_back_the_quiet_sentence(qtbot, plot):
    plot.addSteps(0, (1.0,))
    plot.clear()
    assert plot.history.steps == []
    assert plot._pages.currentWidget() is plot._empty


def test_the_colours_can_change(qtbot, plot):
    plot.addSteps(0, (1.0, 0.5))
    plot.setColours(Colours.of("light"))
    qtbot.waitUntil(lambda: plot._pages.currentWidget() is plot._drawn)
    pen = plot._chart._smooth.opts["pen"]
    assert pen.color().name() == Colours.of("light").curve


def test_log_axis_labels_are_few(plot):
    plot.build()
    axis = plot._chart.getPlotItem().getAxis("left")
    ((_, places),) = axis.logTickValues(-1.0, 0.0, 100, None)
    assert np.allclose(10 ** np.array(places), [0.1, 0.2, 0.5, 1.0])
    ((_, places),) = axis.logTickValues(-4.0, 0.0, 100, None)
    assert np.allclose(places, [-4, -3, -2, -1, 0])
