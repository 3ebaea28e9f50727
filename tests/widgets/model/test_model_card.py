"""What a model says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_hush.careamist import CAREamist
from napari_hush.io import ImageMetadata
from napari_hush.models import Provenance
from napari_hush.models.file import BuiltInShare
from napari_hush.models.provenance import Source
from napari_hush.widgets.model.model_panel import NBSP, card_of


@pytest.fixture
def model(quick, noisy):
    careamist = CAREamist(quick())
    careamist.train(train_source=noisy)
    return careamist.model


def test_the_card_describes_method_training_data_and_date(model):
    what, how_long, levels, origin = card_of(model)
    assert what == "N2V for images of 1 channel, axes YX"
    assert how_long.replace(NBSP, " ") == ("2 epochs, 6 steps, patches of 16 × 16 px")
    assert f"{NBSP}±{NBSP}" in levels  # no line ends within a figure
    assert origin == f"trained {model.provenance.date[:10]} on “quick”"


def test_the_card_names_built_in_weights(model):
    known = replace(model, provenance=replace(model.provenance, built_in="n2v-2d"))
    assert "6 steps from built-in weights, patches" in card_of(known)[1]


@pytest.mark.parametrize(
    ("shares", "said"), [((0.84,), "84 %"), ((0.2, 0.84), "20 to 84 %"), ((1.0,), "100 %")]
)
def test_the_share_of_the_built_in_denoiser_is_named(model, shares, said):
    known = replace(model, built_in_share=BuiltInShare(shares, "0"))
    assert f"{said} of results: built-in denoiser" in card_of(known)


@pytest.mark.parametrize(
    ("scale", "units", "said"),
    [
        ({"Y": 0.25, "X": 0.5}, {"Y": "micrometer", "X": "micrometer"}, "0.25 × 0.5 µm"),
        ({"Z": 2, "Y": 1, "X": 1}, {}, "2 × 1 × 1"),
    ],
)
def test_pixel_sizes_have_their_unit(model, scale, units, said):
    sizes = ImageMetadata.of(None, scale, units)
    known = replace(model.provenance, pixel_size=sizes)
    card = card_of(replace(model, provenance=known))
    assert card[-1].replace(NBSP, " ").endswith(f"pixels of {said}")


def test_one_of_a_thing_is_not_plural_and_what_is_unknown_is_left_out(model):
    once = card_of(replace(model, epochs=1, steps=1))[1].replace(NBSP, " ")
    assert once == "1 epoch, 1 step, patches of 16 × 16 px"
    foreign = replace(model, epochs=0, steps=0, provenance=Provenance())
    assert card_of(foreign)[1].replace(NBSP, " ") == "patches of 16 × 16 px"
    assert len(card_of(foreign)) == 3


@pytest.mark.parametrize(
    ("names", "count", "said"),
    [
        (["cells.tif"], 1, "on “cells.tif”"),
        (["a.tif", "b.tif"], 2, "on “a.tif” and 1 more image"),
        (["a.tif"], 1200, "on “a.tif” and 1,199 more images"),
        (["array 0", "array 1"], 2, "on “quick” and 1 more image"),
        ([], 3, "on 3 images"),
    ],
)
def test_the_card_names_the_training_images(model, names, count, said):
    sources = tuple(Source(name, "") for name in names)
    known = replace(model.provenance, sources=sources, num_sources=count)
    assert card_of(replace(model, provenance=known))[-1].endswith(said)


def test_a_model_without_a_name_counts_its_images(model):
    unnamed = model.config.replace(experiment_name=type(model.config)().experiment_name)
    assert card_of(replace(model, config=unnamed))[-1].endswith("on 1 image")
