"""The form for a BioImage.IO package: each field is checked, and remembered."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPlainTextEdit, QWidget

from napari_hush.careamist import CAREamist
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization
from napari_hush.widgets.model.export_form import LICENSES, ExportForm, ask_about

ORCID = "0000-0002-1825-0097"  # the example of orcid.org


@pytest.fixture
def model(quick):
    config = quick()
    network = config.algorithm_config.model
    return Model(config, UNet(network).eval(), Normalization((1.0,), (1.0,)))


@pytest.fixture
def open_form(qtbot, model):
    """Open the form for a model of this name, with an image or without."""

    def opened(name="cells", image=""):
        form = ExportForm(model, name, image)
        qtbot.addWidget(form)
        form.open()
        return form

    return opened


def field(form, name):
    found = form.findChild(QWidget, f"export_{name}")
    assert found is not None, name
    return found


def write(form, name, text):
    """Type `text` in place of what is there."""
    line = field(form, name)
    QTest.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(line, Qt.Key.Key_Delete)
    QTest.keyClicks(line, text)


def press(form, name):
    QTest.mouseClick(field(form, name), Qt.MouseButton.LeftButton)


def test_nothing_has_to_be_filled_in(open_form):
    form = open_form()
    assert field(form, "problem").text() == ""
    assert field(form, "name").placeholderText() == "quick - Noise2Void 2D"
    press(form, "ok")
    assert form.value() == {"model_version": "0.1.0", "license": "CC-BY-4.0"}
    assert not form.uses_image


def test_all_that_is_entered_is_handed_on(open_form, tmp_path):
    cover = tmp_path / "cover.png"
    cover.write_bytes(b"")
    form = open_form(image="cells.tif")
    for name, text in {
        "name": "Cells (confocal)",
        "author_0": "Ada Person",
        "affiliation_0": "Institute",
        "orcid_0": f"https://orcid.org/{ORCID}",
        "description": "Denoises cells.",
        "data": "Forty cells.",
        "documentation": "For this microscope.",
        "tags": "nuclei, , mouse",
        "citation": "Person (2026), Cells",
        "doi": "https://doi.org/10.1000/182",
        "version": "1.0.0",
        "cover": str(cover),
    }.items():
        write(form, name, text)
    press(form, "add_author")
    write(form, "author_1", "Bo Other")
    write(form, "orcid_1", ORCID.replace("-", ""))
    field(form, "license").setCurrentIndex(1)
    assert field(form, "problem").text() == ""
    assert form.uses_image
    assert form.value() == {
        "friendly_model_name": "Cells (confocal)",
        "authors": [
            {"name": "Ada Person", "affiliation": "Institute", "orcid": ORCID},
            {"name": "Bo Other", "orcid": ORCID},
        ],
        "general_description": "Denoises cells.",
        "data_description": "Forty cells.",
        "documentation": "For this microscope.",
        "tags": ("nuclei", "mouse"),
        "citations": ({"text": "Person (2026), Cells", "doi": "10.1000/182"},),
        "model_version": "1.0.0",
        "covers": (cover,),
        "license": "CC0-1.0",
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("name", "abc", "give 5 to 128 letters"),
        ("name", "Zellen: Übersicht", "give 5 to 128 letters"),
        ("affiliation_0", "Institute", "Author 1 has no name"),
        ("author_0", "A/B", "leave out the slash"),
        ("version", "one", "such as '0.1.0'"),
        ("doi", "10.1000/182", "has no text; give its authors, year and title"),
        ("citation", "Person (2026), Cells", "give one such as 10.1038/"),
        ("cover", "no/such.png", "There is no cover image"),
        ("cover", __file__, "give a PNG, JPEG or GIF of at most 500 kB"),
    ],
)
def test_a_field_that_is_wrong_is_marked_and_explained(open_form, name, text, said):
    form = open_form()
    write(form, name, text)
    problem = field(form, "problem").text()
    assert said in problem
    assert problem.endswith(".")
    wrong = {"affiliation_0": "author_0", "doi": "citation", "citation": "doi"}
    assert field(form, wrong.get(name, name)).property("wrong") is True
    assert not field(form, "ok").isEnabled()
    write(form, name, "")
    assert field(form, "problem").text() == ""
    assert field(form, "ok").isEnabled()


def test_the_field_of_a_wrong_orcid_is_marked(open_form):
    form = open_form()
    write(form, "author_0", "Ada Person")
    write(form, "orcid_0", "0000-0002-1825-0079")
    assert "of Ada Person has a typing error" in field(form, "problem").text()
    assert field(form, "orcid_0").property("wrong") is True
    assert not field(form, "author_0").property("wrong")


def test_authors_are_added_and_removed(open_form):
    form = open_form()
    for number, name in enumerate(("Ada", "Bo", "Cy")):
        if number:
            press(form, "add_author")
        write(form, f"author_{number}", name)
    press(form, "remove_1")
    assert [author["name"] for author in form.value()["authors"]] == ["Ada", "Cy"]
    write(form, "author_1", "Di")
    press(form, "remove_0")
    assert [author["name"] for author in form.value()["authors"]] == ["Di"]
    press(form, "remove_0")
    assert "authors" not in form.value()
    write(form, "author_0", "Ed")
    assert form.value()["authors"] == [{"name": "Ed"}]


def test_the_fields_are_remembered(open_form):
    form = open_form()
    for name, text in {
        "author_0": "Ada",
        "tags": "mouse",
        "name": "My cells",
        "documentation": "For all.",
    }.items():
        write(form, name, text)
    field(form, "license").setCurrentIndex(2)
    press(form, "ok")
    again = open_form().value()
    assert again == form.value()
    other = open_form("nuclei").value()  # the texts are of the other model
    assert other == {
        "authors": [{"name": "Ada"}],
        "tags": ("mouse",),
        "license": list(LICENSES)[2],
        "model_version": "0.1.0",
    }


def test_cancel_remembers_nothing(open_form):
    form = open_form()
    write(form, "tags", "mouse")
    press(form, "cancel")
    assert "tags" not in open_form().value()


@pytest.mark.parametrize(
    ("axes", "shape", "offered", "used"),
    [
        ("YX", (64, 72), True, "YX"),
        ("ZYX", (3, 64, 72), True, "SYX"),
        ("CYX", (3, 64, 72), False, ""),
    ],
)
def test_an_image_that_the_model_denoises_is_offered(
    qtbot, model, tmp_path, axes, shape, offered, used
):
    layer = Image(np.arange(np.prod(shape), dtype=np.float32).reshape(shape), name="cells")
    parent, given = QWidget(), []
    qtbot.addWidget(parent)
    ask_about(parent, model, "cells", layer, axes, given.append)
    (form,) = parent.findChildren(ExportForm)
    assert field(form, "use_image").isVisible() is offered
    press(form, "ok")
    (about,) = given
    assert about.get("axes", "") == used
    CAREamist(model).export_to_bmz(tmp_path / "m.zip", **about)


@pytest.mark.parametrize("points", [9, 18])
def test_the_form_fits_the_screen_and_nothing_is_cut(open_form, points):
    form = open_form(image="cells.tif")
    form.setStyleSheet(f"* {{ font-size: {points}pt; }}")
    form.hide()
    form.open()
    assert form.screen().availableGeometry().height() >= form.height()
    for text in ("name", "description", "license", "orcid_0"):
        widget = field(form, text)
        right = widget.mapTo(form, widget.rect().topRight()).x()
        assert right < form.width()
    assert not any(
        area.verticalScrollBar().isVisible() for area in form.findChildren(QPlainTextEdit)
    )
