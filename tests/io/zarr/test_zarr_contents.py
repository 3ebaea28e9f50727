"""Zarr stores with many images: plates, wells, collections, and groups of images."""

import shutil
import time

import pytest

zarr = pytest.importorskip("zarr")

from zarr_stores import add_image, collection, plate

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io import load_images, open_images, read_metadata


def values(source, **selection):
    return [int(i.data[0, 0]) for i in load_images(source, "zarr", "YX", **selection)]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_stands_for_all_its_fields(tmp_path, version):
    path = plate(tmp_path / "plate.zarr", version=version)
    assert values(path) == [1, 2, 3, 4, 5, 6]
    assert values(path, field=1) == [2, 4, 6]
    assert values(path / "A/2") == [3, 4]
    assert values([path / "A/2/1", path / "B/10"]) == [4, 5, 6]
    images = open_images(path, "zarr", "YX")
    assert [i.path.relative_to(path).as_posix() for i in images] == [
        *("A/1/0", "A/1/1", "A/2/0", "A/2/1", "B/10/0", "B/10/1")
    ]
    with pytest.raises(DataError, match="has no series, it has fields"):
        open_images(path, "zarr", "YX", series=0)
    with pytest.raises(DataError, match="Field 2 was chosen"):
        open_images(path, "zarr", "YX", field=2)
    says = r"plate\.zarr' holds 6 images \(A/1/0.*for example '.*plate\.zarr/A/1/0'"
    with pytest.raises(DataError, match=says):
        read_metadata(path)


def test_fields_that_were_not_copied(tmp_path):
    path = plate(tmp_path / "plate.zarr")
    shutil.rmtree(path / "A/2/1")
    shutil.rmtree(path / "B/10")
    says = r"lacks field 1 'A/2/1' \(all of it\), field 0 'B/10/0' .*, field 1 'B/10/1'"
    with pytest.raises(DataError, match=says):
        open_images(path, "zarr", "YX")
    with pytest.raises(DataError, match=r"lacks field 1 'A/2/1' .*, field 1 'B/10/1'"):
        open_images(path, "zarr", "YX", field=1)
    assert values([path / "A/1", path / "A/2/0"]) == [1, 2, 3]


def test_a_plate_of_one_field(tmp_path):
    path = plate(tmp_path / "plate.zarr", ["A/1"], 1)
    assert values(path) == [1]
    assert values(path, field=0) == [1]
    assert read_metadata(path).axes == "YX"


@pytest.mark.parametrize(
    "known", [{}, {"wells": 7}, {"wells": [{"path": 3}]}, {"wells": [None]}]
)
def test_a_plate_with_damaged_metadata_is_searched(tmp_path, known):
    path = plate(tmp_path / "plate.zarr")
    zarr.open_group(path).attrs["plate"] = known
    zarr.open_group(path)["A/1"].attrs["well"] = known
    assert values(path) == [1, 2, 3, 4, 5, 6]
    assert values(path / "A/1") == [1, 2]


@pytest.mark.parametrize("name", ["../A/1", "/A/1", "", "."])
def test_wells_outside_of_the_plate(tmp_path, name):
    path = plate(tmp_path / "plate.zarr")
    zarr.open_group(path).attrs["plate"] = {"wells": [{"path": name}]}
    with pytest.raises(UnreadableFileError, match="lies outside of it"):
        open_images(path, "zarr", "YX")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_collection_of_bioformats2raw(tmp_path, version):
    path = collection(tmp_path / "run.zarr", version=version, series=["0", "2", "1"])
    assert values(path) == [1, 3, 2]
    assert values(path, series=1) == [3]
    assert values(path / "2") == [3]


def test_a_collection_without_a_list_of_series(tmp_path):
    path = collection(tmp_path / "run.zarr", 11)
    assert values(path) == [*range(1, 12)]
    images = '<Image ID="a" Name="b"><Pixels/></Image>' * 12
    (path / "OME" / "METADATA.ome.xml").write_text(f"<OME>{images}</OME>")
    with pytest.raises(DataError, match=r"lacks series 11 '11' \(all of it\)"):
        open_images(path, "zarr", "YX")


def test_a_collection_of_one_image(tmp_path):
    path = collection(tmp_path / "run.zarr", 1)
    assert values(path) == [1]
    assert read_metadata(path).axes == "YX"


def test_groups_of_images_without_further_metadata(tmp_path, caplog):
    path = tmp_path / "a.zarr"
    root = zarr.create_group(path)
    for number, name in enumerate(("t1", "t2", "t10", "deep/t0")):
        add_image(root.create_group(name), number + 1, "0.5")
    labels = root.create_group("labels/cells")
    add_image(labels, 9, "0.5")
    (path / ".t3.part").mkdir()
    assert values(path) == [4, 1, 2, 3]
    assert values(path, series=3) == [3]
    assert not caplog.messages
    root.create_array("flat", shape=(2, 2), dtype="u1")
    assert values(path) == [4, 1, 2, 3]
    assert "also holds the array 'flat', which is left out" in caplog.text


def test_plates_and_folders_inside_a_group(tmp_path, caplog):
    path = tmp_path / "a.zarr"
    root = zarr.create_group(path)
    root.create_array("other/raw", shape=(2, 2), dtype="u1")
    inner = plate(path / "one", ["A/1", "A/2"])
    (path / "day1").mkdir()
    add_image(zarr.create_group(path / "day1" / "k"), 9)
    (path / "again").symlink_to(path)
    assert values(path) == [9, 1, 2, 3, 4]
    assert "also holds the array 'other/raw', which is left out" in caplog.text
    shutil.rmtree(inner / "A/2/1")
    with pytest.raises(DataError, match="lacks series 4 'one/A/2/1'"):
        open_images(path, "zarr", "YX")


def test_stores_in_folders_of_a_folder(tmp_path):
    plate(tmp_path / "b" / "plate.zarr")
    collection(tmp_path / "a" / "run.zarr", 2)
    assert values(tmp_path) == [1, 2, 1, 2, 3, 4, 5, 6]


def test_a_large_plate_is_listed_at_once(tmp_path):
    wells = [f"{row}/{column}" for row in "ABCDEFGH" for column in range(1, 13)]
    path = plate(tmp_path / "plate.zarr", wells, 4, images=None)
    mark = (path / "A" / ".zgroup").read_text()
    for well in wells:
        for field in range(4):
            (path / well / str(field)).mkdir()
            (path / well / str(field) / ".zgroup").write_text(mark)
    from napari_hush.io import images_of

    start = time.process_time()
    assert len(images_of(path, "zarr")) == 384
    assert time.process_time() - start < 2
