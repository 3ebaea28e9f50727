"""Colors and stylesheet of the dock, taken from napari's theme."""

from __future__ import annotations

from dataclasses import dataclass

from napari.utils.theme import get_theme
from qtpy.QtGui import QColor

FOR_TEXT = 4.5
FOR_LINES = 3.0
"""Least contrast ratios of WCAG 2.1, for text and for graphics."""
_GREEN = "#3fb950"
"""napari's themes have no color of success."""


@dataclass(frozen=True)
class Colours:
    """The colors of the dock, as ``#rrggbb``."""

    background: str
    text: str
    muted: str
    """For secondary text, axes of the plot and single steps."""
    line: str
    """Thin lines between groups."""
    raised: str
    """Background of buttons."""
    accent: str
    """Background of the primary button."""
    on_accent: str
    curve: str
    """The accent, with enough contrast for lines on the background."""
    good: str
    problem: str
    failed: str
    mark: str
    """Bright, for marks in images, in all themes."""
    glow: str
    """Bright on black, of another hue than `mark`."""

    @classmethod
    def of(cls, theme: str) -> Colours:
        """Colors of the napari theme with the id `theme`."""
        napari = get_theme(theme)

        def colour(name: str) -> QColor:
            return QColor(getattr(napari, name).as_hex(format="long"))

        background, text, accent = colour("background"), colour("text"), colour("current")
        warning = colour("warning")
        on_accent = max(text, background, key=lambda one: contrast_ratio(one, accent))
        return cls(
            background=background.name(),
            text=text.name(),
            muted=_mix(text, background, 0.45).name(),
            line=colour("primary").name(),
            raised=colour("foreground").name(),
            accent=accent.name(),
            on_accent=on_accent.name(),
            curve=_readable(accent, background, text, FOR_LINES).name(),
            good=_readable(QColor(_GREEN), background, text, FOR_TEXT).name(),
            problem=_readable(warning, background, text, FOR_TEXT).name(),
            failed=_readable(colour("error"), background, text, FOR_TEXT).name(),
            mark=warning.name(),
            glow=max(
                accent,
                _readable(accent, QColor("black"), QColor("white"), FOR_TEXT),
                key=QColor.lightness,
            ).name(),
        )


