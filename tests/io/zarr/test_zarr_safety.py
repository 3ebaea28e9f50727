"""Stores that lie about themselves."""

import json
import pickle

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")

from napari_hush.errors import OutOfMemoryError, UnreadableFileError
from napari_hush.io import open_images
from napari_hush.io.zarr.read import open_zarr


def image_group(path, inner):
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    axes = [{"name": a, "type": "space"} for a in "yx"]
    scale = [{"type": "scale", "scale": [1.0, 1.0]}]
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": axes,
            "datasets": [{"path": inner, "coordinateTransformations": scale}],
        }
    ]


@pytest.mark.parametrize("inner", ["../secret", "/etc", "a/../../secret", "..\\secret"])
def test_paths_that_leave_the_store(tmp_path, inner):
    zarr.save_array(str(tmp_path / "secret"), np.ones((8, 8)))
    image_group(tmp_path / "image.zarr", inner)
    with pytest.raises(
        UnreadableFileError, match=r"lies outside of it|not a valid Zarr node name"
    ):
        open_zarr(tmp_path / "image.zarr")


def test_metadata_of_unheard_of_size(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    with (path / ".zarray").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UnreadableFileError, match="should be metadata"):
        open_zarr(path)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"zarr_format": 2, "shape": ' + "[" * 9999]
)
def test_metadata_without_end(tmp_path, text):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / ".zarray").write_text(text)
    with pytest.raises(UnreadableFileError, match="cannot be read as Zarr"):
        open_zarr(path)


def declared(path, shape, chunks, **changes):
    path.mkdir()
    values = {
        "zarr_format": 2,
        "shape": shape,
        "chunks": chunks,
        "dtype": "<f4",
        "compressor": None,
        "filters": None,
        "fill_value": 7,
        "order": "C",
    }
    (path / ".zarray").write_text(json.dumps({**values, **changes}))
    return path


def test_an_image_larger_than_memory_is_read_in_parts_only(tmp_path):
    path = declared(tmp_path / "a.zarr", [10**7, 10**7], [10**6, 10**6])
    (image,) = open_images(path, "zarr", "YX")
    part = image.samples[0][(slice(0, 1), slice(5, 37), slice(9, 41))]
    assert part.shape == (1, 32, 32)
    assert (part == 7).all()
    with pytest.raises(OutOfMemoryError, match="400 TB of memory"):
        image.loaded()


def test_a_chunk_that_is_not_as_large_as_it_should_be(tmp_path):
    path = declared(tmp_path / "a.zarr", [10**6, 10**6], [10**5, 10**5])
    (path / "0.0").write_bytes(bytes(64))
    (image,) = open_images(path, "zarr", "YX")
    with pytest.raises(UnreadableFileError, match="is damaged"):
        image.samples[0][(slice(0, 1), slice(0, 8), slice(0, 8))]


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a chunk was executed",))


@pytest.mark.parametrize("place", ["compressor", "filters"])
def test_a_codec_that_would_execute(tmp_path, place):
    codec = {"id": "pickle"}
    path = declared(
        tmp_path / "a.zarr",
        [8, 8],
        [8, 8],
        **{place: codec if place == "compressor" else [codec]},
    )
    (path / "0.0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UnreadableFileError, match="pickle"):
        open_images(path, "zarr", "YX")[0].data[...]


@pytest.mark.parametrize("attributes", ["3", "1.5", '["a"]', '"words"'])
def test_attributes_that_are_no_mapping(tmp_path, attributes):
    path = declared(tmp_path / "a.zarr", [8, 8], [8, 8])
    (path / ".zattrs").write_text(attributes)
    with pytest.raises(UnreadableFileError, match="cannot be read as Zarr"):
        open_zarr(path)


def test_chunks_that_hold_nothing(tmp_path):
    path = declared(tmp_path / "a.zarr", [8, 8], [0, 8])
    with pytest.raises(UnreadableFileError, match="cannot be read as Zarr"):
        open_zarr(path)


def test_a_level_that_is_a_group(tmp_path):
    image_group(tmp_path / "image.zarr", "0")
    zarr.open_group(str(tmp_path / "image.zarr" / "0"), mode="w", zarr_format=2)
    with pytest.raises(UnreadableFileError, match="is a group, not an array"):
        open_zarr(tmp_path / "image.zarr")


def test_a_level_with_a_name_that_no_file_can_have(tmp_path):
    image_group(tmp_path / "image.zarr", "0" * 3000)
    with pytest.raises(UnreadableFileError, match=r"lacks '0{79} of its level 0"):
        open_zarr(tmp_path / "image.zarr")


@pytest.mark.parametrize("changes", [{"shape": [4, 10**59]}, {"chunks": [1, 10**600]}])
def test_sizes_beyond_any_memory(tmp_path, changes):
    shape, chunks = changes.get("shape", [4, 4]), changes.get("chunks", [2, 2])
    path = declared(tmp_path / "a.zarr", shape, chunks)
    with pytest.raises(UnreadableFileError, match=r"sizes end at 2⁶³ - 1") as caught:
        open_images(path, "zarr", "YX")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("linked", ["c/0/0", "c", "zarr.json"])
def test_links_that_lead_out_of_the_store(tmp_path, linked):
    pixels = np.arange(64, dtype="u2").reshape(8, 8)
    for name in ("ours.zarr", "theirs.zarr"):
        zarr.create_array(tmp_path / name, data=pixels, chunks=(8, 8))
    ours, theirs = (tmp_path / name / linked for name in ("ours.zarr", "theirs.zarr"))
    inside = ours.with_name("moved")
    ours.rename(inside)
    ours.symlink_to(inside)  # it may lead to another place in the store
    (image,) = open_images(tmp_path / "ours.zarr", "zarr", "YX")
    np.testing.assert_array_equal(image.data[:], pixels)
    ours.unlink()
    ours.symlink_to(theirs)
    with pytest.raises(UnreadableFileError, match="leads out of its Zarr store"):
        open_images(tmp_path / "ours.zarr", "zarr", "YX")[0].data[:]


def test_an_array_that_is_a_link_out_of_its_group(tmp_path):
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("0", data=np.ones((8, 8), "u2"))
    zarr.create_array(tmp_path / "other.zarr", data=np.ones((8, 8), "u2"))
    (tmp_path / "group.zarr" / "1").symlink_to(tmp_path / "other.zarr")
    with pytest.raises(UnreadableFileError, match="leads out of its Zarr store"):
        open_images(tmp_path / "group.zarr" / "1", "zarr", "YX")
    (tmp_path / "link.zarr").symlink_to(tmp_path / "group.zarr")  # a store may be a link
    (image,) = open_images(tmp_path / "link.zarr" / "0", "zarr", "YX")
    assert (image.data[:] == 1).all()
