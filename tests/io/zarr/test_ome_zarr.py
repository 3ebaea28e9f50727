"""Metadata of OME-Zarr images of every version, and metadata that make no sense."""

import json

import numpy as np
import pytest

zarr = pytest.importorskip("zarr")

from napari_hush.errors import DataError, UnreadableFileError
from napari_hush.io import (
    ImageMetadata,
    load_images,
    named_axes,
    open_images,
    read_metadata,
)

PIXELS = np.random.default_rng(0).integers(1, 999, (2, 12, 14)).astype("uint16")
CYX = [
    {"name": "c", "type": "channel"},
    {"name": "y", "type": "space", "unit": "micrometer"},
    {"name": "x", "type": "space", "unit": "micrometer"},
]
SIZE = {"type": "scale", "scale": [1, 0.2, 0.1]}
SIZES = {"Y": 0.2, "X": 0.1}


def image(path, attributes, version=2, pixels=PIXELS, level="0"):
    group = zarr.create_group(path, zarr_format=version)
    group.attrs.update(attributes)
    array = group.create_array(level, shape=pixels.shape, dtype=pixels.dtype)
    array[...] = pixels
    return path


def one(axes=CYX, steps=(SIZE,), level="0", **more):
    """Attributes of version 0.4."""
    dataset = {"path": level, "coordinateTransformations": list(steps)}
    known = {"version": "0.4", "axes": axes, "datasets": [dataset], **more}
    return {"multiscales": [known]}


def systems(*transformations, **more):
    """Attributes of version 0.6."""
    dataset = {"path": "0", "coordinateTransformations": list(transformations)}
    other = [{"name": "i", "type": "array"}, {"name": "j"}, {"name": "k"}]
    named = [{"name": "array", "axes": other}, {"name": "physical", "axes": CYX}]
    known = {"coordinateSystems": named, "datasets": [dataset], **more}
    return {"ome": {"version": "0.6", "multiscales": [known]}}


OLD = {"datasets": [{"path": "0"}]}
GOAL = {"input": {"path": "0"}, "output": {"name": "physical"}}
VERSIONS = {
    "0.1": ({"multiscales": [{"version": "0.1", **OLD}]}, None, {}),
    "0.3": (
        {"multiscales": [{"version": "0.3", "axes": ["c", "y", "x"], **OLD}]},
        "CYX",
        {},
    ),
    "0.4": (one(), "CYX", SIZES),
    "0.5": ({"ome": {"version": "0.5", **one()}}, "CYX", SIZES),
    "0.6": (systems({**SIZE, **GOAL}), "CYX", SIZES),
    "0.6 with names": (
        systems({**SIZE, "input": "0", "output": "physical"}),
        "CYX",
        SIZES,
    ),
    "0.6 with a sequence": (
        systems({"type": "sequence", "transformations": [SIZE], **GOAL}),
        "CYX",
        SIZES,
    ),
    # This one leads on to another coordinate system.
    "0.6 with a registration": (
        systems(
            {**SIZE, **GOAL},
            coordinateTransformations=[{"type": "scale", "scale": [9, 9, 9]}],
        ),
        "CYX",
        SIZES,
    ),
}


