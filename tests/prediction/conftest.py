"""A tiny model that denoises in a moment."""

import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization


@pytest.fixture
def careamist():
    """A U-Net of random weights, for images around 1,000."""
    config = create_n2v_configuration(
        "tiny",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=1,
        model_params={"num_channels_init": 8, "depth": 1},
    )
    training = config.training_config.replace(device="cpu", precision="32")
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    return CAREamist(Model(config, network, Normalization((1000.0,), (30.0,))))
