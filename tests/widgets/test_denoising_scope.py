"""How much is denoised, into what, and what is kept of the source."""

from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.results.pairing import has_lost


@pytest.fixture
def movie(viewer, noisy):
    large = np.tile(noisy, (1, 1))
    return viewer.add_image(
        np.stack([large + n for n in range(4)]), name="movie", metadata={"lab": "ours"}
    )


@pytest.fixture
def trained(hand, movie, quick):
    hand.dock.setValue(quick("TYX"))
    hand.train()
    return hand


def _changed(viewer, name):
    data = viewer.layers[name].data
    return [
        not np.array_equal(a, b)
        for a, b in zip(data, viewer.layers["movie"].data, strict=True)
    ]


def test_the_slice_alone_can_be_denoised_and_results_are_numbered(viewer, trained):
    viewer.dims.set_current_step(0, 2)
    trained.find("scope").setValue(Scope.SLICE)
    trained.denoise()
    assert _changed(viewer, "movie denoised (slice)") == [False, False, True, False]
    trained.find("scope").setValue(Scope.LAYER)
    trained.denoise()
    second = viewer.layers["movie denoised 2"]
    assert all(_changed(viewer, "movie denoised 2"))
    assert second.metadata["lab"] == "ours"
    assert second.metadata["napari_hush"]["number"] == 2
    assert viewer.layers["movie"].metadata == {"lab": "ours"}
    assert trained.find("compare").pair[1] is second
    trained.until(lambda: trained.find("verdict").text()[:1] in {*"✓◐✗?"})


def test_what_is_in_view_is_denoised_first_and_alone_if_wanted(viewer, trained, qtbot):
    viewer.dims.set_current_step(0, 3)
    qtbot.wait(200)
    trained.find("scope").setValue(Scope.VIEW)
    trained.denoise()
    assert _changed(viewer, "movie denoised (view)") == [False, False, False, True]
    assert trained.find("verdict").text() == "Not judged until all is denoised"


def test_selected_layers_are_denoised_one_after_the_other(viewer, trained, noisy):
    viewer.add_image(np.stack([noisy, noisy]), name="other")
    viewer.add_image(np.stack([noisy, noisy]), name="left alone")
    viewer.layers.selection = {viewer.layers["movie"], viewer.layers["other"]}
    trained.find("scope").setValue(Scope.SELECTED)
    trained.denoise()
    names = [layer.name for layer in viewer.layers]
    assert {"movie denoised", "other denoised"} <= set(names)
    assert "left alone denoised" not in names
    assert "movie denoised" in trained.status
    assert "other denoised" in trained.status


def test_other_layers_are_denoised_where_one_does_not_suit(viewer, trained, noisy):
    viewer.add_image(np.full((2, *noisy.shape), np.nan), name="unfit")
    viewer.add_image(np.stack([noisy, noisy]), name="other")
    viewer.layers.selection = set(viewer.layers) - {viewer.layers["movie"]}
    trained.find("scope").setValue(Scope.SELECTED)
    trained.denoise()
    assert "other denoised" in viewer.layers
    assert "1 of 2 layers denoised." in trained.status
    assert "“unfit” has NaN" in trained.status


def test_dimensions_of_size_1_are_no_obstacle(viewer, hand, noisy, quick):
    movie = np.stack([noisy + n for n in range(3)])[:, None, None, None, :, :64]
    da = pytest.importorskip("dask.array")
    viewer.add_image(da.from_array(movie, chunks=(1, 1, 1, 1, 64, 64)), name="movie")
    hand.until_ready("train")
    assert hand.find("axes").value() == "T111YX"
    hand.dock.setValue(quick("TYX"))
    assert hand.find("axes").value() == "T111YX"
    hand.train()
    for keep in (False, True):
        hand.find("keep_type").setChecked(keep)
        hand.denoise()
    results = [layer.data for layer in viewer.layers if "denoised" in layer.name]
    assert [result.shape for result in results] == [(3, 1, 1, 1, 64, 64)] * 2
    assert all(np.any(result != movie) for result in results)
    np.testing.assert_array_equal(np.rint(results[0]), results[1])
    viewer.dims.set_current_step(0, 2)
    hand.find("scope").setValue(Scope.SLICE)
    hand.denoise()
    part = viewer.layers["movie denoised 3 (slice)"].data
    unchanged = [np.array_equal(a, b) for a, b in zip(part, movie, strict=True)]
    assert unchanged == [True, True, False]


def test_the_type_of_the_source_is_kept_if_wanted(viewer, trained):
    trained.click("keep_type")
    trained.denoise()
    result = viewer.layers["movie denoised"].data
    assert result.dtype == viewer.layers["movie"].data.dtype
    assert all(_changed(viewer, "movie denoised"))


def test_the_built_in_denoiser_can_be_left_out(viewer, hand, noisy, quick):
    viewer.add_image(np.tile(noisy, (4, 4)), name="cells")
    hand.dock.setValue(quick())
    hand.train()
    hand.denoise()
    assert "the built-in denoiser makes up" in hand.status
    hand.click("network_alone")
    hand.denoise()
    assert "the output of the network alone" in hand.status
    assert "cells denoised 2 (network alone)" in viewer.layers
    mixed, alone = (layer for layer in viewer.layers if "denoised" in layer.name)
    assert np.any(mixed.data != alone.data)
    provenance = alone.metadata["napari_hush"]["provenance"]
    assert provenance["settings"]["own_value"] == "off"
    lost = {"quality": {"verdict": "structure lost", "reason": "It is flat."}}
    for layer in (mixed, alone):
        layer.metadata["napari_hush"] |= lost
    assert has_lost(mixed, hand.dock.model)
    assert not has_lost(alone, hand.dock.model)  # the model gives more


def test_steps_below_those_of_float32_are_kept(viewer, hand, noisy, quick):
    """At 4e9 float32 has steps of 256."""
    viewer.add_image(noisy + np.float64(4e9), name="far")
    hand.dock.setValue(quick("YX"))
    hand.train()
    hand.click("keep_type")
    hand.denoise()
    result = viewer.layers["far denoised"].data
    assert result.dtype == np.float64
    assert len(np.unique(result)) > noisy.size / 2


def test_a_truth_layer_brings_psnr_and_ssim(viewer, trained, noisy):
    viewer.add_image(np.full((4, 64, 72), 20.0) + np.arange(72), name="truth")
    trained.find("truth_layer").setCurrentText("truth")
    trained.denoise()
    numbers = trained.find("compare_numbers")
    trained.until(lambda: "PSNR" in numbers.text())
    assert "SSIM" in numbers.text()
    assert "“truth”" in numbers.toolTip()