@pytest.mark.parametrize("name", VERSIONS)
@pytest.mark.parametrize("inner", ["", "0"])
def test_versions(tmp_path, name, inner):
    attributes, axes, sizes = VERSIONS[name]
    path = image(tmp_path / "a.zarr", attributes, 3 if "ome" in attributes else 2) / inner
    found = read_metadata(path)
    assert (found.axes, found.scale, found.unknown) == (axes, sizes, ())
    (read,) = load_images(path, "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS)


def test_version_2_has_five_dimensions(tmp_path):
    attributes = {"multiscales": [{"version": "0.2", **OLD}]}
    path = image(tmp_path / "a.zarr", attributes, pixels=PIXELS[None, :, None])
    assert read_metadata(path).axes == "TCZYX"
    with pytest.raises(DataError, match="'TCZYX'"):
        open_images(path, "zarr", "TZCYX", inherited=True)


def test_axes_to_train_on_leave_out_dimensions_of_size_one(tmp_path):
    five = [{"name": "t", "type": "time"}, CYX[0], {"name": "z"}, *CYX[1:]]
    for name, shape, axes in [
        ("a.zarr", (1, 1, 1, 12, 14), "YX"),
        ("b.zarr", (1, 2, 1, 12, 14), "CYX"),
        ("c.zarr", (3, 1, 2, 1, 14), "TZYX"),
    ]:
        pixels = np.ones(shape, "u1")
        assert named_axes(image(tmp_path / name, one(five, ()), pixels=pixels)) == axes


@pytest.mark.parametrize(
    "omero",
    [
        {"channels": [{"label": "DAPI", "color": "FF0000"}, {"label": "GFP"}]},
        {"channels": [{"window": {"min": "low"}, "label": "DAPI"}, {"label": "GFP"}]},
    ],
)
def test_names_of_channels(tmp_path, omero):
    path = image(tmp_path / "a.zarr", {**one(), "omero": omero})
    assert read_metadata(path).channels == ("DAPI", "GFP")


@pytest.mark.parametrize("omero", [None, [], "x", {"channels": 5}, {"channels": [3]}])
def test_display_settings_of_any_shape(tmp_path, omero):
    path = image(tmp_path / "a.zarr", {**one(), "omero": omero})
    assert read_metadata(path) == ImageMetadata(
        "CYX", SIZES, dict.fromkeys("YX", "micrometer")
    )


def test_positions_are_those_of_all_transformations(tmp_path):
    own = [SIZE, {"type": "translation", "translation": [0, 3, 4]}]
    outer = [
        {"type": "scale", "scale": [1, 10, 10]},
        {"type": "translation", "translation": [0, 1, 1]},
    ]
    attributes = one(steps=own, coordinateTransformations=outer)
    found = read_metadata(image(tmp_path / "a.zarr", attributes))
    assert found.scale == {"Y": 2.0, "X": 1.0}
    assert found.position == {"Y": 31.0, "X": 41.0}


@pytest.mark.parametrize(
    ("attributes", "axes", "sizes", "says"),
    [
        (one(axes=CYX[:2]), None, {}, "axes of 3 dimensions"),
        (one(axes="cyx"), None, {}, "axes of 3 dimensions"),
        (one(axes=[*CYX[:2], 5]), None, {"Y": 0.2}, ""),
        (one(axes=[CYX[0], CYX[1], CYX[1]]), None, {}, ""),
        (one(axes=None), None, {}, ""),
        (one(steps=()), "CYX", {}, ""),
        (one(steps=[{"type": "scale"}]), "CYX", {}, "scale of 3"),
        (one(steps=[{"type": "scale", "scale": [1, 2]}]), "CYX", {}, "scale of 3"),
        (one(steps=[{"type": "affine", "affine": [[1]]}]), "CYX", {}, "affine of 3"),
        (
            one(steps=[{"type": "scale", "scale": [1, "0.2", "0,1"]}]),
            "CYX",
            {"Y": 0.2, "X": 0.1},
            "",
        ),
        (
            one(steps=[{"type": "scale", "scale": [1, "wide", 0.1]}]),
            "CYX",
            {"X": 0.1},
            "size of Y = 'wide'",
        ),
        ({"multiscales": [{"datasets": "0"}]}, None, {}, "multiscales = "),
        ({"multiscales": {"datasets": [{"path": "0"}]}}, None, {}, "multiscales = "),
    ],
)
def test_metadata_that_make_no_sense_do_not_cost_pixels(
    tmp_path, caplog, attributes, axes, sizes, says
):
    path = image(tmp_path / "a.zarr", attributes)
    (read,) = load_images(path, "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS)
    assert (read.metadata.axes, read.metadata.scale) == (axes, sizes)
    assert says in " ".join(caplog.messages)
    assert len(caplog.messages) == bool(says)


def test_the_array_that_a_message_advises_can_be_opened(tmp_path):
    path = image(tmp_path / "a.zarr", {"multiscales": [{"datasets": 3}]})
    zarr.open_group(path).create_array("1", shape=(3, 3), dtype="u1")
    with pytest.raises(DataError, match=r"for example '.*a\.zarr/0'"):
        open_images(path, "zarr", "CYX")
    (read,) = load_images(path / "0", "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS)
    (path / ".zattrs").write_text("{")
    (read,) = load_images(path / "0", "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS)


def test_levels_that_were_not_copied(tmp_path):
    attributes = one()
    attributes["multiscales"][0]["datasets"].append({"path": "1"})
    path = image(tmp_path / "a.zarr", attributes, level="1")
    with pytest.raises(
        UnreadableFileError, match=r"lacks '0' of its level 0; .* choose the level 1\."
    ):
        open_images(path, "zarr", "CYX")
    (read,) = load_images(path, "zarr", "CYX", level=1)
    np.testing.assert_array_equal(read.data, PIXELS)


def test_several_multiscales_in_one_group(tmp_path, caplog):
    attributes = one(name="raw")
    attributes["multiscales"] += one(name="clean", level="c0")["multiscales"]
    path = image(tmp_path / "a.zarr", attributes)
    array = zarr.open_group(path).create_array("c0", shape=PIXELS.shape, dtype="u2")
    array[...] = PIXELS + 1
    (read,) = load_images(path, "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS)
    (message,) = caplog.messages
    assert "also holds the multiscale image 'clean' (c0), which is left out" in message
    (read,) = load_images(path / "c0", "zarr", "CYX")
    np.testing.assert_array_equal(read.data, PIXELS + 1)
    assert read.metadata.scale == SIZES


def test_consolidated_metadata(tmp_path):
    path = image(tmp_path / "a.zarr", one())
    zarr.consolidate_metadata(str(path), zarr_format=2)
    assert json.loads((path / ".zmetadata").read_text())
    assert read_metadata(path).scale == SIZES
