"""Textures of layers are deleted in the OpenGL context of the canvas."""

from __future__ import annotations

from qtpy.QtGui import QOpenGLContext
from qtpy.QtWidgets import QApplication, QWidget


def test_the_canvas_is_current_when_a_layer_is_removed(viewer, hand, noisy):
    window = hand.dock.window()
    (canvas,) = (
        child
        for child in window.centralWidget().findChildren(QWidget)
        if child.inherits("QOpenGLWidget")
    )
    viewer.add_image(noisy)
    QApplication.processEvents()
    canvas.doneCurrent()
    current = []
    viewer.layers.events.removing.connect(
        lambda event: current.append(QOpenGLContext.currentContext()), position="last"
    )
    viewer.layers.pop()
    assert current == [canvas.context()]
