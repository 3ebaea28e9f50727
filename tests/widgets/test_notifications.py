"""Warnings and errors during a run."""

import logging

import numpy as np
import pytest

from napari_hush.events import WarningIssued
from napari_hush.widgets.data.layers import of_layer, pixel_size_of
from napari_hush.widgets.notifications import WarningCollector


@pytest.fixture
def cautions():
    return WarningCollector()


def test_each_kind_is_shown_once_in_a_run_and_all_are_logged(
    cautions, notifications, caplog
):
    caplog.set_level(logging.INFO, "napari_hush")
    for words in ("first", "second"):
        cautions.take(WarningIssued("structure", words))
    cautions.take(WarningIssued("saturation", "third"))
    assert notifications() == ["first", "third"]
    assert [r.message for r in caplog.records] == ["first", "second", "third"]
    cautions.begin()
    cautions.take(WarningIssued("structure", "fourth"))
    assert notifications() == ["first", "third", "fourth"]


def test_the_array_has_the_name_of_its_layer():
    event = WarningIssued("noise", "In the array: it is")
    assert of_layer(event, "cells").message == "In “cells”: it is"


@pytest.mark.parametrize(
    ("scale", "units", "wanted"),
    [
        ((0.2, 0.1), ("micrometer", "micrometer"), {"Y": 0.2, "X": 0.1}),
        ((0.2, 0.1), ("pixel", "pixel"), {}),
        (
            (2, 0.2, 0.1),
            ("micrometer", "nanometer", "micrometer"),
            {"Z": 2, "Y": 0.2, "X": 0.1},
        ),
        ((3, 0.2, 0.1), ("pixel", "um", "um"), {"Y": 0.2, "X": 0.1}),
    ],
)
def test_pixel_sizes_of_layers(scale, units, wanted):
    from napari.layers import Image

    layer = Image(np.zeros((4,) * len(scale)), scale=scale, units=units)
    found = pixel_size_of(layer)
    assert found.scale == pytest.approx(wanted)
    if wanted:
        assert found.units["X"] == "micrometer"
