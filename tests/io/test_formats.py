"""A format that is a row of the table works from listing to pixels."""

import numpy as np
import pytest
import tifffile

from napari_hush.cli import main
from napari_hush.errors import SourceTypeError
from napari_hush.io import ImageMetadata, file_type, list_files, open_images, read_metadata
from napari_hush.io.formats import FORMATS, TIFF_ENDINGS, Endings, Format, format_of
from napari_hush.io.lazy import LazyPixels
from napari_hush.widgets.data.open_as_layers import open_as_layers


class TextPixels(LazyPixels):
    def __init__(self, path):
        self.text = np.loadtxt(path, dtype="float32")
        super().__init__(self.text.shape, self.text.dtype)

    def _read(self, bounds):
        return self.text[tuple(slice(*each) for each in bounds)]


METADATA = ImageMetadata.of("YX", {"Y": 0.5, "X": 0.5}, {})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image of a registered format."""
    made = Format(
        pattern="*.img",
        recognizes=Endings(".img"),
        open=lambda path, axes, level: (TextPixels(path), "YX", METADATA),
        metadata=lambda path, level: METADATA,
    )
    monkeypatch.setitem(FORMATS, "text", made)
    (tmp_path / "deep").mkdir()
    image = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    np.savetxt(tmp_path / "deep" / "a.IMG", image, fmt="%.9g")
    return tmp_path


def test_registered_format(folder):
    file = folder / "deep" / "a.IMG"
    assert file_type(folder, "tiff") == "text"
    assert list_files(folder, "text") == [file]
    assert read_metadata(file) == METADATA
    (image,) = open_images(folder, "text", "YX")
    assert not image.in_memory
    assert image.metadata == METADATA
    np.testing.assert_array_equal(
        image.data[3:5, 7:9], np.loadtxt(file)[3:5, 7:9].astype("f4")
    )
    with pytest.raises(
        SourceTypeError, match=r"a\.txt' does not have the ending of an image"
    ):
        list_files(file.rename(folder / "a.txt"), "text")


def test_registered_format_is_checked_by_the_command(folder, capsys):
    assert main(["check", str(folder / "deep" / "a.IMG")]) == 0
    assert capsys.readouterr().out


def test_registered_format_is_opened_in_the_dock(folder, make_napari_viewer):
    (layer,) = open_as_layers(make_napari_viewer(), folder)
    np.testing.assert_array_equal(layer.scale, [0.5, 0.5])


@pytest.mark.parametrize("name", ["a.tif.aux.xml", "a.tif.txt", "a.tif.part", "a.tif~"])
def test_side_files_are_no_images_by_their_names(tmp_path, name):
    np.savetxt(tmp_path / name, [[0]])
    assert format_of(tmp_path / name) is None


OTHERS = {*TIFF_ENDINGS, ".ome.tif", ".ome.btf", ".TIF"} - {".ndpi", ".companion.ome"}
"""tifffile cannot write NDPI, which has offsets of 64 bits; the other is OME-XML."""


@pytest.mark.parametrize("ending", sorted(OTHERS))
def test_tiff_files_of_other_endings(tmp_path, ending):
    image = np.arange(12, dtype="uint16").reshape(3, 4)
    big = ending.endswith(("btf", "tf8"))
    tifffile.imwrite(tmp_path / "a.tif", image, bigtiff=big, metadata={"axes": "YX"})
    (tmp_path / "a.tif").rename(tmp_path / f"b{ending}")
    assert file_type(tmp_path, "custom") == "tiff"
    (read,) = open_images(tmp_path, "tiff", "YX")
    np.testing.assert_array_equal(read.data[...], image)


def test_every_format_is_named_where_people_look():
    """In ``data_type``, and in the help of the command line, which loads no reader."""
    from typing import get_args

    from napari_hush.cli.main import FILES
    from napari_hush.config.data import DataType

    assert {*FORMATS} == {*get_args(DataType)} - {"array", "custom"}
    for name in {*FORMATS} - {"image"} | {"png", "jpeg", "bmp"}:
        assert name in FILES.lower()


def test_pictures_beside_other_files_are_previews(tmp_path, caplog):
    (tmp_path / "a.czi").write_text("x")
    (tmp_path / "a.png").write_text("x")
    assert file_type(tmp_path, "tiff") == "czi"
    assert list_files(tmp_path, "czi") == [tmp_path / "a.czi"]
    assert "1 of another format" in caplog.text
    (tmp_path / "a.nd2").write_text("x")
    with pytest.raises(SourceTypeError, match="several types"):
        file_type(tmp_path, "tiff")
