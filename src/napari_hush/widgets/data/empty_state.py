"""Where to drop an image, shown as long as there is none."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from napari_hush.widgets.theme.widgets import column, push_button, row


class EmptyState(QFrame):
    """A frame to drop an image on, with buttons that open one."""

    openAsked = Signal()
    sampleAsked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("no_image")
        self.setProperty("role", "target")
        words = QLabel("Drop an image or a folder here,\nor open a sample.")
        words.setWordWrap(True)
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        words.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        image = push_button("open_image", "Open image …", "Open images from files.")
        sample = push_button(
            "open_sample", "Open sample", "Open simulated cells with their ground truth."
        )
        buttons = row()
        buttons.addWidget(image, 1)
        buttons.addWidget(sample, 1)
        layout = column(self, spacing=10)
        layout.setContentsMargins(12, 16, 12, 12)
        layout.addWidget(words)
        layout.addLayout(buttons)
        image.clicked.connect(self.openAsked)
        sample.clicked.connect(self.sampleAsked)
