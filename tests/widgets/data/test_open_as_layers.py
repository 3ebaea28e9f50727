"""Layers have the metadata of their files."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_hush.io import write_tiff
from napari_hush.widgets.data.open_as_layers import open_as_layers


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
