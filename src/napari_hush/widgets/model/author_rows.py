"""Rows of name, affiliation and ORCID, one for each author of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QToolButton, QWidget

from napari_hush.widgets.theme.widgets import column, row, small_button

_FIELDS = {
    "name": ("author", "Name", "Name of the author."),
    "affiliation": ("affiliation", "Affiliation", "Affiliation of the author."),
    "orcid": ("orcid", "ORCID", "Such as 0000-0002-1825-0097; see orcid.org."),
}
"""Name, placeholder and help of the fields, by the key of an author."""


class AuthorRows(QWidget):
    """Lists authors; empty rows are left out.

    The objectNames are ``export_author_0``, ``export_affiliation_0``, ``export_orcid_0``,
    ``export_remove_0`` and so on, and ``export_add_author``.
    """

    valueChanged = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[dict[str, QLineEdit]] = []
        self._list = column()
        add = small_button("export_add_author", "+ Author", "Add an author.")
        add.clicked.connect(self._on_add)
        foot = row()
        foot.addWidget(add)
        foot.addStretch(1)
        layout = column(self)
        layout.addLayout(self._list)
        layout.addLayout(foot)
        self.setValue([])

    def value(self) -> list[dict[str, str]]:
        """Each author, as in `About.authors`."""
        return [author for author in map(_author, self._rows) if author]

    def setValue(self, authors: Sequence[Mapping[str, str]]) -> None:
        """Show `authors`; an empty row if there is none."""
        for _ in range(len(self._rows)):
            self._remove(self._rows[-1])
        for author in authors or [{}]:
            self._add(author)

    def lines(self) -> list[QLineEdit]:
        """All fields."""
        return [line for lines in self._rows for line in lines.values()]

    def parts(self) -> Iterator[tuple[QLineEdit, int, dict[str, str]]]:
        """Each field that can be wrong, the number of its author, and what to check."""
        for number, lines in enumerate(self._rows, 1):
            author = _author(lines)
            if author:
                known = {key: text for key, text in author.items() if key != "orcid"}
                yield lines["name"], number, known
                yield lines["orcid"], number, author

    def _add(self, author: Mapping[str, str]) -> None:
        number, lines, widget = len(self._rows), {}, QWidget()
        layout = row(widget)
        for key, (name, placeholder, tip) in _FIELDS.items():
            line = lines[key] = QLineEdit(str(author.get(key, "")))
            line.setObjectName(f"export_{name}_{number}")
            line.setPlaceholderText(placeholder)
            line.setAccessibleName(f"{placeholder} {number + 1}")
            line.setToolTip(tip)
            line.textChanged.connect(self.valueChanged)
            layout.addWidget(line, 3 if key == "name" else 4)
        remove: QToolButton = small_button(
            f"export_remove_{number}", "\N{MINUS SIGN}", "Remove this author."
        )
        remove.clicked.connect(lambda: self._on_remove(lines))
        layout.addWidget(remove)
        self._rows.append(lines)
        self._list.addWidget(widget)

    def _remove(self, lines: dict[str, QLineEdit]) -> None:
        self._rows.remove(lines)
        widget = lines["name"].parentWidget()
        self._list.removeWidget(widget)
        widget.setParent(None)
        widget.deleteLater()

    def _on_add(self) -> None:
        self._add({})
        self._rows[-1]["name"].setFocus()

    def _on_remove(self, lines: dict[str, QLineEdit]) -> None:
        kept = [_author(others) for others in self._rows if others is not lines]
        self.setValue(kept)  # numbers the fields anew
        self.valueChanged.emit()


def _author(lines: Mapping[str, QLineEdit]) -> dict[str, str]:
    found = {key: line.text().strip() for key, line in lines.items()}
    found["orcid"] = _with_hyphens(found["orcid"])
    return {key: text for key, text in found.items() if text}


def _with_hyphens(orcid: str) -> str:
    """An ORCID that was given as an address or without hyphens, as the format wants it."""
    text = orcid.rstrip("/").rpartition("/")[2].upper()
    if len(text) == 16 and "-" not in text:
        text = "-".join(text[start : start + 4] for start in range(0, 16, 4))
    return text
