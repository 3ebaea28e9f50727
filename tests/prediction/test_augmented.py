"""Test-time augmentation: the mean over flips and rotations."""

import pytest
import torch

from napari_hush.prediction.denoiser import augmented_mean


@pytest.fixture
def batch():
    return torch.rand(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("versions", [1, 2, 4, 8])
def test_what_does_not_depend_on_direction_stays_what_it_is(batch, versions):
    torch.testing.assert_close(
        augmented_mean(lambda x: 3 * x + 1, batch, versions), 3 * batch + 1
    )


def moved(x):
    """A network that moves everything by one pixel along X, around the border."""
    return x.roll(1, -1)


@pytest.mark.parametrize("versions", [1, 2, 4, 8])
def test_directions_are_augmented_mean(batch, versions):
    left, right = batch.roll(1, -1), batch.roll(-1, -1)
    up, down = batch.roll(1, -2), batch.roll(-1, -2)
    wanted = {
        1: left,
        2: (left + right) / 2,
        4: (left + right) / 2,
        8: (left + right + up + down) / 4,
    }[versions]
    torch.testing.assert_close(augmented_mean(moved, batch, versions), wanted)


def test_four_versions_are_mirrored_along_y_as_well(batch):
    found = augmented_mean(lambda x: x.roll(1, -2), batch, 4)
    torch.testing.assert_close(found, (batch.roll(1, -2) + batch.roll(-1, -2)) / 2)
    alone = augmented_mean(lambda x: x.roll(1, -2), batch, 2)
    torch.testing.assert_close(alone, batch.roll(1, -2))


@pytest.mark.parametrize(("versions", "sizes"), [(1, [2]), (2, [4]), (4, [8]), (8, [8, 8])])
def test_versions_go_through_together(batch, versions, sizes):
    seen = []

    def network(x):
        seen.append(len(x))
        return x

    augmented_mean(network, batch, versions)
    assert seen == sizes


def test_volumes_are_turned_in_their_planes_alone():
    batch = torch.rand(1, 1, 3, 4, 5)
    found = augmented_mean(lambda x: x.roll(1, -3), batch, 8)
    torch.testing.assert_close(found, batch.roll(1, -3))
