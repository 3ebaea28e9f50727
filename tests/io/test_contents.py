"""Everything that a file holds is used, chosen, or missed by name."""

import logging
from pathlib import Path

import pytest

from napari_hush.errors import DataError
from napari_hush.io import Selection, split_reference
from napari_hush.io.contents import Contents, Part, chosen_images

RUN = Path("run.tif")


def series(*missing: str, **more) -> Contents:
    parts = (Part(Path(f"run.tif#{n}"), n, missing=text) for n, text in enumerate(missing))
    return Contents(RUN, tuple(parts), "series", **more)


def test_all_images_are_chosen() -> None:
    assert chosen_images(series("", "")) == [Path("run.tif#0"), Path("run.tif#1")]


def test_selected_image() -> None:
    assert chosen_images(series("", ""), Selection(series=1)) == [Path("run.tif#1")]


def test_only_image_is_number_0() -> None:
    assert chosen_images(Contents.single(RUN), Selection(series=0)) == [RUN]
    with pytest.raises(DataError, match="only one image, number 0"):
        chosen_images(Contents.single(RUN), Selection(scene=1))


@pytest.mark.parametrize("selection", [Selection(series=2), Selection(scene=0)])
def test_absent_image_is_refused(selection: Selection) -> None:
    with pytest.raises(DataError, match="series"):
        chosen_images(series("", ""), selection)


def test_missing_part_is_named() -> None:
    with pytest.raises(DataError) as caught:
        chosen_images(series("", "3 of 8 planes"))
    assert str(caught.value) == (
        "'run.tif' is incomplete, it lacks series 1 (3 of 8 planes); complete it or choose "
        "a complete series, for example 'run.tif#0'."
    )
    assert chosen_images(series("", "3 of 8 planes"), Selection(series=0))


def test_fields_are_chosen_in_every_well() -> None:
    wells = [Part(Path(f"{well}/{n}"), n) for well in "AB" for n in range(2)]
    chosen = chosen_images(Contents(RUN, tuple(wells), "field"), Selection(field=1))
    assert chosen == [Path("A/1"), Path("B/1")]


def test_left_out_images_are_said(caplog: pytest.LogCaptureFixture) -> None:
    contents = series("", "", left_out=("the label", "the macro image"))
    with caplog.at_level(logging.WARNING):
        chosen_images(contents)
    assert caplog.messages == [
        "'run.tif' also holds the label and the macro image, which are left out."
    ]


def test_reference(tmp_path: Path) -> None:
    assert split_reference(tmp_path / "run.tif#12") == (tmp_path / "run.tif", 12)
    assert split_reference(tmp_path / "run.tif") == (tmp_path / "run.tif", None)
    (odd := tmp_path / "run#1").touch()
    assert split_reference(odd) == (odd, None)
