import numpy as np
import pytest
import torch
from torch import nn

from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.models import Model, UNet
from napari_hush.models.normalization import Normalization
from napari_hush.models.unet import with_own_value

NETWORKS = {
    "n2v 2D": ("YX", {}),
    "n2v2 2D": ("YX", {"use_n2v2": True}),
    "n2v 3D": ("ZYX", {"model_params": {"depth": 1}}),
    "n2v2 3D": ("ZYX", {"use_n2v2": True, "model_params": {"depth": 1}}),
    "n2v 2D, 2 channels apart": ("CYX", {"n_channels": 2}),
    "n2v 2D, 2 channels together": (
        "CYX",
        {"n_channels": 2, "independent_channels": False},
    ),
    "n2v 2D, residual": ("YX", {"model_params": {"residual": True}}),
    "n2v 2D, no batch norm": ("YX", {"model_params": {"use_batch_norm": False}}),
    "n2v2 2D, as in CAREamics": (
        "YX",
        {"use_n2v2": True, "model_params": {"variant": "careamics"}},
    ),
    "n2v 3D, as in CAREamics": (
        "ZYX",
        {"model_params": {"depth": 1, "variant": "careamics"}},
    ),
    "n2v2 3D, 2 channels apart, as in CAREamics": (
        "CZYX",
        {"use_n2v2": True, "n_channels": 2, "model_params": {"variant": "careamics"}},
    ),
    "n2v 2D, own values": ("YX", {}),
    "n2v 3D, own values, 2 channels apart": (
        "CZYX",
        {"n_channels": 2, "model_params": {"depth": 1}},
    ),
    "care 2D, 3 channels to 2": ("CYX", {"n_channels_in": 3, "n_channels_out": 2}),
    "care 3D": ("ZYX", {"model_params": {"depth": 1}}),
}
"""Every kind of network there is: axes and what is special."""
OWN_VALUES = (
    ((95.0, 0.2, 30.0), (101.0, 0.7, 10.0), (110.0, 0.4, 20.0)),
    ((100.0, 0.5, 25.0),),
)


def made(name):
    """A model of that kind that seems trained: no statistic or factor is 0 or 1."""
    axes, special = NETWORKS[name]
    special = dict(special)
    common = {
        "experiment_name": name.replace(",", ""),
        "data_type": "array",
        "axes": axes,
        "patch_size": [8, 16, 16] if "Z" in axes else [16, 16],
        "batch_size": 2,
        "model_params": {"num_channels_init": 8, **special.pop("model_params", {})},
    }
    if name.startswith("care"):
        config = create_care_configuration(**common, **special)
    else:
        config = create_n2v_configuration(**common, **special)
    torch.manual_seed(3)
    network = UNet(config.algorithm_config.model).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
    counts = config.algorithm_config.model
    return Model(
        config,
        network,
        Normalization(
            tuple(100.0 + i for i in range(counts.in_channels)),
            tuple(20.0 + i for i in range(counts.in_channels)),
        ),
        Normalization(
            tuple(50.0 + i for i in range(counts.num_classes)),
            tuple(10.0 + i for i in range(counts.num_classes)),
        )
        if name.startswith("care")
        else None,
        own_value=OWN_VALUES[: counts.num_classes] if "own values" in name else (),
        epochs=2,
        steps=30,
    )


@pytest.fixture(params=NETWORKS, scope="session")
def model(request):
    """Each kind of network in turn; not to be changed."""
    return made(request.param)


@pytest.fixture
def plain():
    """A model of the plainest kind."""
    return made("n2v 2D")


@pytest.fixture
def intensities():
    """Pixels that suit a model, ``(B, C, (Z), Y, X)``, no two sizes alike."""

    def make(model, batch=2, extra=3):
        sizes = [(extra + i) * step for i, step in enumerate(model.network.multiple)]
        rng = np.random.default_rng(4)
        shape = (batch, model.network.config.in_channels, *sizes)
        return rng.normal(100, 20, shape).astype("float32")

    return make


@pytest.fixture
def denoised():
    """What a model makes of pixels ``(B, C, (Z), Y, X)``, nothing beyond their border."""

    def denoise(model, pixels):
        with torch.inference_mode():
            batch = model.normalization.normalize(torch.from_numpy(pixels))
            clean = model.network(batch)
            clean = model.output_normalization.denormalize(clean)
            if model.own_value:
                clean = with_own_value(clean, torch.from_numpy(pixels), model.own_value)
            return clean.numpy()

    return denoise


@pytest.fixture
def psnr():
    """Of a result, in dB, relative to the range of the expected values."""

    def of(result, expected):
        error = np.mean((result.astype(float) - expected) ** 2)
        return 10 * np.log10(np.ptp(expected) ** 2 / max(error, 1e-30))

    return of
