"""CZI, LIF and ND2: all images of a file, with its axes, read by region."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from microscope_files import write_lif, write_nd2

from napari_hush.errors import DataError, HushError, MissingFileError, UnreadableFileError
from napari_hush.io import images_of, open_images, read_metadata

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 2**16, (2, 3, 2, 20, 30), "uint16")
COLORS = RNG.integers(0, 256, (20, 30, 3), "uint8")


def opened(path):
    """All images of a file with the axes that it names."""
    kind = path.name.partition("#")[0].rpartition(".")[2]
    images = images_of(path, kind)
    found = []
    for each in images:
        (image,) = open_images(each, kind, read_metadata(each).axes)
        assert not image.in_memory
        found.append(image)
    return found


def check_regions(image, right):
    """Regions, also in another process and in several threads."""
    assert image.data.shape == right.shape
    assert image.data.dtype == right.dtype
    np.testing.assert_array_equal(image.data, right)
    moved = pickle.loads(pickle.dumps(image.data))  # noqa: S301
    keys = []
    for _ in range(8):
        ends = [sorted(RNG.integers(0, n + 1, 2)) for n in right.shape]
        keys.append(tuple(slice(*pair) for pair in ends))
    with ThreadPoolExecutor(4) as pool:
        for pixels in (image.data, moved):
            for key, found in zip(keys, pool.map(pixels.__getitem__, keys), strict=True):
                np.testing.assert_array_equal(found, right[key])
    assert moved.fingerprint() == image.data.fingerprint()


# ---- LIF


@pytest.mark.parametrize(
    ("stored", "pixels", "axes"),
    [
        ("TZCYX", STACK, "TZCYX"),
        ("ZYX", STACK[0, :, 0].astype("float32"), "ZYX"),
        ("TZCYX", STACK[:1, :1].copy(), "CYX"),
        ("MYX", STACK[0, :, 1], "SYX"),  # tiles of a mosaic
        ("λYX", STACK[0, :, 1], "CYX"),
        ("λCYX", STACK[0], None),  # two kinds of channel: axes are left to the person
        ("ZX", STACK[0, 0, 0], "YX"),  # a scan along Z
        ("YZX", STACK[0, 0], "YZX"),
        ("YXS", COLORS, "YXC"),
    ],
)
def test_lif_axes(tmp_path, stored, pixels, axes):
    path = write_lif(
        tmp_path / "a.lif", [("one", stored, np.ascontiguousarray(pixels), {})]
    )
    assert read_metadata(path).axes == axes
    (image,) = open_images(path, "lif", axes or "SCYX")
    check_regions(image, pixels.squeeze() if axes == "CYX" else pixels)


def test_lif_images(tmp_path):
    step = {"T": 2.0, "Z": 5e-7, "Y": 1e-7, "X": 1e-7}
    images = [
        ("one", "TZCYX", STACK, step),
        ("two", "YXS", COLORS, step),
        ("two", "ZYX", STACK[0, :, 0, :9].copy(), {}),  # the same name
    ]
    path = write_lif(tmp_path / "a.lif", images)
    found = opened(path)
    assert [image.path.name for image in found] == ["a.lif#0", "a.lif#1", "a.lif#2"]
    for image, (_, _, pixels, _) in zip(found, images, strict=True):
        np.testing.assert_array_equal(image.data, pixels)
    known = found[0].metadata
    assert known.scale == pytest.approx({"T": 2, "Z": 0.5, "Y": 0.1, "X": 0.1})
    assert known.units == {"T": "second", **dict.fromkeys("ZYX", "micrometer")}
    assert known.channels == ("Lut 0", "Lut 1")
    assert (found[1].metadata.channels, found[2].metadata.scale) == ((), {})
    (chosen,) = open_images(path, "lif", "ZYX", scene=2)
    np.testing.assert_array_equal(chosen.data, images[2][2])
    with pytest.raises(DataError, match=r"a\.lif' has no image 7"):
        open_images(tmp_path / "a.lif#7", "lif", "YX")


def test_lif_blocks_that_are_missing(tmp_path):
    images = [(name, "YX", STACK[0, 0, 0].copy(), {}) for name in ("one", "two", "three")]
    path = write_lif(tmp_path / "a.lif", images, lost=[1])
    with pytest.raises(DataError, match=r"lacks scene 1 'two' \(all of its pixels\)"):
        open_images(path, "lif", "YX")
    assert len(open_images(tmp_path / "a.lif#2", "lif", "YX")) == 1
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="1200 bytes"):
        open_images(tmp_path / "a.lif#2", "lif", "YX")


def test_lif_colors_in_padded_rows_with_blue_first(tmp_path):
    rows = np.zeros((20, 32, 3), "uint8")
    rows[:, :30] = COLORS[..., ::-1]
    path = write_lif(tmp_path / "a.lif", [("one", "YXS", rows, {})])
    text = path.read_bytes()
    for old, new in (
        ('NumberOfElements="32"', 'NumberOfElements="30"'),
        ('ChannelTag="1"', 'ChannelTag="9"'),
        ('ChannelTag="3"', 'ChannelTag="1"'),
        ('ChannelTag="9"', 'ChannelTag="3"'),
    ):
        assert old.encode("utf-16-le") in text
        text = text.replace(old.encode("utf-16-le"), new.encode("utf-16-le"))
    path.write_bytes(text)
    (image,) = open_images(path, "lif", "YXC")
    check_regions(image, COLORS)


def test_lif_lifetime_recordings_are_left_out_and_said(tmp_path, caplog):
    recording = "<Element Name='f'><Data><SingleMoleculeDetection/></Data></Element>"
    images = [("one", "YX", STACK[0, 0, 0].copy(), {})]
    path = write_lif(tmp_path / "a.lif", images, others=recording)
    assert images_of(path, "lif") == [path]
    assert "lifetime recordings (FLIM)" in caplog.text
    write_lif(path, [], others=recording)
    with pytest.raises(DataError, match=r"a\.lif' has no image"):
        images_of(path, "lif")


# ---- ND2

FRAMES = RNG.integers(0, 2**16, (12, 20, 30, 2), "uint16")


@pytest.mark.parametrize(
    ("loops", "axes"),
    [
        ([("T", 2), ("P", 3), ("Z", 2)], "TZCYX"),
        ([("P", 3), ("T", 4)], "TCYX"),
        ([("Z", 4), ("T", 3)], "TZCYX"),
        ([("T", 12)], "TCYX"),
        ([("P", 12)], "CYX"),
    ],
)
def test_nd2_loops(tmp_path, loops, axes):
    """Each position is an image; time is first, whatever the order of acquisition."""
    path = write_nd2(tmp_path / "a.nd2", FRAMES, loops, names=("DAPI", "GFP"))
    letters = "".join(letter for letter, _ in loops)
    grid = FRAMES.transpose(0, 3, 1, 2).reshape(*(n for _, n in loops), 2, 20, 30)
    order = [letters.index(a) for a in "PTZ" if a in letters]
    right = grid.transpose([*order, *range(len(loops), len(loops) + 3)])
    if "P" not in letters:
        right = right[None]
    found = opened(path)
    assert len(found) == len(right)
    for image, pixels in zip(found, right, strict=True):
        assert image.metadata.axes == axes
        check_regions(image, pixels)
    assert found[0].path.name == ("a.nd2#0" if len(right) > 1 else "a.nd2")


def test_nd2_metadata(tmp_path):
    loops = [("T", 2), ("P", 3), ("Z", 2)]
    path = write_nd2(tmp_path / "a.nd2", FRAMES, loops, names=("DAPI", "GFP"), pixel=0.25)
    known = read_metadata(tmp_path / "a.nd2#1")
    assert known.scale == pytest.approx({"T": 0.5, "Z": 0.5, "Y": 0.25, "X": 0.25})
    assert known.units == {"T": "second", **dict.fromkeys("ZYX", "micrometer")}
    assert known.channels == ("DAPI", "GFP")
    write_nd2(path, FRAMES[:1], names=("DAPI", "GFP"), pixel=0)
    assert read_metadata(path).scale == {}
    write_nd2(path, FRAMES[:1, ..., :1], names=["DAPI"])
    known = read_metadata(path)
    assert (known.axes, known.channels) == ("YX", ("DAPI",))


def test_nd2_metadata_that_make_no_sense_do_not_cost_pixels(tmp_path, caplog):
    path = write_nd2(tmp_path / "a.nd2", FRAMES[:1])
    path.write_bytes(path.read_bytes().replace(b"p\0F\0l\0u\0", b"q\0F\0l\0u\0"))
    (image,) = open_images(path, "nd2", "CYX")
    check_regions(image, FRAMES[0].transpose(2, 0, 1))
    assert image.metadata.scale == {}
    assert "metadata" in caplog.text


def test_nd2_colors(tmp_path):
    path = write_nd2(tmp_path / "a.nd2", COLORS[None], colors=3)
    (image,) = opened(path)
    assert image.metadata.axes == "YXC"
    check_regions(image, COLORS)


def test_nd2_packed_frames(tmp_path):
    path = write_nd2(tmp_path / "a.nd2", FRAMES, [("T", 12)], packed=True)
    (image,) = open_images(path, "nd2", "TCYX")
    check_regions(image, FRAMES.transpose(0, 3, 1, 2))
    assert image.data.chunks == (1, 2, 20, 30)


def test_nd2_acquisition_that_was_stopped_is_used_to_its_last_time_point(tmp_path, caplog):
    loops = [("T", 3), ("Z", 4)]
    path = write_nd2(tmp_path / "a.nd2", FRAMES, loops, lost=range(9, 12))
    (image,) = open_images(path, "nd2", "TZCYX")
    right = FRAMES.transpose(0, 3, 1, 2).reshape(3, 4, 2, 20, 30)
    np.testing.assert_array_equal(image.data, right[:2])
    assert "it has 2 of 3 time points" in caplog.text


@pytest.mark.parametrize("lost", [[2], [11], range(4, 8)])
def test_nd2_frames_that_are_missing(tmp_path, lost):
    """nd2 itself reads zeros for them."""
    path = write_nd2(tmp_path / "a.nd2", FRAMES, [("P", 3), ("Z", 4)], lost=lost)
    lacking = lost[0] // 4
    with pytest.raises(
        DataError, match=rf"lacks scene {lacking} \({len(lost)} of 4 frames"
    ):
        open_images(path, "nd2", "ZCYX")
    for number in {0, 1, 2} - {lacking}:
        assert len(open_images(path, "nd2", "ZCYX", scene=number)) == 1
    with pytest.raises(DataError, match="incomplete"):
        read_metadata(tmp_path / f"a.nd2#{lacking}")


# ---- CZI


def test_czi_scenes(tmp_path):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    sizes = [(20, 30), (12, 9)]
    scenes = [STACK[:, 0, :, :h, :w] for h, w in sizes]
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for number, scene in enumerate(scenes):
            for t, c in np.ndindex(scene.shape[:2]):
                where = {"location": (100 * number, 50), "scene": number}
                file.write(scene[t, c].copy(), plane={"T": t, "C": c}, **where)
        names = {0: "DAPI", 1: "GFP"}
        file.write_metadata("a", channel_names=names, scale_x=1e-7, scale_y=2e-7)
    found = opened(tmp_path / "a.czi")
    assert [image.path.name for image in found] == ["a.czi#0", "a.czi#1"]
    for image, right in zip(found, scenes, strict=True):
        assert image.metadata.axes == "TCYX"
        check_regions(image, right)
        assert image.metadata.scale == pytest.approx({"X": 0.1, "Y": 0.2})
        assert image.metadata.channels == ("DAPI", "GFP")


def with_czi_metadata(path, added):
    """Add elements to the dimensions in the metadata of a CZI file."""
    from pylibCZIrw import czi

    with czi.edit_czi(str(path)) as file, file.edit_session() as session:
        assert "<Dimensions>" in session.get_xml()
        session.set_xml(session.get_xml().replace("<Dimensions>", f"<Dimensions>{added}"))
    return path


@pytest.mark.parametrize(
    ("positions", "step"),
    [
        ("<Interval><Start>0</Start><Increment>33.5</Increment></Interval>", 33.5),
        ("<List><Offsets>0 60 121</Offsets></List>", 60.5),
        ("<List><Offsets>soon</Offsets></List>", None),
        ("<List><Offsets>now then later</Offsets></List>", None),
    ],
)
def test_czi_times_and_places(tmp_path, positions, step):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for t in range(3):
            plane = STACK[0, t, 0].copy()
            file.write(plane, plane={"T": t}, location=(40, -10), scene=0)
        file.write_metadata("a", scale_x=1e-7, scale_y=2e-7)
    added = f"<T><Positions>{positions}</Positions></T>"
    path = with_czi_metadata(tmp_path / "a.czi", added)
    (image,) = opened(path)
    check_regions(image, STACK[0, :, 0])
    known = image.metadata
    assert known.scale.get("T") == step
    assert known.units.get("T") == (step and "second")
    if "now" not in positions:
        assert known.position == pytest.approx({"X": 4, "Y": -2})


def test_czi_that_was_planned_with_more(tmp_path, caplog):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for t in range(2):
            file.write(STACK[0, t, 0].copy(), plane={"T": t})
        file.write_metadata("a")
    path = tmp_path / "a.czi"
    text = path.read_bytes()
    assert b"<SizeT>2</SizeT>" in text
    path.write_bytes(text.replace(b"<SizeT>2</SizeT>", b"<SizeT>9</SizeT>"))
    (image,) = opened(path)
    check_regions(image, STACK[0, :2, 0])
    assert "was not recorded to the end, it has 2 of 9 time points" in caplog.text


def test_czi_metadata_that_make_no_sense_do_not_cost_pixels(tmp_path, caplog):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "a.czi"
    with pyczi.create_czi(str(path)) as file:
        file.write(STACK[0, 0, 0], plane={"T": 0})
        file.write_metadata("a", scale_x=1e-7)
    path.write_bytes(path.read_bytes().replace(b"<SizeT>1</SizeT>", b"<SizeT>1<SizeT/>"))
    (image,) = opened(path)
    check_regions(image, STACK[0, 0, 0])
    assert image.metadata.scale == {}
    assert "metadata" in caplog.text


def test_czi_mosaic_is_one_image(tmp_path):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    whole = RNG.integers(1, 2**16, (40, 60), "uint16")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for y, x in [(0, 0), (0, 30), (20, 0), (20, 30)]:
            tile = whole[y : y + 20, x : x + 30].copy()
            file.write(tile, location=(x - 7, y - 5), scene=0)
    (image,) = opened(tmp_path / "a.czi")
    check_regions(image, whole)


def test_czi_colors_are_red_green_blue(tmp_path):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(np.ascontiguousarray(COLORS[..., ::-1]), plane={"C": 0})
    (image,) = opened(tmp_path / "a.czi")
    assert image.metadata.axes == "YXC"
    check_regions(image, COLORS)


def test_czi_channels_of_several_types(tmp_path):
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        file.write(STACK[0, 0, 0], plane={"C": 0})
        file.write(COLORS[..., 0].copy(), plane={"C": 1})
    (image,) = opened(tmp_path / "a.czi")
    check_regions(image, np.stack([STACK[0, 0, 0], COLORS[..., 0]]))


@pytest.mark.parametrize(
    ("lost", "said", "refused"),
    [
        ([(1, 2, 1)], "it has 1 of 2 time points", ""),
        ([(0, 1, 0)], "", "1 of 12 planes"),
        ([(0, 1, 0), (1, 1, 0)], "", "2 of 12 planes"),
    ],
)
def test_czi_planes_that_are_missing(tmp_path, caplog, lost, said, refused):
    """pylibCZIrw itself reads zeros for them."""
    pyczi = pytest.importorskip("pylibCZIrw.czi")
    with pyczi.create_czi(str(tmp_path / "a.czi")) as file:
        for t, z, c in set(np.ndindex(2, 3, 2)) - set(lost):
            file.write(STACK[t, z, c], plane={"T": t, "C": c, "Z": z})
    if refused:
        with pytest.raises(DataError, match=rf"a\.czi' is incomplete, it lacks {refused}"):
            open_images(tmp_path / "a.czi", "czi", "TCZYX")
        return
    (image,) = open_images(tmp_path / "a.czi", "czi", "CZYX")
    np.testing.assert_array_equal(image.data, STACK[0].swapaxes(0, 1))
    assert said in caplog.text


# ---- all


@pytest.fixture(params=["lif", "nd2", "czi"])
def sound(request, tmp_path):
    """A file with one ZYX image."""
    path = tmp_path / f"a.{request.param}"
    pixels = STACK[0, :, 0].copy()
    if request.param == "lif":
        write_lif(path, [("one", "ZYX", pixels, {})])
    elif request.param == "nd2":
        write_nd2(path, pixels[..., None], [("Z", 3)])
    else:
        pyczi = pytest.importorskip("pylibCZIrw.czi")
        with pyczi.create_czi(str(path)) as file:
            for z, plane in enumerate(pixels):
                file.write(plane, plane={"Z": z})
    return path


def test_a_file_that_changed(sound):
    (image,) = opened(sound)
    sound.write_bytes(sound.read_bytes() + b"more")
    with pytest.raises(UnreadableFileError, match=r"a\.\w+' was changed"):
        image.data[0]
    sound.unlink()
    with pytest.raises(MissingFileError, match=r"a\.\w+'"):
        image.data[0]


def test_other_files_of_that_name(sound):
    kind = sound.suffix[1:]
    sound.write_bytes(b"nonsense" * 99)
    with pytest.raises(
        UnreadableFileError, match=r"a\.\w+' cannot be read as an? [A-Z2]+ f"
    ):
        images_of(sound, kind)


def test_a_library_that_is_not_installed(sound, monkeypatch):
    module = {"lif": "liffile", "nd2": "nd2", "czi": "pylibCZIrw.czi"}[sound.suffix[1:]]
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(HushError, match=r'pip install "napari-hush\[microscopes\]"'):
        read_metadata(sound)
