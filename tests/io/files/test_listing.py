import os

import numpy as np
import pytest

from napari_hush.errors import (
    MissingFileError,
    NoPermissionError,
    SourceTypeError,
    UnreadableFileError,
)
from napari_hush.io import (
    RECORD,
    file_type,
    find_images,
    list_files,
    open_images,
    write_tiff,
)
from napari_hush.io.contents import natural_order


def made(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def names_in(folder, files):
    return [file.relative_to(folder).as_posix() for file in files]


@pytest.fixture
def folder(tmp_path):
    made(tmp_path, "b.tif", "a.TIFF", "notes.txt", "deep/c.tif")
    return tmp_path


def test_a_folder_is_searched_with_all_in_it(folder):
    assert names_in(folder, list_files(folder, "tiff")) == ["a.TIFF", "b.tif", "deep/c.tif"]


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
    with pytest.raises(
        SourceTypeError, match=r"notes\.txt' does not have the ending of an image"
    ):
        list_files(folder / "notes.txt", "tiff")


def test_hidden_files_are_left_out(folder):
    made(folder, ".DS_Store", "._a.tif", ".trash/d.tif", "__MACOSX/a.tif", "@eaDir/b.tif")
    assert len(list_files(folder, "tiff")) == 3
    assert len(list_files(folder, "custom")) == 4
    assert list_files(folder / "._a.tif", "tiff") == [folder / "._a.tif"]


def test_side_files_are_left_out(folder):
    made(folder, "a.tif.aux.xml", "b.tif.xml", "a.tfw", "Thumbs.db", "desktop.ini")
    made(folder, "~$b.tif", "b.tif~", "b.tif.bak", "c.tif.part", "d.tiff.crdownload")
    assert len(list_files(folder, "tiff")) == 3
    assert len(list_files(folder, "custom")) == 4
    assert names_in(folder, list_files(folder, "custom", "*.bak")) == ["b.tif.bak"]


def test_what_looks_like_an_image_but_is_left_out_is_said(folder, caplog):
    made(folder, "d.tif.part", "a.tif.aux.xml", "deep/e.czi")
    (folder / "deep" / "f.tif").touch()
    assert len(list_files(folder, "tiff")) == 3
    (said,) = caplog.messages
    top = folder.name
    assert said == (
        f"3 files were skipped: 1 unfinished or backup ('{top}/d.tif.part'), 1 of another "
        f"format ('{top}/deep/e.czi'), 1 empty ('{top}/deep/f.tif')."
    )


def test_a_zarr_store_counts_as_a_file(folder):
    for name in ("d.zarr", "deep/e.ZARR", "plain"):
        (folder / name / "0").mkdir(parents=True)
        made(folder / name / "0", "inside.tif")
    (folder / "plain" / ".zgroup").touch()
    assert len(list_files(folder, "tiff")) == 3
    names = [file.name for file in list_files(folder, "zarr")]
    assert names == ["d.zarr", "e.ZARR", "plain"]
    assert folder / "d.zarr" in list_files(folder, "custom")
    assert list_files(folder / "d.zarr", "custom") == [folder / "d.zarr"]
    assert list_files(folder / "d.zarr", "zarr") == [folder / "d.zarr"]
    with pytest.raises(
        SourceTypeError, match=r"d\.zarr' is of type 'zarr', but the data type"
    ):
        list_files(folder / "d.zarr", "tiff")
    with pytest.raises(
        SourceTypeError, match=r"b\.tif' is of type 'tiff', but the data type"
    ):
        list_files(folder / "b.tif", "zarr")


def test_natural_order(tmp_path):
    ordered = ["A1.tif", "a2.tif", "a10.tif", "run2/t1.tif", "run2/t10.tif", "run10/t2.tif"]
    ordered += ["t.tif", "t01.tif", "t1.tif", "t2.ome.tif", "t2_10.tif", "t2b.tif"]
    made(tmp_path, *reversed(ordered))
    assert names_in(tmp_path, list_files(tmp_path, "tiff")) == ordered
    assert names_in(tmp_path, list_files(tmp_path / "a*.tif", "tiff")) == ordered[1:3]
    names = ordered[::-1]
    assert sorted(names, key=natural_order) == ordered


def test_several_paths_keep_their_order_and_patterns_are_expanded(folder):
    files = list_files([folder / "deep" / "*", folder / "[!a].tif"], "tiff")
    assert names_in(folder, files) == ["deep/c.tif", "b.tif"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("cells_*.tif", ["cells_2.tif", "cells_10.tif"]),
        ("cells_?.tif", ["cells_2.tif"]),
        ("cells_[0-9][0-9].tif", ["cells_10.tif"]),
        ("day*/x.tif", ["day1/x.tif", "day2/x.tif"]),
        ("day*", ["day1/deep/y.tif", "day1/x.tif", "day2/x.tif"]),
        ("**/x.tif", ["day1/x.tif", "day2/x.tif"]),
        ("day1/**", ["day1/deep/y.tif", "day1/x.tif"]),
        ("**/deep", ["day1/deep/y.tif"]),
        ("odd[1].tif", ["odd[1].tif"]),
        ("in[1]/odd_*.tif", ["in[1]/odd_1.tif"]),
    ],
)
def test_patterns(tmp_path, pattern, names, monkeypatch):
    made(tmp_path, "cells_10.tif", "cells_2.tif", "cells_2.tif.part", "cells_2.txt")
    made(tmp_path, "day1/x.tif", "day1/deep/y.tif", "day2/x.tif", "odd[1].tif", "odd1.tif")
    made(tmp_path, "in[1]/odd_1.tif", "in1/odd_1.tif", ".hidden/x.tif")
    assert names_in(tmp_path, list_files(tmp_path / pattern, "tiff")) == names
    monkeypatch.chdir(tmp_path)
    assert [file.as_posix() for file in list_files(pattern, "tiff")] == names


