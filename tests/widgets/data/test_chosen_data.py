"""Layers that are chosen together, and the parts of them to train on."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_hush.widgets.data.chosen_data import ChosenData
from napari_hush.widgets.data.regions import Extent, windows_of


@pytest.fixture
def model():
    return ViewerModel()


@pytest.fixture
def layer(model):
    return model.add_image(
        np.random.default_rng(0).random((3, 64, 72)), name="movie", scale=(1, 0.5, 0.5)
    )


def image(shape=(64, 72), name="image"):
    return Image(np.zeros(shape), name=name)


# ---- Parts


def test_everything_is_the_whole_layer(model, layer):
    (window,) = windows_of(layer, "TYX", Extent.EVERYTHING, model)
    assert window == (slice(0, 3), slice(0, 64), slice(0, 72))


@pytest.mark.parametrize(("axes", "first"), [("TYX", slice(2, 3)), ("ZYX", slice(0, 3))])
def test_the_slice_that_is_shown_is_one_frame_but_a_whole_volume(model, layer, axes, first):
    model.dims.set_point(0, 2)
    (window,) = windows_of(layer, axes, Extent.SLICE, model)
    assert window == (first, slice(0, 64), slice(0, 72))


def test_the_rectangle_around_each_shape_counts_wherever_layers_lie(model, layer):
    shapes = model.add_shapes(
        [np.array([[2, 3], [2, 13], [12, 13], [12, 3]])], shape_type="rectangle"
    )
    shapes.add_ellipses(np.array([[0, 0], [0, 4], [40, 4], [40, 0]]))
    windows = windows_of(layer, "TYX", Extent.SHAPES, model, shapes)
    assert windows[0] == (slice(0, 3), slice(4, 24), slice(6, 26))
    assert windows[1] == (slice(0, 3), slice(0, 64), slice(0, 8))


def test_shapes_beside_the_image_are_nothing_to_learn_from(model, layer):
    away = np.array([[200, 200], [200, 210], [210, 210], [210, 200]])
    shapes = model.add_shapes([away], shape_type="rectangle")
    assert windows_of(layer, "TYX", Extent.SHAPES, model, shapes) == []
    data = ChosenData((layer,), "TYX", extent=Extent.SHAPES, shapes=shapes)
    assert "no shape" in data.nothing_problem(data.windows(model))


def test_the_view_is_what_the_canvas_shows(model, layer):
    layer.corner_pixels = np.array([[0, 10, 20], [0, 29, 51]])
    (window,) = windows_of(layer, "TYX", Extent.VIEW, model)
    assert window[1:] == (slice(10, 30), slice(20, 52))
    assert window[0].stop - window[0].start == 1


def test_targets_and_masks_are_cut_like_their_images(model):
    noisy = model.add_image(np.random.default_rng(0).random((64, 72)), name="noisy")
    target = model.add_image(noisy.data + 1, name="target")
    mask = model.add_labels(np.ones((64, 72), int))
    box = np.array([[4, 6], [4, 30], [40, 30], [40, 6]])
    shapes = model.add_shapes([box, box + 10], shape_type="rectangle")
    data = ChosenData(
        (noisy,), "YX", (target,), mask=(mask,), extent=Extent.SHAPES, shapes=shapes
    )
    pixels = data.pixels(model, needs_targets=True)
    assert len(pixels.noisy) == len(pixels.target) == len(pixels.mask) == 2
    assert np.array_equal(pixels.noisy[1] + 1, pixels.target[1])
    assert pixels.noisy[0].shape == pixels.mask[0].shape == (36, 24)


def test_a_colour_layer_is_learned_from_without_its_alpha(model):
    layer = model.add_image(np.zeros((64, 72, 4), np.uint8), rgb=True)
    pixels = ChosenData((layer,), "YXC").pixels(model, needs_targets=False)
    assert pixels.noisy[0].shape == (64, 72, 3)


def test_the_finest_level_of_a_multiscale_layer_is_learned_from(model):
    levels = [np.random.default_rng(0).random((64 // n, 72 // n)) for n in (1, 2)]
    layer = model.add_image(levels, multiscale=True)
    pixels = ChosenData((layer,), "YX").pixels(model, needs_targets=False)
    assert pixels.noisy[0] is levels[0]


def test_a_mask_without_channels_serves_all_of_them(model):
    layer = model.add_image(np.zeros((2, 64, 72)), name="colours")
    mask = Labels(np.ones((64, 72), int))
    data = ChosenData((layer,), "CYX", mask=(mask,))
    assert data.problem(needs_targets=False) == ""
    assert data.pixels(model, needs_targets=False).mask[0].shape == (1, 64, 72)


# ---- What does not go together


CELLS, OTHER = image(name="cells"), image(name="other")
PROBLEMS = {
    "no target": (ChosenData((CELLS,), "YX"), "target of “cells”"),
    "same layer": (ChosenData((CELLS,), "YX", (CELLS,)), "both the image and its target"),
    "other size": (ChosenData((CELLS,), "YX", (image((60, 72)),)), "same size"),
    "too few": (
        ChosenData((CELLS, OTHER), "YX", (OTHER,)),
        "2 noisy images and 1 target",
    ),
    "validation without target": (
        ChosenData((CELLS,), "YX", (OTHER,), (image(),)),
        "target of “image”",
    ),
    "target without validation": (
        ChosenData((CELLS,), "YX", (OTHER,), (), (image(),)),
        "target without an image",
    ),
    "validated on itself": (
        ChosenData((CELLS,), "YX", (OTHER,), (CELLS,), (OTHER,)),
        "for training and for validation",
    ),
    "other dimensions": (
        ChosenData((CELLS, image((3, 64, 72))), "YX"),
        "same axes",
    ),
    "mask": (
        ChosenData((CELLS,), "YX", (OTHER,), mask=(Labels(np.ones((9, 9), int)),)),
        "mask",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_layers_that_do_not_go_together_are_refused_in_a_sentence(name):
    data, said = PROBLEMS[name]
    problem = data.problem(needs_targets=True)
    assert said in problem
    assert problem.endswith(".")


def test_layers_that_do_are_not():
    data = ChosenData((CELLS,), "YX", (OTHER,), (image(),), (image(),))
    assert data.problem(needs_targets=True) == ""
    assert ChosenData((CELLS, OTHER), "YX").problem(needs_targets=False) == ""


def test_the_smallest_part_and_validation_layer_are_the_room(model):
    small = model.add_image(np.zeros((9, 64, 63)))
    narrow = model.add_image(np.zeros((12, 70, 40)))
    flat = model.add_image(np.zeros((5, 90, 90)))
    for axes, room in ("TYX", (64, 40)), ("ZYX", (5, 64, 40)), ("YXZ", (40, 5, 64)):
        data = ChosenData((small, narrow), axes, validation=(flat,))
        assert data.smallest_size(data.windows(model)) == room
