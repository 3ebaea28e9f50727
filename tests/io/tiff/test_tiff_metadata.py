"""Metadata that make no sense cost no pixels."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_hush.io import ImageMetadata, open_images, read_image, read_metadata
from napari_hush.io.metadata import number_of, unit_name
from napari_hush.io.tiff.metadata import series_metadata

PLANES = np.random.default_rng(0).integers(100, 900, (6, 8, 9)).astype("uint16")


def planes(path, description, **more):
    """Six pages; the first has this description."""
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(PLANES):
            text = None if number else description
            file.write(
                plane, metadata=None, photometric="minisblack", description=text, **more
            )
    return path


def ome(pixels='PhysicalSizeX="0.5"', inner="", image="", sizes=None):
    sizes = sizes or 'SizeX="9" SizeY="8" SizeC="2" SizeZ="3" SizeT="1"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/'
        f'Schemas/OME/2016-06"><Image ID="Image:0">{image}<Pixels ID="Pixels:0" '
        f'DimensionOrder="XYZCT" Type="uint16" {sizes} {pixels}>'
        f"<Channel/><Channel/><TiffData/>{inner}</Pixels></Image></OME>"
    ).encode()


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.65", 0.65),
        ("0,65", 0.65),
        (" 12,5 ", 12.5),
        ("0,325", 0.325),
        ("-1,5", -1.5),
        ("1,250", None),  # 1.25 or 1250
        ("1,250.5", None),
        ("0,65 µm", None),
        ("NaN", None),
        ("inf", None),
        ("1e999", None),
        (10**400, None),
        (np.float32(0.5), 0.5),
        (True, None),
        ([0.5], None),
        ({"x": 1}, None),
        (b"0.5", None),
        (None, None),
    ],
)
def test_numbers(value, number):
    assert number_of(value) == number


@pytest.mark.parametrize("text", ["\\u00B5m", "\\u00b5m", "\\u03BCm", "µm", "micron"])
def test_micrometers_of_imagej(text):
    assert unit_name(text) == "micrometer"


def test_any_value_is_taken():
    nonsense = [
        None,
        "",
        0,
        -1,
        "big",
        [1],
        {"a": 1},
        float("nan"),
        True,
        b"1",
        1e40,
        object(),
    ]
    for value in nonsense:
        one = {"X": value, "Y": 0.5}
        found = ImageMetadata.of(
            "YX", one, {"X": value, "Y": value}, channels=[value], position={"Y": value}
        )
        assert found.scale == {"Y": 0.5}
        assert found.units in ({}, {"Y": "big"})
        assert set(found.position.values()) <= {0, -1}
        assert found.channels in {(), ("big",), ("0",), ("-1",), ("True",)}
        ImageMetadata.of("YX", value, value, channels=value, position=value)


@pytest.mark.parametrize(
    ("entry", "scale", "unknown"),
    [
        ("spacing=0,3\nunit=micron", {"Z": 0.3, "Y": 1, "X": 1}, ()),
        ("spacing=\nunit=micron", {"Y": 1, "X": 1}, ()),
        ("spacing=wide", {}, ("size of Z = 'wide'",)),
        ("spacing=-2.0", {}, ("size of Z = -2.0",)),
        ("spacing=nan", {}, ("size of Z = nan",)),
        ("spacing=0.0", {}, ()),
        ("spacing=0.5\nspacing=0.7", {"Z": 0.7}, ()),
        ("finterval=0,25", {"T": 0.25}, ()),
        ("finterval=true", {}, ("size of T = True",)),
        ("=\n==\nxyz\nspacing", {}, ()),
    ],
)
def test_descriptions_of_imagej(tmp_path, entry, scale, unknown):
    path = planes(tmp_path / "a.tif", f"ImageJ=1.53t\nimages=6\nslices=6\n{entry}\n")
    pixels, axes = read_image(path)
    np.testing.assert_array_equal(pixels, PLANES)
    assert axes == "ZYX"
    found = read_metadata(path)
    assert found.scale == scale
    assert found.unknown == unknown


@pytest.mark.parametrize(
    "counts",
    ["slices=6,0", "slices=six", "slices=6.5", "slices=-6", "order=7", "frames=\nslices=6"],
)
def test_counts_of_imagej(tmp_path, counts):
    path = planes(tmp_path / "a.tif", f"ImageJ=1.53t\nimages=6\n{counts}\n")
    np.testing.assert_array_equal(open_images(path, "tiff", "ZYX")[0].data[...], PLANES)


@pytest.mark.parametrize(
    ("pixels", "scale", "unknown"),
    [
        ('PhysicalSizeX="0,65"', {"X": 0.65}, 0),
        ('PhysicalSizeX=""', {}, 0),
        ('PhysicalSizeX="unknown"', {}, 1),
        ('PhysicalSizeX="INF" PhysicalSizeY="2"', {"Y": 2}, 1),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="parsec"', {"X": 1}, 0),
        ('PhysicalSizeZ="1,2,3"', {}, 1),
        ('TimeIncrement="soon"', {}, 1),
        ('BigEndian="maybe" SignificantBits="many"', {}, 0),
    ],
)
def test_sizes_of_ome(tmp_path, pixels, scale, unknown):
    path = planes(tmp_path / "a.ome.tif", ome(pixels))
    read, axes = read_image(path)
    np.testing.assert_array_equal(read.reshape(PLANES.shape), PLANES)
    assert axes == "CZYX"
    found = read_metadata(path)
    assert found.scale == scale
    assert len(found.unknown) == unknown


BOMB = (
    "<!DOCTYPE b [<!ENTITY a0 'ha'>"
    + "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(30))
    + "]><OME><b>&a30;</b></OME>"
)


@pytest.mark.parametrize(
    "text",
    [
        ome()[:-20] + b"OME>",
        b"<OME></OME>",
        b"<OME><Image/></OME>",
        b'<o:OME xmlns:o="urn:else"><o:Image><o:Pixels/></o:Image></o:OME>',
        ome(sizes='SizeX="9"'),
        ome(sizes='SizeX="9" SizeY="8" SizeC="2" SizeZ="3" SizeT="99999999999"'),
        ome(sizes='SizeX="9" SizeY="8" SizeC="two" SizeZ="3" SizeT="1"'),
        ome(sizes='SizeX="9" SizeY="8" SizeC="1" SizeZ="3" SizeT="&#49;000000"'),
        ome(inner='<TiffData IFD="0" PlaneCount="200000000"/>'),
        ome(inner='<TiffData NumPlanes="&#50;00000000"/>'),
        ome(image='<ModuloAlongZ Start="0" End="1e9" Step="1"/>'),
        ome().replace(b"<Channel/>", b'<Channel SamplesPerPixel="few"/>', 1),
        ome().replace(b"XYZCT", b"YX"),
        BOMB.encode(),
        b"<OME>" * 3000 + b"</OME>" * 3000,
        '{"shape": [6, 8, 9], "axes": 5}',
        '{"shape": [6, 8, 9], "axes": null}',
        '{"shape": "all"}',
        '{"shape": [6, 8, 9], "axes": ["Z", "Y"]}',
        '{"shape": {"Z": 6}, "axes": "ZYX"}',
        '{"shape": [[6], 8, 9]}',
        '{"shape": [-1, 8, 9]}',
        '{"shape": [0, 8, 9]}',
        '{"shape": [-2, -3, 8, 9]}',
        '{"shape": [6.0, 8, 9.5]}',
        '{"shape": [], "axes": ""}',
    ],
)
def test_pages_whose_description_makes_no_sense_are_a_stack(tmp_path, text, caplog):
    path = planes(tmp_path / "a.tif", text)
    (image,) = open_images(path, "tiff", "ZYX")
    np.testing.assert_array_equal(image.data[...], PLANES)
    assert image.metadata.scale == {}
    said = [r.getMessage() for r in caplog.records if r.name.startswith("napari_hush")]
    assert len(said) == 1
    assert str(path) in said[0]


@pytest.mark.parametrize(
    "entry",
    [
        '"scale": "x"',
        '"scale": {"X": [1]}, "units": 3',
        '"channels": "DAPI"',
        '"position": 1',
    ],
)
def test_sizes_in_json(tmp_path, entry):
    path = planes(tmp_path / "a.tif", f'{{"shape": [6, 8, 9], "axes": "ZYX", {entry}}}')
    pixels, axes = read_image(path)
    np.testing.assert_array_equal(pixels, PLANES)
    assert axes == "ZYX"
    assert read_metadata(path) == ImageMetadata("ZYX")


def test_bytes_that_are_no_text(tmp_path):
    text = b"ImageJ=1.53t\nimages=6\nslices=6\nunit=\xb5m\nspacing=\xff\xfe\n"
    path = planes(tmp_path / "a.tif", text)
    np.testing.assert_array_equal(read_image(path)[0], PLANES)
    assert read_metadata(path).units == {"Y": "micrometer", "X": "micrometer"}


def test_a_thousand_files_alike_are_one_warning(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.WARNING, "napari_hush")
    text = "ImageJ=1.53t\nimages=6\nslices=6\nspacing=wide{}\n"
    for number in range(5):
        planes(tmp_path / f"{number}.tif", text.format(number))
    open_images(tmp_path, "tiff", "ZYX")
    assert [record.getMessage() for record in caplog.records] == [
        f"Some metadata of {str(tmp_path / '0.tif')!r} (size of Z = 'wide0') cannot be "
        "understood and are left out, as are those of 4 other files."
    ]
    open_images(tmp_path / "4.tif", "tiff", "ZYX")
    monkeypatch.chdir(tmp_path)
    open_images("4.tif", "tiff", "ZYX")
    assert len(caplog.records) == 1


def test_channel_names_positions_and_times_of_ome(tmp_path):
    inner = "".join(
        f'<Plane TheC="{c}" TheZ="{z}" TheT="{t}" DeltaT="{1000 + 2500 * t}" '
        'DeltaTUnit="ms" PositionX="-0.25" PositionXUnit="mm" PositionY="7" '
        f'PositionZ="{z + 1}" PositionZUnit="µm"/>'
        for t in range(3)
        for c in range(2)
        for z in range(1)
    )
    xml = ome(
        'PhysicalSizeX="0.5" PhysicalSizeY="500" PhysicalSizeYUnit="nm"',
        inner,
        sizes='SizeX="9" SizeY="8" SizeC="2" SizeZ="1" SizeT="3"',
    ).decode()
    xml = xml.replace("<Channel/>", '<Channel Name="488,561"/>', 1)
    xml = xml.replace("<Channel/>", '<Channel Name="007 &amp; µ"/>', 1)
    path = planes(tmp_path / "a.ome.tif", xml.encode())
    assert read_metadata(path) == ImageMetadata(
        "TCYX",
        {"T": 2.5, "Y": 500, "X": 0.5},
        {"T": "second", "Z": "micrometer", "Y": "nanometer", "X": "micrometer"},
        ("488,561", "007 & µ"),
        {"Z": 1, "Y": 7, "X": pytest.approx(-250)},
    )


def test_channel_names_and_origin_of_imagej(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((2, 3, 8, 9), "uint8"),
        imagej=True,
        resolution=(4, 2),
        metadata={
            "axes": "ZCYX",
            "unit": "um",
            "spacing": 2,
            "xorigin": 10,
            "yorigin": -3,
            "Labels": ["DAPI", "GFP", "", "DAPI", "GFP", ""],
        },
    )
    found = read_metadata(tmp_path / "a.tif")
    assert found.channels == ("DAPI", "GFP", "")
    assert found.position == {"Y": 1.5, "X": -2.5}


@pytest.mark.parametrize(
    "labels", [["a", "b", "c", "d"], ["a"] * 3, [""] * 4, "all", ["a", "b", "a", "c"]]
)
def test_labels_of_planes_are_no_channel_names(tmp_path, labels):
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.zeros((2, 2, 8, 9), "uint8"),
        imagej=True,
        metadata={"axes": "ZCYX", "Labels": labels},
    )
    assert read_metadata(tmp_path / "a.tif").channels == ()


def test_sizes_and_places_of_lsm(tmp_path):
    info = np.zeros((), np.dtype(tifffile.TIFF.CZ_LSMINFO).newbyteorder("<"))
    known = {
        "MagicNumber": 67127628,
        "StructureSize": info.nbytes,
        "DimensionX": 9,
        "DimensionY": 8,
        "DimensionZ": 6,
        "DimensionChannels": 1,
        "DimensionTime": 1,
        "VoxelSizeX": 65e-9,
        "VoxelSizeY": 65e-9,
        "VoxelSizeZ": -1.0,
        "OriginX": 1e-5,
    }
    for key, value in known.items():
        info[key] = value
    tag = (34412, 1, info.nbytes, info.tobytes(), True)
    with tifffile.TiffWriter(tmp_path / "a.tif", byteorder="<") as file:
        plain = {"metadata": None, "photometric": "minisblack"}
        for number, plane in enumerate(PLANES):
            file.write(plane, extratags=[] if number else [tag], **plain)
            file.write(plane[::2, ::2], subfiletype=1, **plain)
    found = read_metadata(tmp_path / "a.tif")
    assert found.scale == pytest.approx({"Y": 0.065, "X": 0.065})
    assert found.units == dict.fromkeys("YX", "micrometer")
    assert found.position == pytest.approx({"X": 10})
    assert found.unknown == ("size of Z = -1000000.0",)


@pytest.mark.parametrize(
    ("known", "scale"),
    [
        ({"XCalibration": 0.1, "YCalibration": 0.2, "CalibrationUnits": "um"}, 2),
        ({"XCalibration": 1.0, "YCalibration": 1.0, "CalibrationUnits": "pixel"}, 0),
        ({"XCalibration": 0, "CalibrationUnits": ""}, 0),
        ({"XCalibration": "?", "CalibrationUnits": "um"}, 0),
        ({}, 0),
    ],
)
def test_sizes_of_stk(known, scale):
    page = SimpleNamespace(samplesperpixel=1)
    series = SimpleNamespace(kind="stk", axes="YX", shape=(8, 9), keyframe=page)
    file = SimpleNamespace(is_ome=False, stk_metadata=known)
    found, named = series_metadata(file, series)
    assert named == "YX"
    assert len(found.scale) == len(found.units) == scale


@pytest.mark.parametrize(
    ("summary", "channels"),
    [
        ({"PixelSize_um": 0.1, "Interval_ms": 500, "ChNames": ["DAPI", "GFP"]}, 2),
        ({"PixelSize_um": [], "Interval_ms": "x", "ChNames": "DAPI"}, 0),
        ("nothing", 0),
    ],
)
def test_names_and_sizes_of_micromanager(summary, channels):
    page = SimpleNamespace(samplesperpixel=1)
    shape = (3, 2, 8, 9)
    series = SimpleNamespace(kind="mmstack", axes="TCYX", shape=shape, keyframe=page)
    file = SimpleNamespace(is_ome=False, micromanager_metadata={"Summary": summary})
    found, _ = series_metadata(file, series)
    assert len(found.channels) == channels
    assert found.scale == ({"T": 0.5, "Y": 0.1, "X": 0.1} if channels else {})


@pytest.mark.parametrize(
    ("entry", "size"), [("0.2520", 0.252), ("0,25", 0.25), ("?", None)]
)
def test_sizes_of_svs(tmp_path, entry, size):
    text = f"Aperio Image Library v1\r\n9x8|AppMag = 40|MPP = {entry}|Left = 1"
    tifffile.imwrite(
        tmp_path / "a.tif",
        PLANES[0],
        metadata=None,
        description=text,
        tile=(16, 16),
        photometric="minisblack",
    )
    found = read_metadata(tmp_path / "a.tif")
    assert found.scale == ({"Y": size, "X": size} if size else {})
