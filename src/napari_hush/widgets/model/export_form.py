"""The form for a BioImage.IO package: authors, description, license, cover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFrame,
    QLabel,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QWidget,
)

from napari_hush.errors import HushError
from napari_hush.widgets.data.layers import engine_axes
from napari_hush.widgets.data.training_data import whole_of
from napari_hush.widgets.model.author_rows import AuthorRows
from napari_hush.widgets.model.fitting import axes_for, why_not_for
from napari_hush.widgets.theme.widgets import (
    column,
    form,
    mark,
    push_button,
    row,
    small_button,
)
from napari_hush.widgets.user_settings import load_setting, save_setting

if TYPE_CHECKING:
    from napari.layers import Image
    from qtpy.QtGui import QShowEvent

    from napari_hush.models import Model

LICENSES = {
    "CC-BY-4.0": "use with attribution",
    "CC0-1.0": "public domain",
    "CC-BY-SA-4.0": "attribution, share alike",
    "CC-BY-NC-4.0": "attribution, not commercial",
    "MIT": "software license",
    "BSD-3-Clause": "software license",
    "Apache-2.0": "software license",
}
"""SPDX identifiers of licenses, with what they are."""
_MARKDOWN = "\nMarkdown is possible."
_FIELDS = {
    "name": "5 to 128 letters, digits, spaces and _ + - ( )",
    "description": "The purpose of the model, in one sentence.",
    "version": "Raise it when you upload the model again.",
    "tags": "Key words, separated by commas.",
    "data": f"Sample, staining, microscope and exposure.{_MARKDOWN}",
    "documentation": f"How and for what to use the model, and its limits.{_MARKDOWN}",
    "citation": "Authors, year and title; the papers of the method are cited in any case.",
    "doi": "DOI of your publication, such as 10.1038/s41592-018-0216-7",
    "cover": "A picture of your own: PNG, JPEG or GIF of at most 500 kB.",
}
"""Help by field."""
_LONG = ("data", "documentation")
_OF_MODEL = ("name", "description", "version", "data", "documentation", "cover")
"""Fields that are filled in again for a model of the same name only."""
_SETTING = "bioimageio"
_COLUMNS = 100
"""Width of the form in characters."""


class ExportForm(QDialog):
    """Asks for the metadata of a package of `model`, and remembers them.

    `name` is that of the model, `image` the name of an image that it denoises, or empty.
    """

    def __init__(
        self, model: Model, name: str, image: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._model_name = name
        self.setWindowTitle("Save model as BioImage.IO package")
        self.setObjectName("export_form")

        # ---- widgets
        self._fields = {key: _field(key, tip) for key, tip in _FIELDS.items()}
        self._authors = AuthorRows()
        self._license = QComboBox()
        self._license.setObjectName("export_license")
        self._license.addItems([f"{key}: {said}" for key, said in LICENSES.items()])
        self._license.setToolTip("What others may do with the model.")
        self._use_image = QCheckBox(f"Show part of “{image}”, noisy and denoised")
        self._use_image.setObjectName("export_use_image")
        self._use_image.setToolTip(
            "The center of the image becomes the cover, and others can test the model on\n"
            "it. Otherwise a simulated pattern is used, and your image is not published."
        )
        self._use_image.setVisible(bool(image))
        self._use_image.setChecked(bool(image))
        self._problem = QLabel()
        self._problem.setObjectName("export_problem")
        self._problem.setProperty("kind", "problem")
        self._problem.setWordWrap(True)
        self._ok = push_button("export_ok", "Save")
        self._ok.setDefault(True)
        self._show_defaults(model)

        # ---- layout
        self._lay_out()

        # ---- connections
        for field in self._fields.values():
            field.textChanged.connect(self._on_edited)
        self._authors.valueChanged.connect(self._on_edited)
        self._ok.clicked.connect(self._on_ok)

        self._restore()
        self._on_edited()

    @property
    def uses_image(self) -> bool:
        """Whether the image becomes test image and cover."""
        return bool(self._use_image.isChecked())

    def value(self) -> dict[str, Any]:
        """Keyword arguments of `CAREamist.export_to_bmz`; empty fields are left out."""
        about = {name: given for _, part in self._parts() for name, given in part.items()}
        found = {
            "friendly_model_name": about["name"],
            "general_description": about["description"],
            "model_version": about["version"],
            "data_description": self._text("data"),
            "documentation": self._text("documentation"),
            "license": self._license.currentText().partition(":")[0],
            "authors": self._authors.value(),
            **{name: about[name] for name in ("tags", "citations", "covers")},
        }
        return {name: given for name, given in found.items() if given}

    def _show_defaults(self, model: Model) -> None:
        """Show in gray the values that stand for empty fields."""
        from napari_hush.interop import About
        from napari_hush.interop.bioimageio_rdf import description_of, name_of

        about = About()
        for name, text in {
            "name": name_of(model, about),
            "description": description_of(model, about),
            "version": about.version,
            "tags": "nuclei, confocal",
            "citation": "Person et al. (2026), Title",
            "doi": "DOI",
            "cover": "made of the image",
        }.items():
            self._fields[name].setPlaceholderText(text)

    def _lay_out(self) -> None:
        rows, page = form(), QWidget()
        cited, cover = row(), row()
        cited.addWidget(self._fields["citation"], 2)
        cited.addWidget(self._fields["doi"], 1)
        choose = small_button("export_cover_choose", "…", _FIELDS["cover"])
        choose.clicked.connect(self._choose_cover)
        cover.addWidget(self._fields["cover"], 1)
        cover.addWidget(choose)
        for label, content in (
            ("Name", self._fields["name"]),
            ("Authors", self._authors),
            ("Description", self._fields["description"]),
            ("Trained on", self._fields["data"]),
            ("Documentation", self._fields["documentation"]),
            ("License", self._license),
            ("Tags", self._fields["tags"]),
            ("Publication", cited),
            ("Version", self._fields["version"]),
            ("Cover", cover),
            ("", self._use_image),
        ):
            rows.addRow(label, content)
        note = QLabel("All fields are optional.")
        note.setProperty("role", "quiet")
        inside = column(page, spacing=8)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.addWidget(note)
        inside.addLayout(rows)
        inside.addStretch(1)
        scroll = QScrollArea()
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidgetResizable(True)
        scroll.setWidget(page)
        cancel = push_button("export_cancel", "Cancel")
        cancel.clicked.connect(self.reject)
        buttons = row()
        buttons.addWidget(self._problem, 1)
        buttons.addWidget(cancel)
        buttons.addWidget(self._ok)
        layout = column(self, spacing=10)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.addWidget(scroll, 1)
        layout.addLayout(buttons)
        self._page = page

    def showEvent(self, event: QShowEvent) -> None:
        """Take the size of the content, as far as the screen has room."""
        super().showEvent(event)
        for widget in self.findChildren(QWidget):
            widget.ensurePolished()  # sets the font and paddings of the theme
        for layout in self.findChildren(QLayout):
            layout.invalidate()
        wanted, screen = self._page.sizeHint(), self.screen().availableGeometry()
        width = max(_COLUMNS * self.fontMetrics().averageCharWidth(), wanted.width() + 60)
        height = wanted.height() + 5 * self.fontMetrics().lineSpacing()
        self.resize(min(width, screen.width()), min(height, round(0.9 * screen.height())))

    def _text(self, name: str) -> str:
        field = self._fields[name]
        long = isinstance(field, QPlainTextEdit)
        return str(field.toPlainText() if long else field.text()).strip()

    def _parts(self) -> Iterator[tuple[QWidget, dict[str, Any]]]:
        """Each field that can be wrong, with its value as in `About`."""
        yield self._fields["name"], {"name": self._text("name")}
        yield self._fields["description"], {"description": self._text("description")}
        version = self._fields["version"]
        yield version, {"version": self._text("version") or version.placeholderText()}
        tags = (tag.strip() for tag in self._text("tags").split(","))
        yield self._fields["tags"], {"tags": tuple(tag for tag in tags if tag)}
        text, doi = self._text("citation"), self._text("doi")
        doi = doi.rpartition("doi.org/")[2].removeprefix("doi:").strip()
        cited = ({"text": text, "doi": doi},) if text or doi else ()
        yield self._fields["doi" if text else "citation"], {"citations": cited}
        cover = self._text("cover")
        covers = (Path(cover).expanduser(),) if cover else ()
        yield self._fields["cover"], {"covers": covers}

    def _checks(self) -> Iterator[tuple[QWidget, Callable[[], object]]]:
        """Each field that can be wrong, with what raises an error if it is."""
        from napari_hush.interop import About
        from napari_hush.interop.bioimageio_about import check_author, check_cover

        for line, number, author in self._authors.parts():
            yield line, partial(check_author, number, author)
        for field, part in self._parts():
            yield field, partial(About, **part)
            for cover in part.get("covers", ()):
                yield field, partial(check_cover, cover)

    def _first_problem(self) -> tuple[QWidget | None, str]:
        for field, check in self._checks():
            try:
                check()
            except HushError as error:
                return field, str(error)
        return None, ""

    def _on_edited(self) -> None:
        wrong, problem = self._first_problem()
        for field in (*self._fields.values(), *self._authors.lines()):
            mark(field, "wrong", field is wrong)
        self._problem.setText(problem)
        self._ok.setEnabled(not problem)
        self._ok.setToolTip(problem or "Write the package.")

    def _on_ok(self) -> None:
        kept: dict[str, Any] = {name: self._text(name) for name in _FIELDS}
        kept |= {"model": self._model_name, "authors": self._authors.value()}
        save_setting(_SETTING, {**kept, "license": self._license.currentIndex()})
        self.accept()

    def _restore(self) -> None:
        """Fill in the last entries."""
        kept = load_setting(_SETTING, {})
        same = kept.get("model") == self._model_name
        for name, field in self._fields.items():
            text = str(kept.get(name, "")) if same or name not in _OF_MODEL else ""
            field.setPlainText(text) if name in _LONG else field.setText(text)
        self._authors.setValue(kept.get("authors", []))
        self._license.setCurrentIndex(int(kept.get("license", 0)))

    def _choose_cover(self) -> None:
        kinds = "Pictures (*.png *.jpg *.jpeg *.gif)"
        start = self._text("cover")
        chosen, _ = QFileDialog.getOpenFileName(self, "Choose a cover", start, kinds)
        if chosen:
            self._fields["cover"].setText(chosen)


def ask_about(
    parent: QWidget,
    model: Model,
    name: str,
    layer: Image | None,
    axes: str,
    then: Callable[[dict[str, Any]], None],
) -> None:
    """Open the form for `model`, called `name`; call `then` when it is accepted.

    `then` gets arguments of `CAREamist.export_to_bmz`. The `layer` with the `axes` can
    become test image and cover if the model denoises it.
    """
    fits = layer is not None and not why_not_for(model, layer, axes)
    dialog = ExportForm(model, name, layer.name if layer and fits else "", parent)

    def accept() -> None:
        about = dialog.value()
        if layer is not None and dialog.uses_image:
            used = engine_axes(axes_for(model, axes))
            about |= {"input_array": whole_of(layer), "axes": used}
        then(about)

    dialog.accepted.connect(accept)
    dialog.finished.connect(dialog.deleteLater)
    dialog.open()


def _field(name: str, tip: str) -> QLineEdit | QPlainTextEdit:
    field: QLineEdit | QPlainTextEdit
    if name in _LONG:
        field = QPlainTextEdit()
        field.setProperty("role", "field")
        field.setTabChangesFocus(True)
        field.setFixedHeight(4 * field.fontMetrics().lineSpacing() + 12)
    else:
        field = QLineEdit()
    field.setObjectName(f"export_{name}")
    field.setToolTip(tip)
    return field
