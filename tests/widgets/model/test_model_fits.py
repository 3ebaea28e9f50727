"""Whether a model fits a layer: sentences whose advice works, and stacks plane by plane."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_hush.careamist import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.config.methods import METHODS, with_method
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization
from napari_hush.models.provenance import Provenance
from napari_hush.quality import check_data
from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.jobs.denoising_plan import plan_denoising
from napari_hush.widgets.jobs.tasks import StopRequest
from napari_hush.widgets.model.fitting import (
    axes_for,
    note_for,
    trained_on_other_unit,
    why_not_for,
    why_not_train_more,
    why_other_settings,
)

KEYWORDS = ("n_channels", "in_channels", "conv_dims", "data_type", "axes=", "None")


def settings(axes="YX", count=None, **changes):
    patch = [8, 16, 16] if "Z" in axes else [16, 16]
    if count is not None:
        changes["n_channels"] = count
    network = {"num_channels_init": 8, **changes.pop("model_params", {})}
    return create_n2v_configuration(
        "fit", "array", axes, patch, 2, 1, model_params=network, **changes
    )


def untrained(config) -> Model:
    network = config.algorithm_config.model
    ones = (1.0,) * network.in_channels
    return Model(config, UNet(network).eval(), Normalization(ones, ones))


def layer(axes, *shape):
    size = {"S": 2, "T": 3, "C": 2, "Z": 4, "Y": 20, "X": 24}
    shape = shape or [size[letter] for letter in axes]
    return Image(np.zeros(shape, np.float32), name="cells")


@pytest.mark.parametrize(
    ("axes", "used"),
    [
        ("YX", "YX"),
        ("TYX", "TYX"),
        ("ZYX", "SYX"),
        ("TZYX", "TSYX"),
        ("SZCYX", "STCYX"),
        ("1ZYX", "1SYX"),
        ("STZYX", "STZYX"),
    ],
)
def test_a_2d_model_takes_the_planes_of_a_stack(axes, used):
    assert axes_for(untrained(settings()), axes) == used
    assert axes_for(untrained(settings("ZYX")), axes) == axes


def test_a_stack_is_no_other_setting_than_that_of_a_2d_model():
    flat, stack = untrained(settings()), settings("ZYX")
    assert "for planes" in why_not_train_more(flat, stack)
    assert why_other_settings(flat, stack) == ""
    deeper = settings("ZYX", model_params={"depth": 1})
    assert "depth" in why_other_settings(flat, deeper).lower()


def test_a_note_tells_of_planes():
    flat, deep = untrained(settings()), untrained(settings("ZYX"))
    assert note_for(flat, layer("ZYX"), "ZYX").endswith("“cells” plane by plane.")
    assert note_for(flat, layer("YX"), "YX") == ""
    assert note_for(deep, layer("ZYX"), "ZYX") == ""


@pytest.mark.parametrize(
    ("model", "image"),
    [
        ("YX", "YX"),
        ("YX", "TYX"),
        ("YX", "ZYX"),
        ("YX", "TZYX"),
        ("ZYX", "ZYX"),
        ("ZYX", "TZYX"),
        ("CYX", "CYX"),
        ("CYX", "CZYX"),
    ],
)
def test_a_model_fits(model, image):
    config = settings(model, 2 if "C" in model else None)
    assert why_not_for(untrained(config), layer(image), image) == ""


@pytest.mark.parametrize(
    ("model", "channels", "image", "advice", "then"),
    [
        ("ZYX", None, "TYX", "if T is depth, click it in the axes and choose Z", "ZYX"),
        ("ZYX", None, "SCYX", "", None),
        ("ZYX", None, "YX", "press Denoise now for a new model", None),
        ("YX", None, "CYX", "click C in the axes and choose S", "SYX"),
        ("YX", None, "SCYX", "click C in the axes and choose T", "STYX"),
        ("YX", None, "STCYX", "press Denoise now for a new model", None),
        ("CYX", 3, "TYX", "if T are the channels, click it in the axes", "CYX"),
        ("CYX", 4, "ZYX", "if Z are the channels, click it in the axes", "CYX"),
        ("CYX", 5, "TYX", "press Denoise now for a new model", None),
        ("CYX", 3, "CYX", "press Denoise now for a new model", None),
        ("YX", None, "STZYX", "choose Split Stack", None),
    ],
)
def test_a_misfit_is_said_with_advice_that_works(model, channels, image, advice, then):
    found, seen = untrained(settings(model, channels)), layer(image)
    said = why_not_for(found, seen, image)
    assert said.count(".") == 1
    assert said.endswith(".")
    assert "“cells”" in said
    assert advice in said
    assert not [word for word in KEYWORDS if word in said]
    if then is not None:
        assert why_not_for(found, seen, then) == ""


def test_one_of_a_thing_is_not_plural():
    assert "of 1 channel, but" in why_not_for(untrained(settings()), layer("CYX"), "CYX")


def test_a_model_of_some_channels_takes_them_from_an_image_of_more():
    model = untrained(settings("CYX", None, channels=[0, 2]))
    assert why_not_for(model, layer("CYX", 3, 20, 24), "CYX") == ""
    assert "Channel 2 was chosen" in why_not_for(model, layer("CYX"), "CYX")


@pytest.mark.parametrize("axes", ["ZYX", "TZYX"])
def test_planes_of_a_stack_are_denoised_as_if_alone(axes):
    model = untrained(settings())
    shape = (2, 3, 20, 24)[-len(axes) :]
    pixels = np.random.default_rng(0).normal(1, 1, shape).astype(np.float32)
    viewer = ViewerModel()
    stack = viewer.add_image(pixels)
    (task,), _ = plan_denoising(viewer, stack, axes, Scope.LAYER, model, keep_type=False)
    found = task(lambda event: None, StopRequest()).shown
    alone = CAREamist(model).predict(source=pixels.reshape(-1, 20, 24), axes="SYX")
    assert found.shape == shape
    np.testing.assert_array_equal(found, alone.reshape(shape))


def test_the_slice_that_is_shown_is_denoised_alone():
    model = untrained(settings())
    pixels = np.random.default_rng(0).normal(1, 1, (2, 3, 20, 24)).astype(np.float32)
    viewer = ViewerModel()
    stack = viewer.add_image(pixels)
    viewer.dims.point = (1, 2, 0, 0)
    (task,), _ = plan_denoising(viewer, stack, "TZYX", Scope.SLICE, model, keep_type=False)
    changed = task(lambda event: None, StopRequest()).shown != pixels
    assert changed[1, 2].any()
    changed[1, 2] = False
    assert not changed.any()


def of_method(key):
    return type(settings()).build(with_method(settings().model_dump(), METHODS[key]))


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (settings(), ""),
        (settings("TYX"), ""),
        (settings("ZYX"), "click Z in the axes and choose S"),
        (settings("STZYX"), "press Train for a new model"),
        (settings("CYX", 2), "The model has 1 channel, but the data have 2"),
        (of_method("structn2v"), ""),
        (
            of_method("n2v2"),
            "trained with N2V; choose N2V to train it further, or press Train for a new",
        ),
        (of_method("n2n"), "a new model with N2N"),
        (
            settings(model_params={"num_channels_init": 16}),
            "“Initial filters” of the model is 8, but 16 is set; set 8",
        ),
        (settings(model_params={"use_batch_norm": False}), "is on, but off is set"),
        (settings(independent_channels=False), ""),
    ],
)
def test_training_further_needs_the_network_and_method_of_the_model(now, said):
    found = why_not_train_more(untrained(settings()), now)
    assert said in found
    assert bool(said) is bool(found)
    assert not [word for word in KEYWORDS if word in found]


def test_a_model_for_stacks_is_trained_further_on_stacks():
    found = why_not_train_more(untrained(settings("ZYX")), settings("TYX"))
    assert "if T is depth, click it in the axes and choose Z" in found


def test_a_model_of_pairs_is_trained_further_with_as_many_channels():
    one, two = (
        create_care_configuration(
            "fit", "array", "CYX", [16, 16], 2, 1, n_channels_in=1, n_channels_out=count
        )
        for count in (1, 2)
    )
    assert "has 2 target channels" in why_not_train_more(untrained(two), one)


def test_a_model_that_sees_other_frames_needs_a_movie():
    model = untrained(settings("TYX", time_context=1))
    assert why_not_for(model, layer("TYX", 3, 20, 24), "TYX") == ""
    for axes, shape in (("TYX", (2, 20, 24)), ("SYX", (5, 20, 24)), ("YX", (20, 24))):
        why = why_not_for(model, layer(axes, *shape), axes)
        assert "needs 3 frames along T" in why
    why = why_not_train_more(model, settings("TYX"))
    assert why.startswith("“Frames before and after” of the model is 1, but 0 is set")


@pytest.mark.parametrize(("share", "other"), [(0.02, False), (0.08, True), (0.3, True)])
@pytest.mark.parametrize("value", [600, 1])
def test_a_model_fits_intensities_of_which_it_knows_all_but_a_few(share, other, value):
    rng = np.random.default_rng(0)
    pixels = rng.uniform(30, 240, (128, 128)).astype(np.uint16)
    pixels[rng.random(pixels.shape) < share] = value
    model = untrained(settings())
    model = replace(model, provenance=Provenance(ranges=((20.0, 255.0),)))
    assert trained_on_other_unit(model, check_data(pixels, "YX")) == other
