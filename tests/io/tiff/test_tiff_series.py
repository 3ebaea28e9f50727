"""Everything that a TIFF file names is read, or is missed by name."""

import logging
import os
import pickle
import uuid

import numpy as np
import pytest
import tifffile

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io import Selection, images_of, open_images, read_image, read_tiff
from napari_hush.io.tiff import layout as layout_module
from napari_hush.io.tiff.layout import tiff_contents
from napari_hush.io.tiff.read import TiffPixels

GREY = {"photometric": "minisblack"}
PLANES = np.random.default_rng(0).integers(100, 900, (8, 12, 14)).astype("uint16")


def write_pages(path, planes, description=None, **how):
    """One page per plane, described by a text on the first."""
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(planes):
            text = description if number == 0 else None
            file.write(plane, metadata=None, description=text, **GREY, **how)
    return path


def ome(*images, own="", order="XYZCT"):
    """OME-XML of images ``(sizes, TiffData)`` of 12 x 14 pixels."""
    content = ""
    for number, (sizes, data) in enumerate(images):
        named = {"Z": 1, "C": 1, "T": 1, **sizes}
        text = " ".join(f'Size{a}="{n}"' for a, n in named.items())
        content += (
            f'<Image ID="Image:{number}" Name="p{number}"><Pixels ID="Pixels:{number}" '
            f'DimensionOrder="{order}" Type="uint16" SizeX="14" SizeY="12" {text}>'
            f'<Channel ID="Channel:{number}:0" SamplesPerPixel="1"/>{data}</Pixels></Image>'
        )
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    mine = f' UUID="urn:uuid:{own}"' if own else ""
    return f'<?xml version="1.0"?><OME xmlns="{schema}"{mine}>{content}</OME>'


def data_of(first, file="", own="", **where):
    """A TiffData element of one plane, by default the page `first` of the same file."""
    starts = " ".join(f'First{a}="{n}"' for a, n in where.items())
    name = f'<UUID FileName="{file}">urn:uuid:{own}</UUID>' if file else ""
    return f'<TiffData {starts} IFD="{first}" PlaneCount="1">{name}</TiffData>'


def warnings_of(caplog, path, axes):
    with caplog.at_level(logging.WARNING, "napari_hush"):
        images = open_images(path, "tiff", axes)
    return images, [r.getMessage() for r in caplog.records if r.name.startswith("napari_h")]


# ---- several images in one file


def positions(path):
    with tifffile.TiffWriter(path) as file:
        for plane in PLANES[:3]:
            file.write(plane, metadata={"axes": "YX"})
    return path


def other_shapes(path):
    with tifffile.TiffWriter(path) as file:
        file.write(PLANES[0], metadata={"axes": "YX"})
        file.write(PLANES[1, :10], metadata={"axes": "YX"})
        file.write(PLANES[2, :, :7], metadata={"axes": "YX"})
    return path


def appended_to_imagej(path):
    planes = [PLANES[0], PLANES[1, :10], PLANES[2, :, :7]]
    return write_pages(path, planes, imagej(images=1))


@pytest.mark.parametrize(
    ("name", "make"),
    [("a.ome.tif", positions), ("a.tif", other_shapes), ("a.tif", appended_to_imagej)],
)
def test_every_image_of_a_file_is_read(tmp_path, name, make):
    path = make(tmp_path / name)
    images = open_images(path, "tiff", "YX")
    assert [image.path.name for image in images] == [f"{name}#{n}" for n in range(3)]
    for number, image in enumerate(images):
        wanted = PLANES[number]
        if make is not positions:
            wanted = (wanted, wanted[:10], wanted[:, :7])[number]
        np.testing.assert_array_equal(image.data[...], wanted)
        np.testing.assert_array_equal(image.data[2:4, 1:5], wanted[2:4, 1:5])
        np.testing.assert_array_equal(read_image(path, number)[0], wanted)
        assert read_tiff(f"{path}#{number}").shape == wanted.shape
    (chosen,) = open_images(path, "tiff", "YX", series=1)
    assert chosen.path.name == f"{name}#1"


def test_one_image_of_several_must_be_chosen_to_read_it(tmp_path):
    path = positions(tmp_path / "a.ome.tif")
    for read in (read_image, read_tiff, TiffPixels):
        with pytest.raises(DataError, match=r"holds 3 images; choose one.*a\.ome\.tif#0"):
            read(path)
    with pytest.raises(DataError, match="Series 3 was chosen"):
        read_image(path, 3)
    with pytest.raises(DataError, match="Series 7 was chosen"):
        open_images(f"{path}#7", "tiff", "YX")