def stylesheet(colours: Colours) -> str:
    """Rules beyond napari's own stylesheet."""
    return f"""
        QPushButton {{ min-height: 20px; padding: 4px 8px; }}
        QPushButton:disabled {{ padding: 3px 7px; }}  /* napari adds a border */
        QPushButton[lit="true"] {{
            background-color: {colours.accent}; color: {colours.on_accent};
            font-weight: 600;
        }}
        QPushButton:checked {{ border: 2px solid {colours.curve}; padding: 2px 6px; }}
        QLineEdit {{ border: 1px solid transparent; }}
        QLineEdit[wrong="true"] {{ border: 1px solid {colours.problem}; }}
        QPlainTextEdit[role="field"] {{
            background-color: {colours.line}; border: 1px solid transparent;
            border-radius: 2px; padding: 2px;
        }}
        QPlainTextEdit[role="field"]:focus {{ border: 1px solid {colours.curve}; }}
        QPushButton[role="heading"] {{
            text-align: left; background: transparent; border: 1px solid transparent;
            padding: 2px 0px; min-height: 18px;
        }}
        QPushButton[role="heading"]:disabled, QPushButton[role="heading"]:checked {{
            color: {colours.text}; border: 1px solid transparent; padding: 2px 0px;
        }}
        QPushButton#fold_model {{ padding: 2px 0px 2px 5px; }}
        QPushButton[role="heading"]:hover {{ color: {colours.curve}; }}
        QPushButton[role="heading"]:focus {{ border: 1px solid {colours.line}; }}
        QToolButton[role="segment"] {{
            padding: 3px 1px; min-height: 20px; border: 1px solid transparent;
            border-radius: 3px; background-color: {colours.raised};
        }}
        QToolButton[role="segment"]:hover {{ border: 1px solid {colours.muted}; }}
        QToolButton[role="segment"]:focus {{ border: 1px solid {colours.curve}; }}
        QToolButton[role="segment"]:checked {{
            background-color: {colours.accent}; color: {colours.on_accent};
            font-weight: 600;
        }}
        QToolButton[role="segment"]:disabled {{ color: {colours.muted}; }}
        QToolButton[role="chip"] {{
            padding: 3px 2px; min-height: 18px; border: 1px solid transparent;
            border-radius: 3px; background-color: {colours.raised}; font-weight: 600;
        }}
        QToolButton[role="chip"]:focus {{ border: 1px solid {colours.curve}; }}
        QToolButton[role="chip"][wrong="true"] {{ border: 1px solid {colours.problem}; }}
        QToolButton[role="small"] {{
            padding: 3px 7px; min-height: 18px; border-radius: 3px;
            background-color: {colours.raised}; border: 1px solid transparent;
        }}
        QToolButton[role="small"]:focus {{ border: 1px solid {colours.curve}; }}
        QToolButton[role="help"] {{
            color: {colours.muted}; background: transparent; font-weight: 600;
            border: 1px solid transparent; border-radius: 3px; padding: 1px 2px;
        }}
        QToolButton[role="help"]:hover {{ color: {colours.curve}; }}
        QToolButton[role="help"]:focus {{ border: 1px solid {colours.curve}; }}
        QToolButton::menu-indicator, QPushButton::menu-indicator {{
            image: none; width: 0px;
        }}
        QTreeWidget#files_list {{
            border: 1px solid {colours.line}; border-radius: 3px; padding: 2px;
        }}
        QTreeWidget#files_list::item {{ padding: 2px 2px; }}
        QComboBox#scope {{ padding: 3px 2px 3px 6px; }}
        QComboBox#scope::drop-down {{ width: 22px; }}
        LayerField[hover="true"] QComboBox {{ border: 1px solid {colours.curve}; }}
        QFrame[role="target"] {{
            border: 1px dashed {colours.muted}; border-radius: 6px;
        }}
        QFrame[role="target"][hover="true"] {{ border: 1px solid {colours.curve}; }}
        QFrame[role="offer"] {{
            border: 1px solid {colours.curve}; border-radius: 4px;
        }}
        QFrame[role="offer"] QPushButton {{ padding: 4px 5px; }}
        QLabel[role="quiet"] {{ color: {colours.muted}; }}
        QLabel#verdict {{ font-weight: 600; }}
        QLabel[kind="good"] {{ color: {colours.good}; }}
        QLabel[kind="problem"] {{ color: {colours.problem}; }}
        QLabel[kind="failed"] {{ color: {colours.failed}; }}
        QFrame[role="line"] {{
            background-color: {colours.line}; max-height: 1px; padding: 0px;
        }}
        QProgressBar {{ min-height: 6px; max-height: 6px; border: 0px; border-radius: 3px;
            background-color: {colours.line}; }}
        QProgressBar::chunk {{ background-color: {colours.curve}; border-radius: 3px; }}
    """


def _readable(colour: QColor, background: QColor, text: QColor, ratio: float) -> QColor:
    """`colour`, mixed with `text` until its contrast to `background` is `ratio`."""
    for step in range(11):
        mixed = _mix(colour, text, step / 10)
        if contrast_ratio(mixed, background) >= ratio:
            return mixed
    return text


def _mix(one: QColor, other: QColor, share: float) -> QColor:
    return QColor.fromRgbF(
        one.redF() + share * (other.redF() - one.redF()),
        one.greenF() + share * (other.greenF() - one.greenF()),
        one.blueF() + share * (other.blueF() - one.blueF()),
    )


def contrast_ratio(one: QColor, other: QColor) -> float:
    """Contrast ratio of two colors after WCAG 2.1, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)

    red, green, blue = colour.redF(), colour.greenF(), colour.blueF()
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
