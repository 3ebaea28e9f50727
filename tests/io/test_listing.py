import pytest

from napari_hush.errors import MissingFileError, SourceTypeError
from napari_hush.io import list_files


@pytest.fixture
def folder(tmp_path):
    for name in ("b.tif", "a.TIFF", "notes.txt", "deep/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_is_searched_with_all_in_it(folder):
    names = [str(p.relative_to(folder)) for p in list_files(folder, "tiff")]
    assert names == ["a.TIFF", "b.tif", "deep/c.tif"]


def test_several_paths_keep_their_order(folder):
    files = list_files([folder / "b.tif", str(folder / "a.TIFF")], "tiff")
    assert [p.name for p in files] == ["b.tif", "a.TIFF"]


def test_a_pattern_for_custom_data(folder):
    assert [p.name for p in list_files(folder, "custom", "*.txt")] == ["notes.txt"]
    assert len(list_files(folder, "custom")) == 4


def test_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no file or folder"):
        list_files(tmp_path / "no", "tiff")


def test_an_empty_folder(tmp_path):
    with pytest.raises(SourceTypeError, match=r"holds no file that fits '\*\.tif\*'"):
        list_files(tmp_path, "tiff")


def test_a_file_of_another_kind(folder):
    with pytest.raises(SourceTypeError, match=r"notes\.txt.*does not fit"):
        list_files(folder / "notes.txt", "tiff")