def test_series_are_told_apart(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for plane in PLANES[:2]:
            file.write(plane, metadata={"axes": "YX"}, compression="zlib", **GREY)
    one, two = (TiffPixels(f"{path}#{number}") for number in range(2))
    assert one.fingerprint() != two.fingerprint()
    for number, pixels in enumerate((one, two)):
        moved = pickle.loads(pickle.dumps(pixels))  # noqa: S301
        np.testing.assert_array_equal(moved[3:5], PLANES[number, 3:5])
        np.testing.assert_array_equal(moved[...], PLANES[number])


def test_image_of_other_axes_is_named(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(PLANES[0], metadata={"axes": "YX"})
        file.write(PLANES[1:4], metadata={"axes": "ZYX"}, **GREY)
    with pytest.raises(DataError, match=r"a\.tif#1"):
        open_images(path, "tiff", "YX")


# ---- slides and pyramids


def slide(path):
    """As Aperio writes them: image, thumbnail, coarser level, label, macro image."""
    tiles = {"tile": (16, 16), "photometric": "rgb", "metadata": None}
    strips = {"photometric": "rgb", "metadata": None}
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (64, 96, 3)).astype("uint8")
    with tifffile.TiffWriter(path) as file:
        file.write(image, description="Aperio Image Library\n|MPP = 0.5", **tiles)
        file.write(image[::8, ::8], description="Aperio thumbnail", **strips)
        file.write(image[::4, ::4], description="Aperio level", **tiles)
        file.write(image[:20, :20], subfiletype=1, description="Aperio label", **strips)
        file.write(image[:20, :40], subfiletype=9, description="Aperio macro", **strips)
    return image


def test_label_and_macro_image_of_a_slide_are_left_out(tmp_path, caplog):
    wanted = slide(tmp_path / "a.svs")
    images, said = warnings_of(caplog, tmp_path / "a.svs", "YXC")
    assert [image.path.name for image in images] == ["a.svs"]
    np.testing.assert_array_equal(images[0].data[...], wanted)
    assert "also holds the thumbnail and the label and the macro, which are" in said[0]
    assert read_image(f"{tmp_path / 'a.svs'}#2")[0].shape == (20, 20, 3)


def test_reduced_pages_are_left_out(tmp_path, caplog):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(PLANES[0], metadata=None)
        file.write(PLANES[0, ::3, ::5], subfiletype=1, metadata=None)
    images, said = warnings_of(caplog, path, "YX")
    np.testing.assert_array_equal(images[0].data[...], PLANES[0])
    assert len(images) == 1
    assert "the reduced image, which is left out" in said[0]


def test_image_of_a_pyramid_is_its_finest_level(tmp_path):
    path = tmp_path / "a.ome.tif"
    fine = np.random.default_rng(0).integers(0, 99, (2, 64, 96)).astype("uint16")
    sizes = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(fine, subifds=2, metadata=sizes, **GREY, tile=(16, 16))
        for step in (2, 4):
            file.write(fine[:, ::step, ::step], subfiletype=1, **GREY, tile=(16, 16))
    np.testing.assert_array_equal(read_image(path)[0], fine)
    coarse = TiffPixels(path, 2)
    np.testing.assert_array_equal(coarse[...], fine[:, ::4, ::4])
    np.testing.assert_array_equal(coarse[1, 3:9], fine[1, ::4, ::4][3:9])
    assert coarse.layout.metadata.scale == {"Y": 1.0, "X": 2.0}
    assert coarse.fingerprint() != TiffPixels(path).fingerprint()
    with pytest.raises(DataError, match=r"Level 3 was chosen.*levels 0 to 2"):
        TiffPixels(path, 3)


# ---- sets of files


@pytest.fixture
def image_set(tmp_path):
    """Three frames of two planes, each frame in a file that describes all."""
    names = [f"t{t}.ome.tif" for t in range(3)]
    ids = [str(uuid.uuid4()) for _ in names]
    data = "".join(
        data_of(z, names[t], ids[t], T=t, Z=z) for t in range(3) for z in range(2)
    )
    for t, name in enumerate(names):
        text = ome(({"T": 3, "Z": 2}, data), own=ids[t])
        write_pages(tmp_path / name, PLANES[2 * t : 2 * t + 2], text)
    return tmp_path, PLANES[:6].reshape(3, 2, 12, 14)


@pytest.mark.parametrize("given", ["t0.ome.tif", "t2.ome.tif", ""])
def test_set_of_files_is_one_image(image_set, given):
    folder, wanted = image_set
    (image,) = open_images(folder / given, "tiff", "TZYX")
    assert image.path == folder / "t0.ome.tif"
    np.testing.assert_array_equal(image.data[...], wanted)
    np.testing.assert_array_equal(image.data[1:, 1, 3:5, 2:9], wanted[1:, 1, 3:5, 2:9])
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    np.testing.assert_array_equal(moved[2, 0], wanted[2, 0])


def test_set_of_packed_files(tmp_path):
    names = ["a.ome.tif", "b.ome.tif"]
    data = "".join(data_of(0, name, f"{n}", T=n) for n, name in enumerate(names))
    for n, name in enumerate(names):
        text = ome(({"T": 2}, data), own=str(n))
        write_pages(tmp_path / name, PLANES[n : n + 1], text, compression="zlib")
    pixels = TiffPixels(tmp_path / "b.ome.tif")
    np.testing.assert_array_equal(pixels[...], PLANES[:2])
    np.testing.assert_array_equal(pixels[1, 4:6], PLANES[1, 4:6])


def test_every_file_of_a_set_must_be_unchanged(image_set):
    folder, wanted = image_set
    pixels = TiffPixels(folder / "t0.ome.tif")
    before = pixels.fingerprint()
    os.utime(folder / "t1.ome.tif", (1, 1))
    np.testing.assert_array_equal(pixels[0], wanted[0])
    with pytest.raises(UnreadableFileError, match=r"t1\.ome\.tif.*was changed"):
        pixels[1]
    assert TiffPixels(folder / "t0.ome.tif").fingerprint() != before


def test_missing_files_of_a_set_are_named(image_set):
    folder, _ = image_set
    (folder / "t1.ome.tif").unlink()
    (folder / "t2.ome.tif").unlink()
    with pytest.raises(DataError) as caught:
        open_images(folder, "tiff", "TZYX")
    path = str(folder / "t0.ome.tif")
    assert str(caught.value) == (
        f"{path!r} is incomplete, it lacks 4 of 6 planes, in 't1.ome.tif' and "
        "'t2.ome.tif'; complete it or leave it out."
    )
    with pytest.raises(DataError, match="4 of 6 planes"):
        TiffPixels(path)


@pytest.mark.parametrize("given", ["a.companion.ome", "t1.ome.tif", ""])
def test_set_of_files_with_a_companion(tmp_path, given):
    names = ["t0.ome.tif", "t1.ome.tif"]
    data = "".join(data_of(0, name, name, T=n) for n, name in enumerate(names))
    (tmp_path / "a.companion.ome").write_text(ome(({"T": 2}, data), own="c"))
    for n, name in enumerate(names):
        text = ome().replace("</OME>", '<BinaryOnly MetadataFile="a.companion.ome"/></OME>')
        write_pages(tmp_path / name, PLANES[n : n + 1], text)
    (image,) = open_images(tmp_path / given, "tiff", "TYX")
    assert image.path == tmp_path / "t0.ome.tif"
    np.testing.assert_array_equal(image.data[...], PLANES[:2])


def test_file_of_a_set_without_its_description(tmp_path, caplog):
    text = ome().replace("</OME>", '<BinaryOnly MetadataFile="a.companion.ome"/></OME>')
    path = write_pages(tmp_path / "a.ome.tif", PLANES[:3], text)
    (image,), said = warnings_of(caplog, path, "TYX")
    np.testing.assert_array_equal(image.data[...], PLANES[:3])
    assert any("'a.companion.ome' describes, which is missing" in text for text in said)


def positions_in_files(folder, there):
    """One position per file, all described in each file."""
    names = [f"p{n}.ome.tif" for n in range(3)]
    images = [({}, data_of(0, name, name)) for name in names]
    for n in there:
        write_pages(folder / names[n], PLANES[n : n + 1], ome(*images, own=names[n]))


def test_positions_in_a_file_each_are_an_image_each(tmp_path):
    positions_in_files(tmp_path, range(3))
    images = open_images(tmp_path, "tiff", "YX")
    assert [image.path.name for image in images] == [f"p{n}.ome.tif" for n in range(3)]
    for n, image in enumerate(images):
        np.testing.assert_array_equal(image.data[...], PLANES[n])
    (one,) = open_images(tmp_path / "p2.ome.tif", "tiff", "YX")
    np.testing.assert_array_equal(one.data[...], PLANES[2])


def test_positions_that_are_missing_are_said(tmp_path, caplog):
    positions_in_files(tmp_path, [0, 2])
    images, said = warnings_of(caplog, tmp_path, "YX")
    for n, image in zip((0, 2), images, strict=True):
        np.testing.assert_array_equal(image.data[...], PLANES[n])
    assert any("lacks image 1 (1 plane, in 'p1.ome.tif')" in text for text in said)


def test_file_that_was_renamed_is_read(tmp_path):
    data = "".join(data_of(n, "old.ome.tif", "1", T=n) for n in range(3))
    path = write_pages(tmp_path / "new.ome.tif", PLANES[:3], ome(({"T": 3}, data)))
    array, axes = read_image(path)
    assert axes == "TYX"
    np.testing.assert_array_equal(array, PLANES[:3])


# ---- planes that are missing


def aborted(path, sizes, there, order="XYZCT"):
    """An OME-TIFF whose planes ``there`` were written, by position along T, C and Z."""
    text = "".join(
        data_of(n, **dict(zip("TCZ", where, strict=True))) for n, where in enumerate(there)
    )
    return write_pages(path, PLANES[: len(there)], ome((sizes, text), order=order))


def in_full(frames, planes):
    return [(t, 0, z) for t in range(frames) for z in range(planes)]


@pytest.mark.parametrize(
    ("sizes", "there", "axes", "shape", "named"),
    [
        ({"T": 8}, in_full(3, 1), "TYX", (3,), "8 frames but holds only 3 complete ones"),
        ({"T": 8}, in_full(1, 1), "TYX", (1,), "8 frames but holds only 1 complete one,"),
        ({"T": 4, "Z": 3}, in_full(2, 3), "TZYX", (2, 3), "4 frames but holds only 2"),
        ({"T": 4, "Z": 3}, in_full(3, 3)[:8], "TZYX", (2, 3), "4 frames but holds only 2"),
        ({"Z": 8}, in_full(1, 5), "ZYX", (5,), "8 planes but holds only 5 complete ones"),
    ],
)
def test_aborted_acquisition(tmp_path, caplog, sizes, there, axes, shape, named):
    path = aborted(tmp_path / "a.ome.tif", sizes, there)
    (image,), said = warnings_of(caplog, path, axes)
    assert image.data.shape == (*shape, 12, 14)
    wanted = PLANES[: np.prod(shape)].reshape(image.data.shape)
    np.testing.assert_array_equal(image.data[...], wanted)
    assert named in said[0]


def test_aborted_acquisition_with_frames_as_the_fast_dimension(tmp_path):
    there = [(t, 0, z) for t in range(2) for z in range(3)]
    path = aborted(tmp_path / "a.ome.tif", {"T": 5, "Z": 3}, there, order="XYTZC")
    array, axes = read_image(path)
    assert (axes, array.shape) == ("ZTYX", (3, 2, 12, 14))
    np.testing.assert_array_equal(array[2, 1], PLANES[5])


@pytest.mark.parametrize(
    ("sizes", "there", "missing"),
    [
        ({"T": 5}, [(0, 0, 0), (2, 0, 0), (4, 0, 0)], "2 of 5 planes"),
        ({"C": 3}, [(0, 0, 0), (0, 1, 0)], "1 of 3 planes"),
        ({"T": 2, "Z": 4}, in_full(1, 3), "5 of 8 planes"),
        ({"T": 3}, [(1, 0, 0), (2, 0, 0)], "1 of 3 planes"),
    ],
)
def test_missing_planes_are_counted(tmp_path, sizes, there, missing):
    path = aborted(tmp_path / "a.ome.tif", sizes, there)
    with pytest.raises(DataError, match=f"incomplete, it lacks {missing}"):
        images_of(path, "tiff")
    with pytest.raises(DataError, match=missing):
        read_image(path)


def test_pages_that_ome_does_not_name(tmp_path, caplog):
    data = "".join(data_of(n, T=n) for n in range(3))
    path = write_pages(tmp_path / "a.ome.tif", PLANES[:5], ome(({"T": 3}, data)))
    (image,), said = warnings_of(caplog, path, "TYX")
    np.testing.assert_array_equal(image.data[...], PLANES[:3])
    assert "2 pages that its metadata do not name" in said[0]


def imagej(**counts):
    return "ImageJ=1.53t\n" + "".join(f"{key}={n}\n" for key, n in counts.items())


@pytest.mark.parametrize("packed", [{}, {"compression": "zlib"}])
@pytest.mark.parametrize(
    ("counts", "pages", "shape"),
    [
        ({"images": 12, "frames": 12}, 5, (5,)),
        ({"images": 12, "slices": 12}, 5, (5,)),
        ({"images": 12, "channels": 2, "slices": 2, "frames": 3}, 8, (2, 2, 2)),
        ({"images": 12, "channels": 2, "slices": 2, "frames": 3}, 7, (1, 2, 2)),
    ],
)
def test_imagej_names_more_planes(tmp_path, caplog, counts, pages, shape, packed):
    path = write_pages(tmp_path / "a.tif", PLANES[:pages], imagej(**counts), **packed)
    (image,), said = warnings_of(caplog, path, "TZCYX" if len(shape) > 1 else "ZYX")
    wanted = PLANES[: np.prod(shape)].reshape(*shape, 12, 14)
    np.testing.assert_array_equal(np.asarray(image.data[...]), wanted)
    assert f"holds only {shape[0]} complete" in said[0]


def test_imagej_names_fewer_planes(tmp_path):
    path = write_pages(tmp_path / "a.tif", PLANES[:5], imagej(images=3, slices=3))
    images = open_images(path, "tiff", "ZYX")
    np.testing.assert_array_equal(images[0].data[...], PLANES[:3])
    np.testing.assert_array_equal(images[1].data[...], PLANES[3:5])


def test_imagej_names_channels_that_are_not_there(tmp_path):
    path = write_pages(tmp_path / "a.tif", PLANES[:2], imagej(images=3, channels=3))
    with pytest.raises(DataError, match="1 of 3 planes"):
        read_image(path)


def test_imagej_stack_of_many_planes_behind_one_page(tmp_path):
    """As ImageJ writes stacks of more than 4 GB."""
    path = tmp_path / "a.tif"
    text = imagej(images=8, slices=8)
    tifffile.imwrite(path, PLANES[0], description=text, metadata=None, **GREY)
    with tifffile.TiffFile(path) as file:
        end = file.pages[0].dataoffsets[0] + PLANES[0].nbytes
    path.write_bytes(path.read_bytes()[:end] + PLANES[1:].tobytes())
    np.testing.assert_array_equal(read_image(path)[0], PLANES)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UnreadableFileError, match="part of it is missing"):
        read_image(path)


