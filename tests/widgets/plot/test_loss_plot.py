from __future__ import annotations

import csv

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_hush.events import EarlierLosses, StepsDone, TrainingStarted
from napari_hush.widgets.plot.loss_curve import write_csv
from napari_hush.widgets.plot.loss_plot import LossPlot, _points
from napari_hush.widgets.theme.theme import Colours


@pytest.fixture
def plot(qtbot):
    widget = LossPlot(Colours.of("dark"))
    qtbot.addWidget(widget)
    widget.resize(280, 210)
    widget.show()
    return widget


def started(first_step: int) -> TrainingStarted:
    return TrainingStarted(4, 10, 100, 10, "cpu", "32", first_step=first_step)


def steps(first_step: int, *losses: float) -> StepsDone:
    return StepsDone(0, first_step, losses, 1e-3, 100.0, 1.0)


def colours_in(plot: LossPlot) -> set[str]:
    image = plot.grab().toImage()
    return {
        QColor(image.pixel(x, y)).name()
        for x in range(image.width())
        for y in range(image.height())
    }


def test_draws_the_curve(plot):
    plot.history.add_steps(0, (1.0, 0.5, 0.25))
    plot.history.add_validation(3, 0.3)
    plot.update()
    assert Colours.of("dark").curve in colours_in(plot)


@pytest.mark.parametrize("losses", [(0.5,), (1.0, 0.0), (float("nan"), 1.0, float("inf"))])
def test_draws_whatever_comes(plot, losses):
    plot.history.add_steps(0, losses)
    plot.update()
    assert len(colours_in(plot)) > 2


def test_a_new_run_keeps_the_earlier_one_and_a_trained_on_model_its_curve(plot):
    plot.addEvents([started(0), steps(0, 1.0, 0.9)])
    plot.addEvents([started(2), steps(2, 0.8)])
    assert plot.history.steps == [1, 2, 3]
    plot.addEvents([started(0)])
    assert plot.history.steps == []
    assert [run.train for run in plot.runs[:-1]] == [[1.0, 0.9, 0.8]]
    plot.history.add_steps(0, (0.5,))
    assert len(colours_in(plot)) > 2
    plot.clearEarlier()
    assert plot.runs == [plot.history]


def test_training_on_from_a_snapshot_never_runs_backwards(plot):
    """The curve of the steps that are undone is that of an earlier run."""
    plot.addEvents([started(0), steps(0, 1.0, 0.9, 0.8, 0.7)])
    plot.history.add_validation(2, 0.85)
    plot.history.add_validation(4, 0.65)
    plot.addEvents([started(2), steps(2, 0.82, 0.72)])
    assert plot.history.steps == [1, 2, 3, 4]
    assert plot.history.train == [1.0, 0.9, 0.82, 0.72]
    assert plot.history.val == [0.85]
    assert [run.train for run in plot.runs[:-1]] == [[1.0, 0.9, 0.8, 0.7]]


def test_another_model_has_no_curve_until_it_is_trained(plot):
    plot.addEvents([started(0), steps(0, 1.0, 0.9)])
    plot.forgetModel()
    plot.forgetModel()
    assert Colours.of("dark").curve not in colours_in(plot)
    plot.addEvents([started(1000), steps(1000, 0.3, 0.2)])
    assert plot.history.steps == [1001, 1002]
    assert [run.train for run in plot.runs] == [[1.0, 0.9], [0.3, 0.2]]


def test_a_resumed_run_shows_its_earlier_losses(plot):
    plot.addEvents([started(0), steps(0, 9.0)])
    earlier = EarlierLosses(0, (1.0, 0.9), ((2, 0.8),))
    plot.addEvents([started(0), earlier, steps(2, 0.7)])
    assert plot.history.train == [1.0, 0.9, 0.7]
    assert plot.history.val == [0.8]


def test_the_axis_can_be_linear(plot):
    plot.history.add_steps(0, (1.0, 0.1, 0.01))
    logarithmic = plot.grab().toImage()
    plot.setLogarithmic(False)
    assert plot.grab().toImage() != logarithmic


def test_the_caption_has_the_values_at_the_cursor(plot):
    plot.history.add_steps(0, tuple(1 / (n + 1) for n in range(50)))
    plot.grab()
    assert plot._under_cursor() is None
    frame = plot._frame
    share = float(plot._x.share(20))
    place = QPointF(frame.left() + share * frame.width(), frame.center().y())
    # Sent, not moved: a pointer that lies there already would not move.
    moved = QMouseEvent(
        QEvent.Type.MouseMove,
        place,
        plot.mapToGlobal(place),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(plot, moved)
    assert abs(plot.history.steps[plot._under_cursor()] - 20) <= 1
    without = plot.grab().toImage()
    plot.leaveEvent(QEvent(QEvent.Type.Leave))
    assert plot._under_cursor() is None
    assert plot.grab().toImage() != without


def test_all_runs_are_saved_as_a_table(plot, tmp_path):
    plot.history.add_steps(0, (1.0, 0.5))
    plot.history.add_validation(2, 0.25)
    plot.addEvents([started(0)])
    plot.history.add_steps(0, (0.75,))
    path = tmp_path / "losses.csv"
    write_csv(path, plot.runs)
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    assert [(r["run"], r["step"], r["training_loss"]) for r in rows] == [
        ("1", "1", "1.0"), ("1", "2", "0.5"), ("2", "1", "0.75"),
    ]  # fmt: skip
    assert [row["validation_loss"] for row in rows] == ["", "0.25", ""]


def test_the_menu_saves_an_image(plot, tmp_path, monkeypatch):
    plot.history.add_steps(0, (1.0, 0.5))
    path = tmp_path / "losses.png"
    monkeypatch.setattr(
        "qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *given: (str(path), "")
    )
    actions = {action.text(): action for action in plot.menu().actions()}
    actions["Save as image …"].trigger()
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_the_colours_can_change(plot):
    plot.history.add_steps(0, (1.0, 0.5))
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
