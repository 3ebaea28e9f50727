"""Export to TorchScript, for PyTorch in Python, C++ and Java."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_hush.models import Model, UNet, fuse_batch_norm
from napari_hush.models.unet import OwnValueUNet
from napari_hush.system.atomic_write import whole_file


def exported_network(model: Model) -> UNet:
    """The fused network, with the own values of pixels in its output if the model has any.

    Input and output are normalized, and on the CPU.
    """
    network = model.network
    if model.own_value:
        network = OwnValueUNet(network.config, model.normalized_own_value).eval()
        network.load_state_dict(model.network.state_dict())
    return fuse_batch_norm(network).cpu()


class Denoiser(nn.Module):
    """A network with normalization, so that input and output are intensities.

    It has a copy of the model's network, with batch normalization fused into the weights.
    """

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = exported_network(model)
        dims = len(self.network.multiple)
        before, after = model.normalization, model.output_normalization
        self.mean = nn.Buffer(_per_channel(before.means, dims))
        self.scale = nn.Buffer(_per_channel(before.scales, dims))
        self.result_mean = nn.Buffer(_per_channel(after.means, dims))
        self.result_scale = nn.Buffer(_per_channel(after.scales, dims))

    def forward(self, x: Tensor) -> Tensor:
        """Denoise intensities ``(B, C, (Z), Y, X)``."""
        clean: Tensor = self.network((x - self.mean) / self.scale)
        return clean * self.result_scale + self.result_mean


def write_torchscript(model: Model, path: Path, *, scaled: bool = True) -> None:
    """Write the network of `model` as TorchScript.

    Input and output are float32 ``(B, C, (Z), Y, X)`` of any batch size, intensities if
    `scaled` and else normalized. Spatial sizes are multiples of `UNet.multiple`.
    """
    with whole_file(path, follow=True) as part:
        part.write_bytes(torchscript_bytes(model, scaled=scaled))


def torchscript_bytes(model: Model, *, scaled: bool = True) -> bytes:
    """The content of the file that `write_torchscript` writes."""
    network = Denoiser(model).eval() if scaled else exported_network(model)
    multiple = model.network.multiple
    channels = model.network.config.in_channels
    example = torch.zeros((2, channels, *(2 * step for step in multiple)))
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # Java and C++ read this deprecated format but not its successor.
        warnings.filterwarnings("ignore", message=r".*torch\.jit.*", category=Warning)
        # Branches on the number of channels may be traced as constants.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        traced = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, buffer)
    return buffer.getvalue()


def _per_channel(values: tuple[float, ...], dims: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, *(1,) * dims)