@pytest.mark.parametrize("packed", [{}, {"compression": "zlib"}])
def test_shape_in_json_that_is_larger(tmp_path, caplog, packed):
    text = '{"shape": [12, 12, 14], "axes": "TYX"}'
    path = write_pages(tmp_path / "a.tif", PLANES[:5], text, **packed)
    (image,), said = warnings_of(caplog, path, "TYX")
    np.testing.assert_array_equal(image.data[...], PLANES[:5])
    assert "12 frames but holds only 5" in said[0]


# ---- how often a file is read


@pytest.mark.parametrize("settled", [True, False])
def test_file_is_read_once_until_it_changes(tmp_path, monkeypatch, settled):
    path = positions(tmp_path / "a.ome.tif")
    if settled:
        os.utime(path, (1, 1))
    monkeypatch.setattr(layout_module, "_known", [])
    reads = []
    images_in = layout_module.images_in
    monkeypatch.setattr(
        layout_module, "images_in", lambda path: reads.append(path) or images_in(path)
    )
    assert len(tiff_contents(path).images) == 3
    TiffPixels(f"{path}#1")
    assert len(reads) == (1 if settled else 2)
    other_shapes(path)
    assert [TiffPixels(f"{path}#{n}").shape[0] for n in range(3)] == [12, 10, 12]


