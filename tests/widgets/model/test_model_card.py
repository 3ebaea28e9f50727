"""What a model says of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_hush.careamist import CAREamist
from napari_hush.io import ImageMetadata
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
    assert origin == f"trained {model.provenance.date[:10]} on 1 image"


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


def test_a_model_of_unknown_origin_has_a_line_less(model):
    from napari_hush.models import Provenance

    assert len(card_of(replace(model, provenance=Provenance()))) == 3
