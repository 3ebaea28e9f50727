from pathlib import Path

import pytest

from napari_hush.errors import MissingFileError, SourceTypeError, UnreadableFileError
from napari_hush.io import file_type, list_files, open_images, pair_files


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
    with pytest.raises(SourceTypeError, match=r"has no file that matches '\*\.tif'"):
        list_files(tmp_path, "tiff")


def test_a_file_of_another_kind(folder):
    with pytest.raises(SourceTypeError, match=r"notes\.txt.*does not match"):
        list_files(folder / "notes.txt", "tiff")


def test_notes_of_systems_and_programs_are_passed_over(folder):
    for name in (".DS_Store", "._a.tif", ".trash/d.tif"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert len(list_files(folder, "tiff")) == 3
    assert len(list_files(folder, "custom")) == 4
    assert list_files(folder / "._a.tif", "tiff") == [folder / "._a.tif"]


def test_a_zarr_store_counts_as_a_file(folder):
    for name in ("d.zarr", "deep/e.ZARR", "plain"):
        (folder / name / "0").mkdir(parents=True)
        (folder / name / "0" / "inside.tif").touch()
    (folder / "plain" / ".zgroup").touch()
    assert len(list_files(folder, "tiff")) == 3
    names = [file.name for file in list_files(folder, "zarr")]
    assert names == ["d.zarr", "e.ZARR", "plain"]
    assert folder / "d.zarr" in list_files(folder, "custom")
    assert list_files(folder / "d.zarr", "custom") == [folder / "d.zarr"]
    assert list_files(folder / "d.zarr", "zarr") == [folder / "d.zarr"]
    with pytest.raises(SourceTypeError, match=r"Zarr store .*d\.zarr' does not match"):
        list_files(folder / "d.zarr", "tiff")
    with pytest.raises(SourceTypeError, match=r"file .*b\.tif' does not match '\*\.zarr'"):
        list_files(folder / "b.tif", "zarr")


def test_links_are_followed_but_not_for_ever(folder):
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "broken.tif").symlink_to(folder / "nothing.tif")
    assert len(list_files(folder, "tiff")) == 3


def test_empty_files_are_named(folder):
    says = r"a\.TIFF', .*b\.tif', .*c\.tif' are empty \(0 bytes\); replace them"
    with pytest.raises(UnreadableFileError, match=says):
        open_images(folder, "tiff", "YX")
    with pytest.raises(UnreadableFileError, match=r"b\.tif' is empty.*replace it"):
        open_images(folder / "b.tif", "tiff", "YX")
    (folder / "z.tif").touch()
    with pytest.raises(UnreadableFileError, match=r"c\.tif' and 1 more are empty"):
        open_images(folder, "tiff", "YX")


def paths(*names):
    return [Path(name) for name in names]


def test_pairs_go_by_name():
    pairs = pair_files(paths("low/b.tif", "low/a.tif"), paths("high/a.tif", "high/b.tif"))
    assert pairs == [
        (Path("low/b.tif"), Path("high/b.tif")),
        (Path("low/a.tif"), Path("high/a.tif")),
    ]
    assert pair_files([], []) == []


def test_names_that_repeat_go_by_their_folders():
    low, high = paths("low/1/a.tif", "low/2/a.tif"), paths("high/2/a.tif", "high/1/a.tif")
    assert pair_files(low, high) == [(low[0], high[1]), (low[1], high[0])]


@pytest.mark.parametrize(
    ("sources", "targets", "says"),
    [
        (["a.tif", "b.tif"], ["a.tif"], r"2 source.*1 target.*the targets lack 'b\.tif'"),
        (["a.tif"], ["a.tif", "c.tif"], r"the sources lack 'c\.tif'"),
        (["a.tif"], ["b.tif"], r"targets lack 'a\.tif', the sources lack 'b\.tif'"),
        (
            [f"{n}.tif" for n in range(5)],
            [],
            r"lack '0\.tif', '1\.tif', '2\.tif' and 2 more",
        ),
        (["a.tif", "a.tif"], ["x/a.tif"], r"'a\.tif' was given 2 times"),
    ],
)
def test_files_without_a_partner_are_named(sources, targets, says):
    with pytest.raises(SourceTypeError, match=says):
        pair_files(paths(*sources), paths(*targets))


def test_type_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "deep" / "a.zarr").mkdir(parents=True)
    assert file_type(tmp_path, "array") == "zarr"
    assert file_type(tmp_path, "tiff") == "zarr"
    assert file_type([tmp_path / "deep" / "a.zarr"], "tiff") == "zarr"
    assert file_type(tmp_path / "no.tif", "zarr") == "tiff"


def test_type_of_a_folder_with_several(folder):
    (folder / "d.zarr").mkdir()
    assert file_type(folder, "tiff") == "tiff"
    assert file_type(folder, "zarr") == "zarr"
    says = r"3 of type 'tiff' and 1 of type 'zarr'\); give .* example .*\*\.tif"
    with pytest.raises(SourceTypeError, match=says):
        file_type(folder, "array")