def test_patterns_without_a_match(folder):
    with pytest.raises(MissingFileError, match=r"No file or folder matches '.*x\*\.tif'"):
        list_files(folder / "x*.tif", "tiff")
    with pytest.raises(MissingFileError):
        list_files(folder / "**" / "x.tif", "tiff")
    with pytest.raises(SourceTypeError, match=r"None of the 1 files.*matches '\*\.tif'"):
        list_files(folder / "note*", "tiff")


def test_patterns_of_custom_data_have_folders(tmp_path):
    made(tmp_path, "a.npy", "raw/b.npy", "day/raw/c.npy", "day/raw/deep/d.npy")

    def found(pattern):
        return names_in(tmp_path, list_files(tmp_path, "custom", pattern))

    assert found("raw/*.npy") == ["day/raw/c.npy", "raw/b.npy"]
    assert found("**/raw/*.npy") == found("./raw/*.npy") == found("raw/*.npy")
    assert found("raw/**/*.npy") == ["day/raw/c.npy", "day/raw/deep/d.npy", "raw/b.npy"]
    assert len(found("*.npy")) == 4
    file = tmp_path / "raw" / "b.npy"
    assert list_files(file, "custom", "raw/*.npy") == [file]
    with pytest.raises(SourceTypeError):
        list_files(tmp_path / "a.npy", "custom", "raw/*.npy")


def test_links_are_followed_but_not_for_ever(folder):
    (folder / "deep" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "notes").symlink_to(folder / "notes.txt")
    (folder / "gone.txt").symlink_to(folder / "nothing.txt")  # no image by its name
    assert len(list_files(folder, "tiff")) == 3


@pytest.mark.parametrize("name", ["gone.tif", "deep/gone.TIFF", "run", "round.tif"])
def test_links_to_nothing_are_refused(folder, name):
    (folder / name).symlink_to(folder / (name if name == "round.tif" else "nothing.tif"))
    with pytest.raises(MissingFileError, match=rf"{name}' is a link .*delete the links"):
        list_files(folder, "tiff")
    with pytest.raises(FileNotFoundError, match=name):
        list_files(folder / name, "tiff")


@pytest.mark.parametrize("name", ["n" * 300 + ".tif", "n" * 300, "a\0b.tif", "b.tif/c.tif"])
def test_names_that_no_file_has(folder, name):
    with pytest.raises(MissingFileError) as caught:
        list_files(folder / name, file_type(folder / name, "tiff"))
    assert len(str(caught.value)) < 400


