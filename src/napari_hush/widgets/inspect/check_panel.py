"""Shows the check of the data, and suggests a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_hush.config.methods import METHODS
from napari_hush.widgets.inspect.check_task import PATCHES
from napari_hush.widgets.inspect.pixmaps import picture_of_map, picture_of_patch
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity
from napari_hush.widgets.theme.widgets import column, push_button, row

if TYPE_CHECKING:
    from qtpy.QtGui import QPixmap

    from napari_hush.quality import DataReport
    from napari_hush.widgets.inspect.check_task import DataCheck, DataCheckResult
    from napari_hush.widgets.theme.theme import Colours

SIDE = 84
"""Width and height of an image in pixels."""


class CheckPanel(QWidget):
    """Runs a data check in the background and shows its result."""

    asked = Signal()
    """A check is wanted; call `start`."""
    accepted = Signal(object, object, object)
    """The suggestion is accepted: method, axis and span of the noise (or None)."""
    summed = Signal(str)
    """The result in a few words."""

    def __init__(self, colours: Colours, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._colours = colours
        self.result: DataCheckResult | None = None
        self._run = Run(self, self._show_result)
        self.setObjectName("check_panel")

        # ---- widgets
        self._check = push_button(
            "check_data", "Check data", "Check the noise of the image."
        )
        self._accept = push_button("accept_suggestion", "", "Use the suggested method.")
        self._accept.hide()
        self._reason = QLabel("The correlation of the noise decides which method works.")
        self._reason.setObjectName("check_reason")
        self._reason.setWordWrap(True)
        self._shares = QLabel()
        self._shares.setObjectName("check_shares")
        self._shares.setProperty("role", "quiet")
        self._shares.setWordWrap(True)
        self._map = _picture("check_map", "Autocorrelation of the noise")
        self._map.setToolTip(
            "Autocorrelation of the noise. N2V needs a single point in the center; a line "
            "means noise that is correlated along an axis."
        )
        self._patches = [
            _picture(f"check_patch_{n}", "Patch with masked pixels") for n in range(PATCHES)
        ]
        self._pictures = QWidget()
        self._pictures.hide()

        # ---- layout
        buttons = row()
        buttons.addWidget(self._check)
        buttons.addWidget(self._accept, 1)
        buttons.addStretch(0)
        grid = QGridLayout(self._pictures)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(6)
        grid.addWidget(_caption("noise"), 0, 0)
        grid.addWidget(_caption("patches, masked pixels"), 0, 1, 1, 2)
        grid.addWidget(self._map, 1, 0, Qt.AlignmentFlag.AlignTop)
        grid.setColumnStretch(1 + PATCHES, 1)
        for number, picture in enumerate(self._patches):
            grid.addWidget(picture, 1, 1 + number)
        layout = column(self, spacing=6)
        layout.addLayout(buttons)
        layout.addWidget(self._reason)
        layout.addWidget(self._pictures)
        layout.addWidget(self._shares)

        # ---- connections
        self._check.clicked.connect(self.asked)
        self._accept.clicked.connect(self._on_accept)
        self._run.ended.connect(self._on_ended)

    @property
    def was_asked(self) -> bool:
        """Whether there is a result, or a check is running."""
        return self.result is not None or self._run.state.busy

    def start(self, task: DataCheck) -> None:
        """Run `task`, unless a check is running."""
        if not self._run.state.busy:
            self._check.setEnabled(False)
            self.showMessage(f"Checking “{task.name}” …")
            self._run.start(Activity.CHECKING, task.name, task)

    def showMessage(self, sentence: str) -> None:
        """Show `sentence` in place of the reason for the suggestion."""
        self._reason.setText(sentence)

    def clear(self) -> None:
        """Remove the result, since another image was chosen."""
        if self.result is not None:
            self.result = None
            self._accept.hide()
            self._pictures.hide()
            self._shares.setText("")
            self.showMessage("Another image was chosen; check again.")
            self.summed.emit("")

    def setColours(self, colours: Colours) -> None:
        """Draw in these colors."""
        self._colours = colours
        if self.result is not None:
            self._draw(self.result)

    def _on_accept(self) -> None:
        if self.result is not None:
            report = self.result.report
            struct = report.suggestion == "structn2v"
            self.accepted.emit(
                METHODS[report.suggestion],
                report.axis if struct else None,
                report.span if struct else None,
            )

    def _show_result(self, checked: DataCheckResult) -> str:
        report = checked.report
        self.result = checked
        method = METHODS.get(report.suggestion)
        self._accept.setVisible(method is not None)
        if method is not None:
            self._accept.setText(f"Use {method.label}")
        self._shares.setText(_shares(report))
        self._draw(checked)
        self.summed.emit("no method fits" if method is None else f"{method.label} fits")
        return str(report.reason)

    def _on_ended(self) -> None:
        self._check.setEnabled(True)
        self.showMessage(self._run.state.message)

    def _draw(self, checked: DataCheckResult) -> None:
        noise = checked.report.channels[0].noise
        colours = self._colours
        _show(self._map, picture_of_map(noise.map, colours.mark, colours.glow))
        for label, patch in zip(self._patches, checked.patches, strict=False):
            _show(label, picture_of_patch(patch, colours.mark))
        self._pictures.show()


def _shares(report: DataReport) -> str:
    hot = max(channel.hot_share for channel in report.channels)
    dark = max(channel.background_share for channel in report.channels)
    full = max(channel.saturated_share for channel in report.channels)
    sigma = " and ".join(f"{channel.sigma:.3g}" for channel in report.channels)
    parts = [
        f"noise SD {sigma}",
        f"{dark:.0%} background",
        f"{hot:.3%} hot pixels" if hot else "no hot pixels",
    ]
    if full:
        parts.append(f"{full:.2%} saturated")
    return " · ".join(parts)


def _picture(name: str, words: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setAccessibleName(words)
    label.setFixedSize(QSize(SIDE, SIDE))
    label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    return label


def _caption(words: str) -> QLabel:
    label = QLabel(words)
    label.setProperty("role", "quiet")
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def _show(label: QLabel, picture: QPixmap) -> None:
    """Fill `label` with `picture`, without smoothing."""
    label.setPixmap(
        picture.scaled(
            label.size(),
            Qt.AspectRatioMode.KeepAspectRatio,
            Qt.TransformationMode.FastTransformation,
        )
    )
