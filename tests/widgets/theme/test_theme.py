from __future__ import annotations

import pytest
from napari.utils.theme import available_themes
from qtpy.QtGui import QColor

from napari_hush.widgets.theme.theme import FOR_LINES, FOR_TEXT, Colours, contrast_ratio


@pytest.mark.parametrize("theme", [name for name in available_themes() if name != "system"])
def test_everything_can_be_read(qapp, theme):
    colours = Colours.of(theme)

    def contrast(one: str, other: str) -> float:
        return contrast_ratio(QColor(one), QColor(other))

    assert contrast(colours.curve, colours.background) >= FOR_LINES
    assert contrast(colours.problem, colours.background) >= FOR_TEXT
    assert contrast(colours.failed, colours.background) >= FOR_TEXT
    assert contrast(colours.muted, colours.background) >= FOR_LINES
    assert contrast(colours.on_accent, colours.accent) >= FOR_LINES
