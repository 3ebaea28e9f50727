"""Layers have the metadata of their files."""

import sys

import numpy as np
import pytest
import tifffile
import zarr
from microscope_files import write_lif
from napari.components import ViewerModel
from PIL import Image

from napari_hush.errors import HushError
from napari_hush.io import write_tiff
from napari_hush.widgets.data import open_as_layers as module
from napari_hush.widgets.data.layers import infer_axes
from napari_hush.widgets.data.open_as_layers import open_as_layers
from napari_hush.widgets.data.training_data import whole_of


def test_a_layer_is_where_its_file_says(tmp_path):
    path = write_tiff(
        tmp_path / "a.tif",
        np.zeros((2, 4, 5), "uint16"),
        "CYX",
        scale={"Y": 0.5, "X": 0.25},
        units={"Y": "µm", "X": "µm"},
        channels=["DAPI", "GFP"],
        position={"Y": 10, "X": -20},
    )
    (layer,) = open_as_layers(ViewerModel(), path)
    assert tuple(layer.scale) == (1, 0.5, 0.25)
    assert tuple(layer.translate) == pytest.approx((0, 10, -20))
    assert [str(unit) for unit in layer.units] == ["pixel", "micrometer", "micrometer"]
    assert layer.metadata == {"path": str(path), "channels": ["DAPI", "GFP"]}


def test_units_that_napari_lacks_are_pixels(tmp_path):
    sizes = {"scale": {"X": 0.5}, "units": {"X": "µm²/?"}}
    path = write_tiff(tmp_path / "a.tif", np.zeros((4, 5), "uint16"), "YX", **sizes)
    (layer,) = open_as_layers(ViewerModel(), path)
    assert {str(unit) for unit in layer.units} == {"pixel"}


def test_each_image_of_a_microscope_file_is_a_layer(tmp_path):
    stack = np.random.default_rng(0).integers(0, 999, (3, 20, 30), "uint16")
    step = {"Z": 5e-7, "Y": 1e-7, "X": 1e-7}
    images = [("one", "ZYX", stack, step), ("two", "YX", stack[0, :9].copy(), step)]
    path = write_lif(tmp_path / "a.lif", images)
    layers = open_as_layers(ViewerModel(), path)
    for number, (layer, (_, axes, pixels, _)) in enumerate(
        zip(layers, images, strict=True)
    ):
        np.testing.assert_array_equal(layer.data, pixels)
        assert tuple(layer.scale) == pytest.approx((0.5, 0.1, 0.1)[-len(axes) :])
        assert layer.metadata["path"] == f"{path}#{number}"


def test_pictures_of_a_folder_are_one_layer(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30), "uint8")
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(tmp_path / f"{number}.png")
    (layer,) = open_as_layers(ViewerModel(), tmp_path)
    np.testing.assert_array_equal(layer.data, pixels)


def test_files_whose_library_is_missing_are_left_to_other_plugins(tmp_path, monkeypatch):
    path = write_lif(tmp_path / "a.lif", [("one", "YX", np.zeros((9, 9), "uint8"), {})])
    monkeypatch.setitem(sys.modules, "liffile", None)
    viewer = ViewerModel()
    with pytest.raises(HushError, match="microscopes"):  # there is no plugin for it
        open_as_layers(viewer, path)
    opened = [viewer.add_image(np.zeros((9, 9)))]
    monkeypatch.setattr(ViewerModel, "open", lambda self, path: opened)
    assert open_as_layers(viewer, path) == opened


@pytest.fixture
def planes():
    return np.random.default_rng(0).normal(100, 10, (3, 24, 32)).astype("float32")


def test_images_of_one_file_are_a_stack(tmp_path, planes):
    with tifffile.TiffWriter(tmp_path / "run.ome.tif") as file:
        for plane in planes:
            file.write(plane, metadata={"axes": "YX", "PhysicalSizeX": 0.5})
    (layer,) = open_as_layers(ViewerModel(), tmp_path / "run.ome.tif")
    assert layer.axis_labels == ("s", "y", "x")
    assert layer.scale[-1] == 0.5
    np.testing.assert_array_equal(np.asarray(layer.data), planes)


