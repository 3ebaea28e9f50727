import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.config import UNetConfig
from napari_hush.models import UNet, built_in_denoiser
from napari_hush.models.built_in import suited
from napari_hush.prediction.tiles import even, fitting_tile
from napari_hush.quality.report import as_image

CPU = torch.device("cpu")


def tile(precision="32", **settings) -> tuple[int, ...]:
    return fitting_tile(UNet(UNetConfig(**settings)), CPU, precision)


def test_the_default_network_has_tiles_of_five_hundred_pixels():
    assert tile() == (520, 520)


def test_a_wide_halo_is_a_small_part_of_its_tiles():
    network = suited(built_in_denoiser(), as_image(np.zeros((64, 64)), "YX")).network
    assert network.computed_halo == (74, 74)
    # 450 MB, 160 numbers per pixel, less the halo on both sides.
    assert fitting_tile(network, CPU, "32") == (688, 688)
    assert fitting_tile(network, CPU, "bf16") == (1024, 1024)


def test_half_of_the_bytes_make_tiles_of_twice_as_many_pixels():
    assert tile("bf16") == (756, 756)


def test_several_at_once_share_memory_that_one_does_not_use():
    network = UNet(UNetConfig())
    assert fitting_tile(network, CPU, "32", 4) == (504, 504)
    assert fitting_tile(network, CPU, "32", 16)[0] < 300


def test_small_networks_have_tiles_of_a_thousand_pixels():
    assert tile(num_channels_init=8, depth=1) == (1024, 1024)


def test_volumes_have_planes_as_well():
    assert tile(conv_dims=3) == (32, 68, 68)
    assert tile("bf16", conv_dims=3) == (32, 120, 120)


def test_more_filters_make_smaller_tiles():
    sides = [tile(num_channels_init=n)[0] for n in (32, 64, 128, 256)]
    assert sides == sorted(sides, reverse=True)
    assert sides[-1] < sides[0] / 2


@pytest.mark.parametrize("depth", [1, 3, 5])
@pytest.mark.parametrize("filters", [8, 1024])
def test_tiles_are_multiples_of_the_pooling_and_never_empty(depth, filters):
    config = UNetConfig(depth=depth, num_channels_init=filters)
    with torch.device("meta"):
        network = UNet(config)
    for side in fitting_tile(network, CPU, "32"):
        assert side > 0
        assert side % 2**depth == 0


def test_what_shares_the_memory_is_smaller():
    network = UNet(UNetConfig())
    assert (
        fitting_tile(network, CPU, "32", 16)[0] <= fitting_tile(network, CPU, "32")[0] / 1.8
    )
    assert tile(in_channels=4, num_classes=4) < tile()


@pytest.mark.parametrize(
    ("side", "found"), [(1024, 512), (756, 756), (757, 380), (30, 32), (2048, 684), (1, 4)]
)
def test_a_picture_is_cut_into_few_tiles_of_about_one_size(side, found):
    assert even((side, side), (756, 756), (4, 4)) == (found, found)


def test_planes_are_shared_out_as_well():
    assert even((40, 100, 300), (32, 120, 120), (1, 4, 4)) == (20, 100, 100)


@given(
    size=st.integers(1, 5000),
    blocks=st.integers(1, 200),
    multiple=st.sampled_from([1, 4, 32]),
)
def test_even_tiles_are_as_few_as_large_ones_and_none_is_larger(size, blocks, multiple):
    largest = blocks * multiple
    (found,) = even((size,), (largest,), (multiple,))
    assert found % multiple == 0
    assert found <= largest
    count = math.ceil(size / largest)
    assert math.ceil(size / found) <= count
    assert found - size / count < multiple  # no more than rounding makes it
