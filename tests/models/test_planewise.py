"""Volumes that a network for planes denoises plane by plane, with planes around each."""

import numpy as np
import pytest
import torch

from napari_hush.config import UNetConfig
from napari_hush.models.built_in import DenoiserUNet, PlanewiseUNet
from napari_hush.models.weights import random_unet

SMALL = {"depth": 1, "num_channels_init": 8}


def network(kind, **settings):
    config = UNetConfig(**SMALL, **settings)
    made = kind(config)
    made.load_state_dict(random_unet(config, 0).state_dict())
    return made.eval()


def volume(channels, depth):
    generator = torch.Generator().manual_seed(depth)
    return torch.randn(1, channels, depth, 40, 48, generator=generator)


def test_without_planes_around_each_is_denoised_as_an_image():
    stack = volume(2, 3)
    images, planes = (
        network(kind, in_channels=2, num_classes=2)
        for kind in (DenoiserUNet, PlanewiseUNet)
    )
    assert planes.halo == (0, *images.halo)
    with torch.no_grad():
        found = planes(stack)
        for z in range(3):
            torch.testing.assert_close(found[:, :, z], images(stack[:, :, z]))


@pytest.mark.parametrize("depth", [3, 4, 7])
def test_planes_around_are_reflected_at_the_borders_of_the_stack(depth):
    stack = volume(1, depth)
    planes = network(PlanewiseUNet, time_context=2)
    assert planes.halo[0] == 2
    longer = np.pad(np.arange(depth), 2, mode="reflect")
    with torch.no_grad():
        found, wanted = planes(stack), planes(stack[:, :, longer.tolist()])
    torch.testing.assert_close(found, wanted[:, :, 2:-2])
    changed = stack.clone()
    changed[:, :, 0] += torch.randn(40, 48, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        same = (planes(changed) - found).abs().amax((0, 1, 3, 4)) < 1e-6
    assert same.tolist() == [z > 2 for z in range(depth)]


def test_channels_are_independent():
    stack = volume(3, 4)
    one = network(PlanewiseUNet, time_context=1)
    three = network(PlanewiseUNet, time_context=1, in_channels=3, num_classes=3)
    with torch.no_grad():
        found = three(stack)
        for channel in range(3):
            part = slice(channel, channel + 1)
            torch.testing.assert_close(found[:, part], one(stack[:, part]))