def test_images_of_different_shape_are_layers(tmp_path, planes):
    with tifffile.TiffWriter(tmp_path / "run.ome.tif") as file:
        file.write(planes, metadata={"axes": "ZYX"})
        file.write(planes[0], metadata={"axes": "YX"})
    layers = open_as_layers(ViewerModel(), tmp_path / "run.ome.tif")
    assert [layer.data.shape for layer in layers] == [(3, 24, 32), (24, 32)]
    assert layers[1].metadata["path"] == str(tmp_path / "run.ome.tif#1")


# ---- Images at several resolutions


def levels_of(rng, sizes):
    return [rng.integers(0, 999, (2, n, n), "uint16") for n in sizes]


def write_ome_zarr(path, levels):
    group = zarr.open_group(path, mode="w", zarr_format=2)
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": a, "type": "space", "unit": "micrometer"} for a in "yx"]
    datasets = []
    for number, level in enumerate(levels):
        group.create_array(str(number), data=level, chunks=(1, 64, 64))
        step = 0.3 * 2**number
        scale = {"type": "scale", "scale": [1, step, step]}
        datasets.append({"path": str(number), "coordinateTransformations": [scale]})
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": datasets}]
    return path


def write_pyramid(path, levels):
    with tifffile.TiffWriter(path, ome=True) as file:
        metadata = {"axes": "CYX", "PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3}
        file.write(levels[0], subifds=len(levels) - 1, metadata=metadata, tile=(64, 64))
        for level in levels[1:]:
            file.write(level, subfiletype=1, tile=(64, 64))
    return path


@pytest.mark.parametrize(
    ("name", "write"), [("a.ome.zarr", write_ome_zarr), ("a.ome.tif", write_pyramid)]
)
@pytest.mark.parametrize("in_memory", [True, False])
def test_resolutions_are_a_multiscale_layer_that_is_trained_on_at_the_finest(
    tmp_path, monkeypatch, name, write, in_memory
):
    if not in_memory:
        monkeypatch.setattr(module, "IN_MEMORY", 1000)
    levels = levels_of(np.random.default_rng(0), (256, 128, 64))
    (layer,) = open_as_layers(ViewerModel(), write(tmp_path / name, levels))
    assert layer.multiscale
    assert [level.shape for level in layer.data] == [level.shape for level in levels]
    assert tuple(layer.scale) == (1, 0.3, 0.3)
    assert infer_axes(layer) == "CYX"
    whole = whole_of(layer)
    assert isinstance(whole, np.ndarray) == in_memory
    np.testing.assert_array_equal(np.asarray(whole), levels[0])
    low, high = layer.contrast_limits
    assert 0 <= low < 20
    assert 980 < high < 1000


def test_resolutions_of_a_folder_are_a_multiscale_stack(tmp_path):
    levels = levels_of(np.random.default_rng(0), (128, 64))
    for number in range(2):
        write_ome_zarr(tmp_path / f"{number}.zarr", levels)
    (layer,) = open_as_layers(ViewerModel(), tmp_path)
    assert [level.shape for level in layer.data] == [(2, 2, 128, 128), (2, 2, 64, 64)]
    assert infer_axes(layer) == "SCYX"


def test_a_large_image_is_shown_from_a_coarse_level(viewer, tmp_path):
    levels = [np.broadcast_to(np.uint8(7), (1, n, n)) for n in (4096, 1024, 256)]
    path = write_ome_zarr(tmp_path / "a.zarr", levels)
    (layer,) = open_as_layers(viewer, path)
    assert layer.data_level > 0
    assert max(layer._slice.image.raw.shape) <= 1024
