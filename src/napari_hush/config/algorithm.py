"""Network, loss, optimizer and learning rate schedule."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from napari_hush.config.base import Frozen
from napari_hush.config.transforms import N2VManipulateConfig, strategy_for


class UNetConfig(Frozen):
    """The U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597)."""

    architecture: Literal["UNet"] = "UNet"
    """Network architecture."""
    conv_dims: Literal[2, 3] = 2
    """2 for images, 3 for volumes, as the axes require."""
    in_channels: int = Field(1, ge=1, le=1024)
    """Number of input channels."""
    num_classes: int = Field(1, ge=1, le=1024)
    """Number of output channels."""
    depth: int = Field(2, ge=1, le=6)
    """Number of downsampling levels; each one doubles the receptive field."""
    num_channels_init: int = Field(32, ge=8, le=1024, multiple_of=2)
    """Number of initial filters; each level doubles them."""
    residual: bool = False
    """Predict the noise and subtract it from the image (residual learning)."""
    independent_channels: bool = True
    """Denoise each channel separately, with shared weights."""
    use_batch_norm: bool = True
    """Use batch normalization."""
    n2v2: bool = False
    """Blurred max pooling and no top skip connection, to avoid checkerboards (N2V2)."""
    pool_z: tuple[bool, ...] | None = None
    """Levels that downsample Z as well, from first to last; None for all of them.
    Without any, patches and tiles can have any number of planes."""

    @property
    def pooling(self) -> tuple[tuple[bool, ...], ...]:
        """For each spatial axis ``((Z), Y, X)``, the levels that downsample it."""
        everywhere = (True,) * self.depth
        if self.conv_dims == 2:
            return everywhere, everywhere
        return self.pool_z or everywhere, everywhere, everywhere

    @property
    def multiple(self) -> tuple[int, ...]:
        """Factor of the sizes ``((Z), Y, X)`` of patches and tiles."""
        return tuple(2 ** sum(levels) for levels in self.pooling)

    @model_validator(mode="after")
    def _agree(self) -> UNetConfig:
        if self.pool_z is not None and self.conv_dims == 2:
            raise ValueError("pool_z is for volumes, but conv_dims is 2; leave it out")
        if self.pool_z is not None and len(self.pool_z) != self.depth:
            raise ValueError(
                f"pool_z has {len(self.pool_z)} entries but the depth is {self.depth}; "
                "give one entry per level"
            )
        if self.num_classes != self.in_channels and self.independent_channels:
            raise ValueError(
                f"in_channels is {self.in_channels} and num_classes {self.num_classes}, "
                "so channels cannot be independent; set independent_channels to False"
            )
        if self.residual and (self.n2v2 or self.num_classes != self.in_channels):
            raise ValueError(
                "residual requires as many output as input channels and excludes n2v2; set "
                "residual to False"
            )
        return self


def fitting_pool_z(planes: int, depth: int) -> tuple[bool, ...]:
    """The levels that downsample Z, for patches with a number of `planes` along Z.

    Downsampling leaves 4 planes or more. The last levels do it: the spacing of planes is
    mostly larger than that of pixels, which the first levels adjust (as in nnU-Net,
    Isensee et al., Nature Methods 2021).
    """
    levels = 0
    while levels < depth and planes % 2 == 0 and planes >= 8:
        planes //= 2
        levels += 1
    return (False,) * (depth - levels) + (True,) * levels


class OptimizerConfig(Frozen):
    """An optimizer of ``torch.optim``."""

    name: Literal["Adam", "AdamW", "Adamax", "SGD"] = "Adam"
    """Class of the optimizer."""
    learning_rate: float = Field(1e-3, gt=0, le=1)
    """Initial learning rate."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Other keyword arguments of the optimizer."""


class CosineConfig(Frozen):
    """Cosine annealing: the learning rate decreases to almost 0 at the end of training."""

    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"


class ReduceLROnPlateauConfig(Frozen):
    """Reduce the learning rate when the validation (else training) loss stagnates."""

    name: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    factor: float = Field(0.5, gt=0, lt=1)
    """Factor by which the learning rate is multiplied."""
    patience: int = Field(10, ge=0)
    """Epochs without improvement before it is reduced."""


class StepLRConfig(Frozen):
    """Reduce the learning rate every few epochs."""

    name: Literal["StepLR"] = "StepLR"
    step_size: int = Field(ge=1)
    """Epochs between two reductions."""
    gamma: float = Field(0.1, gt=0, lt=1)
    """Factor by which the learning rate is multiplied."""


Scheduler = Annotated[
    CosineConfig | ReduceLROnPlateauConfig | StepLRConfig, Field(discriminator="name")
]


PairedLoss = Literal["mae", "mse"]
"""Losses of methods that train on pairs of images."""


class AlgorithmConfig(Frozen):
    """Method, network, loss, optimizer and learning rate schedule."""

    algorithm: Literal["n2v", "n2n", "care"] = "n2v"
    """n2v trains on noisy images, n2n on noisy pairs, care on noisy and clean pairs."""
    loss: Literal["n2v", PairedLoss] = "n2v"
    """n2v: squared error at masked pixels; mae, mse: mean absolute or squared error."""
    model: UNetConfig = UNetConfig()
    """The network."""
    n2v_config: N2VManipulateConfig = N2VManipulateConfig()
    """Masking of Noise2Void."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimizer."""
    lr_scheduler: Scheduler = CosineConfig()
    """Learning rate schedule."""

    @property
    def needs_targets(self) -> bool:
        """Whether the method trains on pairs of images."""
        return self.algorithm != "n2v"

    @model_validator(mode="after")
    def _agree(self) -> AlgorithmConfig:
        method = self.algorithm
        if (self.loss == "n2v") == self.needs_targets:
            fit = ", ".join(get_args(PairedLoss)) if self.needs_targets else "n2v"
            raise ValueError(f"the loss {self.loss!r} is not for {method}; use {fit}")
        network, strategy = self.model, self.n2v_config.strategy
        if self.needs_targets:
            if network.n2v2:
                raise ValueError(f"n2v2 is for n2v, not for {method}; set n2v2 to False")
            return self
        if network.num_classes != network.in_channels:
            raise ValueError(
                "Noise2Void needs as many output as input channels, but in_channels is "
                f"{network.in_channels} and num_classes {network.num_classes}; set both to "
                "the same number"
            )
        if strategy != (fit := strategy_for(network.n2v2)):
            raise ValueError(
                f"a network with n2v2 = {network.n2v2} needs the strategy {fit!r}, not "
                f"{strategy!r}"
            )
        return self