def test_level_of_a_pyramid_is_chosen(tmp_path):
    fine = np.zeros((64, 96), "uint16")
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(fine, subifds=1, **GREY, tile=(16, 16))
        file.write(fine[::2, ::2], subfiletype=1, **GREY, tile=(16, 16))
    (image,) = open_images(tmp_path, "tiff", "YX", level=1)
    assert image.data.shape == (32, 48)


def test_file_without_an_image(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0\x08\0\0\0" + bytes(2) + bytes(4))
    with pytest.raises(UnreadableFileError, match=r"a\.tif"):
        read_image(path)


def test_all_images_of_a_file_are_said_to_be_used(tmp_path, caplog):
    path = positions(tmp_path / "a.ome.tif")
    with caplog.at_level("INFO"):
        open_images(path, "tiff", "YX")
        assert caplog.messages == [f"All 3 images in {str(path)!r} are used."]
        caplog.clear()
        open_images(f"{path}#1", "tiff", "YX")
        assert not caplog.messages


def test_selection_of_a_folder(tmp_path):
    for name in ("a", "b"):
        positions(tmp_path / f"{name}.ome.tif")
    found = images_of(tmp_path / "a.ome.tif", "tiff", Selection(series=2))
    assert [path.name for path in found] == ["a.ome.tif#2"]
    images = open_images(tmp_path, "tiff", "YX", series=2)
    assert [image.path.name for image in images] == ["a.ome.tif#2", "b.ome.tif#2"]
