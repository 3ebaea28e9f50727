from __future__ import annotations

import pytest
from napari.utils.theme import available_themes
from qtpy.QtGui import QColor

from napari_hush.widgets.theme.theme import FOR_LINES, FOR_TEXT, Colours


@pytest.mark.parametrize("theme", [name for name in available_themes() if name != "system"])
def test_everything_can_be_read(qapp, theme):
    dressed = Colours.of(theme)

    def contrast(one: str, other: str) -> float:
        return theme._contrast(QColor(one), QColor(other))

    assert contrast(dressed.curve, dressed.background) >= FOR_LINES
    assert contrast(dressed.problem, dressed.background) >= FOR_TEXT
    assert contrast(dressed.failed, dressed.background) >= FOR_TEXT
    assert contrast(dressed.muted, dressed.background) >= FOR_LINES
    assert contrast(dressed.on_accent, dressed.accent) >= FOR_LINES