def test_folder_that_may_not_be_read(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    for call in (file_type, list_files):
        with pytest.raises(NoPermissionError, match="You may not read"):
            call(folder, "tiff")
    assert issubclass(NoPermissionError, PermissionError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no pipes")
def test_pipes_are_no_files(folder, caplog):
    os.mkfifo(folder / "pipe.tif")
    assert len(list_files(folder, "tiff")) == 3
    assert "1 pipe or device" in caplog.text
    with pytest.raises(UnreadableFileError, match="is a pipe or device"):
        list_files(folder / "pipe.tif", "tiff")


def test_empty_files_are_refused_by_name(folder):
    for name in ("a.TIFF", "b.tif", "deep/c.tif"):
        (folder / name).write_text("")
    with pytest.raises(SourceTypeError, match=r"no file that matches.*3 empty"):
        open_images(folder, "tiff", "YX")
    says = r"a\.TIFF', .*b\.tif' are empty \(0 bytes\); replace them"
    with pytest.raises(UnreadableFileError, match=says):
        open_images([folder / "a.TIFF", folder / "b.tif"], "tiff", "YX")
    with pytest.raises(UnreadableFileError, match=r"b\.tif' is empty.*replace it"):
        open_images(folder / "b.tif", "tiff", "YX")


RECORDED = {"source": {}, "model": {}, "software": {}}


@pytest.fixture
def results(folder):
    """The folder, with results of every kind of TIFF file in it."""
    pixels = np.zeros((4, 4), "float32")
    for name, axes, dtype, scale in (
        ("clean/imagej.tif", "YX", "float32", {}),
        ("clean/ome.tif", "YX", "int32", {}),
        ("clean/plain.tif", "SYX", "float64", {}),
        ("clean/many.ome.tif", "TYX", "uint16", {"Y": 0.5, "X": 0.5}),
    ):
        shape = (50,) * (len(axes) - 2) + pixels.shape
        array = np.broadcast_to(pixels.astype(dtype), shape)
        (folder / "clean").mkdir(exist_ok=True)
        write_tiff(folder / name, array, axes, record=RECORDED, scale=scale)
    return folder


def test_results_are_no_sources(results, caplog):
    found = find_images(results, "tiff")
    assert names_in(results, found.files) == ["a.TIFF", "b.tif", "deep/c.tif"]
    assert found.folders == [results]
    assert "4 results of napari-hush" in caplog.text
    assert len(list_files(results, "tiff")) == 7
    assert len(find_images(results / "**" / "*.tif", "tiff").files) == 2


def test_results_that_are_given_are_sources(results):
    pattern = results / "clean" / "*.tif"
    assert len(find_images(pattern, "tiff").files) == 4
    assert find_images(results / "clean" / "ome.tif", "tiff").files
    with pytest.raises(SourceTypeError, match=r"results of.*clean/\*\.tif'"):
        find_images(results / "clean", "tiff")


def test_record_of_another_program_is_no_result(tmp_path):
    (tmp_path / "a.tif").write_text(f"mentions {RECORD}")
    assert find_images(tmp_path, "tiff").files == [tmp_path / "a.tif"]


def test_results_in_zarr_are_no_sources(tmp_path):
    zarr = pytest.importorskip("zarr")
    for name, attributes in (("raw.zarr", {}), ("clean.zarr", {RECORD: RECORDED})):
        zarr.open_group(str(tmp_path / name), mode="w").attrs.update(attributes)
    made(tmp_path, "a.tif")
    assert find_images(tmp_path, "zarr").files == [tmp_path / "raw.zarr"]
    (tmp_path / "raw.zarr").rename(tmp_path / ".raw.zarr")
    assert file_type(tmp_path, "array") == "tiff"


def test_folders_and_files_of_other_roles_are_not_searched(folder):
    exclude = [folder / "deep", folder / "b.tif"]
    assert names_in(folder, find_images(folder, "tiff", exclude=exclude).files) == [
        "a.TIFF"
    ]
    assert len(find_images(folder, "tiff", exclude=[folder]).files) == 3


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


def test_listing_opens_no_file(folder, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError("a file was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("os.open", refuse)
    assert len(list_files(folder, "tiff")) == 3
    assert file_type(folder, "array") == "tiff"
