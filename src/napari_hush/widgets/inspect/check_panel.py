"""Shows the noise of the chosen layer in one line, and the details on demand."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Layer
from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QWidget

from napari_hush.config.methods import METHODS, method_of
from napari_hush.errors import HushError
from napari_hush.widgets.data.layers import engine_axes
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.inspect.check_task import (
    PATCHES,
    DataCheck,
    DataCheckResult,
    noise_line,
)
from napari_hush.widgets.inspect.pixmaps import picture_of_map, picture_of_patch
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.theme.help import HelpButton
from napari_hush.widgets.theme.widgets import (
    WrappedLabel,
    column,
    mark,
    push_button,
    row,
    small_button,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from qtpy.QtGui import QPixmap

    from napari_hush.config import Configuration
    from napari_hush.quality import DataReport
    from napari_hush.widgets.inspect.check_task import Patch
    from napari_hush.widgets.theme.theme import Colours

_Checked = tuple["Image", str, "Configuration | None"]
"""A layer, its axes, and the settings to cut patches with."""

SIDE = 84
"""Width and height of an image in pixels."""
DELAY_MS = 300
"""Milliseconds from the last change to the check."""


class CheckPanel(QWidget):
    """Checks the noise of the layer that it watches, in the background.

    Results are kept per layer and axes. `configured` returns the settings to cut patches
    with, which the details show; it may raise a HushError.
    """

    checked = Signal(object)
    """`report` or `is_pending` has changed; has the `DataReport`, or None."""
    accepted = Signal(object, object, object)
    """The suggestion is accepted: method, axis and span of the noise (or None)."""

    def __init__(
        self,
        colours: Colours,
        configured: Callable[[], Configuration],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._colours = colours
        self._configured = configured
        self._layer: Image | None = None
        self._axes = ""
        self._known: WeakKeyDictionary[Image, dict[str, DataCheckResult]] = (
            WeakKeyDictionary()
        )
        self._patches: tuple[Patch, ...] = ()
        self._cut_for: _Checked | None = None
        self._told: DataCheckResult | None = None
        """The last report that `checked` was emitted for."""
        self._checking: _Checked | None = None
        self._run = Run(self, self._on_result)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self.setObjectName("check_panel")

        # ---- widgets
        self._line = WrappedLabel("noise")
        self._open = small_button("fold_check", "▸", "Details of the noise.")
        self._open.setCheckable(True)
        self._open.setAccessibleName("Details of the noise")
        self._details: _Details | None = None

        # ---- layout
        top = row()
        top.addWidget(self._line, 1)
        for button in (self._open, HelpButton("noise")):
            top.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
        self._layout = column(self, spacing=6)
        self._layout.addLayout(top)
        self.hide()

        # ---- connections
        self._open.toggled.connect(self._on_opened)
        self._timer.timeout.connect(self._start)
        self._run.ended.connect(self._on_ended)

    @property
    def report(self) -> DataReport | None:
        """The report on the watched layer; None until it is known, or if there is none."""
        found = self._found()
        return None if found is None else found.report

    @property
    def problem(self) -> str:
        """Why there is no report on the watched layer; empty if there is, or none yet."""
        found = self._found()
        return "" if found is None else found.problem

    @property
    def is_unusable(self) -> bool:
        """Whether the watched layer is constant or has pixels that are not finite."""
        found = self._found()
        return found is not None and found.unusable

    def why_unusable(self, layer: Image, axes: str) -> str:
        """Why no training on the whole of `layer` can work; empty if that is not known."""
        found = self._known.get(layer, {}).get(axes)
        return found.problem if found is not None and found.unusable else ""

    @property
    def is_pending(self) -> bool:
        """Whether a check of the watched layer is due or running."""
        return self._layer is not None and self._found() is None

    def watch(self, layer: Image | None, axes: str) -> None:
        """Check `layer` with `axes` soon, unless that is known; None for no layer."""
        if layer is not self._layer:
            self._cut_for = None  # which would keep a layer that is removed
            self._forget_problem(layer)
        self._layer, self._axes = layer, axes
        self.setVisible(layer is not None)
        self._update()

    def forget(self) -> None:
        """Check the watched layer again: its pixels have changed."""
        if self._layer is not None:
            self._known.pop(self._layer, None)
            self._cut_for = None
            self._update()

    def setColours(self, colours: Colours) -> None:
        """Draw in these colors."""
        self._colours = colours
        self._show_details()

    def _forget_problem(self, layer: Image | None) -> None:
        """Check `layer` again if there was a problem, which may be repaired in place."""
        known = {} if layer is None else self._known.get(layer, {})
        for axes in [axes for axes, found in known.items() if found.problem]:
            del known[axes]

    def _on_refreshed(self, event: Any) -> None:
        event.source.events.set_data.disconnect(self._on_refreshed)
        self._forget_problem(event.source)
        self._update()

    def _found(self) -> DataCheckResult | None:
        """The check of the watched layer, if it is known."""
        return (
            None
            if self._layer is None
            else self._known.get(self._layer, {}).get(self._axes)
        )

    def _update(self) -> None:
        """Show what is known, and check what is not."""
        found = self._found()
        if found is None:
            text, kind = "Checking the noise …", "plain"
        elif found.report is None:
            text, kind = found.problem, "plain"
            if found.unusable:  # the status line has the reason and the advice
                text = "✗ The noise cannot be measured"
        else:
            text, kind = noise_line(found.report)
        self._line.setText(text if self._layer is not None else "")
        self._line.setToolTip("" if found is None else found.problem)
        mark(self._line, "kind", kind)
        if self._is_wanted() is not None:
            self._timer.start()
        if found is not self._told:
            self._told = found
            self.checked.emit(self.report)
        self._show_details()

    def _is_wanted(self) -> DataCheck | None:
        """The check to start; None if everything to show is known."""
        layer, found = self._layer, self._found()
        if layer is None or (found is not None and found.report is None):
            return None
        configuration = None
        if self._details is not None and self._open.isChecked():
            with suppress(HushError):  # the dock says so
                configuration = self._configured()
        if found is not None and (
            configuration is None or self._cut_for == (layer, self._axes, configuration)
        ):
            return None
        axes = engine_axes(self._axes)
        known = None if found is None else found.report
        return DataCheck(whole_of(layer), axes, layer.name, configuration, known)

    def _start(self) -> None:
        # A check that runs is not stopped: it takes part of a second.
        task = self._is_wanted()
        if task is not None and self._layer is not None and not self._run.state.busy:
            self._checking = self._layer, self._axes, task.configuration
            self._run.start(Activity.CHECKING, task.name, task)

    def _on_result(self, checked: DataCheckResult) -> str:
        if self._checking is not None:
            layer, axes, _ = self._checking
            # Of further patches the report is the known one, which is announced once.
            self._known.setdefault(layer, {}).setdefault(axes, replace(checked, patches=()))
            if checked.patches:
                self._patches, self._cut_for = checked.patches, self._checking
        return ""

    def _on_ended(self) -> None:
        state = self._run.state
        if state.phase is Phase.FAILED and self._checking is not None:
            layer, axes, _ = self._checking
            failed = DataCheckResult(None, problem=state.message)
            self._known.setdefault(layer, {}).setdefault(axes, failed)
            self._patches, self._cut_for = (), self._checking
        if self._checking is not None:
            layer, axes, _ = self._checking
            if self._known[layer][axes].problem and isinstance(layer, Layer):
                layer.events.set_data.connect(self._on_refreshed)
        self._checking = None
        self._update()

    # ---- Details

    def _on_opened(self, opened: bool) -> None:
        self._open.setText("▾" if opened else "▸")
        if opened and self._details is None:
            self._details = _Details()
            self._details.accept.clicked.connect(self._on_accept)
            self._layout.addWidget(self._details)
        if self._details is not None:
            self._details.setVisible(opened)
        self._update()

    def _on_accept(self) -> None:
        if self.report is not None:
            advice = self.report.advice
            struct = advice.method == "structn2v"
            self.accepted.emit(
                METHODS[advice.method],
                advice.axis if struct else None,
                advice.span if struct else None,
            )

    def _show_details(self) -> None:
        if self._details is not None:
            here = self._layer, self._axes
            fitting = self._cut_for is not None and self._cut_for[:2] == here
            patches = self._patches if fitting else ()
            self._details.show_report(self.report, patches, self._colours)
            self._details.accept.setVisible(self._is_other())

    def _is_other(self) -> bool:
        """Whether the suggestion differs from the settings."""
        if self.report is None or self.report.advice.method == "none":
            return False
        with suppress(HushError):
            configuration, advice = self._configured(), self.report.advice
            if method_of(configuration).key != advice.method:
                return True
            masking = configuration.algorithm_config.n2v_config
            shown = masking.struct_mask_axis, masking.struct_mask_span
            return advice.method == "structn2v" and shown != (advice.axis, advice.span)
        return True


class _Details(QWidget):
    """The reason for the suggestion, its pictures and numbers."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)

        # ---- widgets
        self.accept = push_button("accept_suggestion", "", "Use the suggested method.")
        self._reason = WrappedLabel("check_reason")
        self._shares = WrappedLabel("check_shares", role="quiet")
        self._map = _picture("check_map", "Autocorrelation of the noise")
        self._map.setToolTip(
            "Autocorrelation of the noise. N2V needs a single point in the center; a line "
            "means noise that is correlated along an axis."
        )
        self._patches = [
            _picture(f"check_patch_{n}", "Patch with masked pixels") for n in range(PATCHES)
        ]
        self._pictures = QWidget()

        # ---- layout
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
        layout.addWidget(self._reason)
        layout.addWidget(self.accept, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self._pictures)
        layout.addWidget(self._shares)

    def show_report(
        self, report: DataReport | None, patches: tuple[Patch, ...], colours: Colours
    ) -> None:
        """Show `report`, and `patches` if there are any."""
        method = None if report is None else METHODS.get(report.suggestion)
        self._pictures.setVisible(report is not None)
        self._reason.setText("" if report is None else report.reason)
        self._shares.setText("" if report is None else _shares(report))
        if method is not None:
            self.accept.setText(f"Use {method.label}")
        if report is not None:
            noise = report.channels[0].noise
            _show(self._map, picture_of_map(noise.map, colours.mark, colours.glow))
        for number, label in enumerate(self._patches):
            label.setVisible(bool(patches))
            if patches:
                _show(label, picture_of_patch(patches[number], colours.mark))


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
