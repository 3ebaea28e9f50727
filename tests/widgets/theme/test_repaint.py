"""What moves in a window moves no faster than the window can be drawn."""

from __future__ import annotations

import time

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtGui import QMovie
from qtpy.QtWidgets import QLabel, QMainWindow

from napari_hush.widgets.theme import repaint


class Slow(QLabel):
    """Takes as long to draw as a large window without a graphics card."""

    def paintEvent(self, event):
        time.sleep(0.02)
        super().paintEvent(event)


@pytest.fixture
def wheel(qtbot):
    """A window with napari's wheel in it, turning."""
    from napari.resources import LOADING_GIF_PATH

    window = QMainWindow()
    qtbot.addWidget(window)
    label = QLabel(window)
    label.setMovie(QMovie(LOADING_GIF_PATH))
    window.setCentralWidget(label)
    label.movie().start()
    window.show()
    qtbot.waitExposed(window)
    return window


@pytest.mark.timing
def test_a_window_that_is_dear_to_draw_has_a_slow_wheel(qtbot, wheel):
    movie = wheel.centralWidget().movie()
    assert movie.nextFrameDelay() == pytest.approx(repaint.FRAME_MS, abs=2)
    slow = Slow("slow", wheel)
    slow.show()
    qtbot.wait(50)
    slow.update()
    cost = repaint.paint_now(slow)
    assert cost >= 0.02
    assert movie.speed() <= 2
    qtbot.waitUntil(lambda: movie.nextFrameDelay() > 1000)  # from the next frame on


def test_a_window_that_costs_nothing_has_it_turn_as_it_likes(qtbot, wheel):
    movie = wheel.centralWidget().movie()
    movie.setSpeed(5)
    repaint._pace_movies(wheel, 0.0)
    assert movie.speed() == 100
    repaint._pace_movies(wheel, 10 * repaint.FRAME_MS)
    assert movie.speed() == 10


def test_painting_is_done_when_it_returns(qtbot):
    painted = []

    class Label(QLabel):
        def event(self, event):
            if event.type() == QEvent.Type.Paint:
                painted.append(self.text())
            return super().event(event)

    label = Label("before")
    qtbot.addWidget(label)
    label.show()
    qtbot.waitUntil(lambda: "before" in painted)
    label.setText("after")
    repaint.paint_now(label)
    assert painted[-1] == "after"
