"""The network, the loss, and what moves the weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from napari_hush.config.base import Frozen
from napari_hush.config.transforms import N2VManipulateConfig, strategy_for


class UNetConfig(Frozen):
    """The U-Net (Ronneberger et al., MICCAI 2015, arXiv:1505.04597)."""

    architecture: Literal["UNet"] = "UNet"
    """Family of networks."""
    conv_dims: Literal[2, 3] = 2
    """2 for images, 3 for volumes; follows from a Z in the axes."""
    in_channels: int = Field(1, ge=1, le=1024)
    """Channels of the image."""
    num_classes: int = Field(1, ge=1, le=1024)
    """Channels of the result."""
    depth: int = Field(2, ge=1, le=6)
    """How many times the image is halved; each level doubles what a pixel can see."""
    num_channels_init: int = Field(32, ge=8, le=1024, multiple_of=2)
    """Filters of the first level; each further level has twice as many."""
    residual: bool = False
    """Predict the noise and subtract it, instead of the clean image."""
    independent_channels: bool = True
    """Denoise each channel by itself, with the same weights."""
    use_batch_norm: bool = True
    """Normalise features over the batch."""
    n2v2: bool = False
    """Blur before halving and leave out the top skip, against checkerboards (N2V2)."""
    pool_z: tuple[bool, ...] | None = None
    """Which levels halve Z as well, the first one first; None for all of them.

    Thin volumes are halved in the plane only, at the first levels; where none halves Z,
    any number of planes will do.
    """

    @property
    def pooling(self) -> tuple[tuple[bool, ...], ...]:
        """For each spatial axis ``((Z), Y, X)``, which levels halve it."""
        everywhere = (True,) * self.depth
        if self.conv_dims == 2:
            return everywhere, everywhere
        return self.pool_z or everywhere, everywhere, everywhere

    @property
    def multiple(self) -> tuple[int, ...]:
        """What the sizes ``((Z), Y, X)`` of patches and tiles must be multiples of."""
        return tuple(2 ** sum(levels) for levels in self.pooling)

    @model_validator(mode="after")
    def _agree(self) -> UNetConfig:
        if self.pool_z is not None and self.conv_dims == 2:
            raise ValueError("pool_z is for volumes, but conv_dims is 2; leave it out")
        if self.pool_z is not None and len(self.pool_z) != self.depth:
            raise ValueError(
                f"pool_z has {len(self.pool_z)} entries but the network {self.depth} "
                "levels (depth); give one for each"
            )
        if self.num_classes != self.in_channels and self.independent_channels:
            raise ValueError(
                f"{self.in_channels} channels go in and {self.num_classes} come out, so "
                "channels cannot be independent; set independent_channels to False"
            )
        if self.residual and (self.n2v2 or self.num_classes != self.in_channels):
            raise ValueError(
                "residual needs a network that returns the channels it is given and is "
                "not N2V2's; set residual to False"
            )
        return self


_LEAST_PLANES = 4
"""Planes that are left at least when Z is halved by itself."""


def fitting_pool_z(planes: int, depth: int) -> tuple[bool, ...]:
    """Which levels halve Z, for patches of so many planes.

    As many as leave 4 planes or more, and an even number before each: the last levels,
    because planes are mostly farther apart than the pixels in them, so that these are
    brought to the same distance first (as nnU-Net does, Isensee et al., Nature Methods
    2021).

    Parameters
    ----------
    planes : int
        Size of the patches along Z.
    depth : int
        Levels of the network.
    """
    halvings = 0
    while halvings < depth and planes % 2 == 0 and planes // 2 >= _LEAST_PLANES:
        planes //= 2
        halvings += 1
    return (False,) * (depth - halvings) + (True,) * halvings


class OptimizerConfig(Frozen):
    """What turns gradients into steps (a class of ``torch.optim``)."""

    name: Literal["Adam", "AdamW", "Adamax", "SGD"] = "Adam"
    """Optimizer of torch to use."""
    learning_rate: float = Field(1e-3, gt=0, le=1)
    """Size of the first steps."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Further keyword arguments of the optimizer."""


class CosineConfig(Frozen):
    """Learning rate falls along half a cosine, from its start to almost 0 at the end."""

    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"


class ReduceLROnPlateauConfig(Frozen):
    """Learning rate falls when the validation loss (else training loss) stands still."""

    name: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    factor: float = Field(0.5, gt=0, lt=1)
    """What the learning rate is multiplied with."""
    patience: int = Field(10, ge=0)
    """Epochs without improvement before that happens."""


class StepLRConfig(Frozen):
    """Learning rate falls by a factor every few epochs."""

    name: Literal["StepLR"] = "StepLR"
    step_size: int = Field(ge=1)
    """Epochs between two falls."""
    gamma: float = Field(0.1, gt=0, lt=1)
    """What the learning rate is multiplied with."""


Scheduler = Annotated[
    CosineConfig | ReduceLROnPlateauConfig | StepLRConfig, Field(discriminator="name")
]


PairedLoss = Literal["mae", "mse"]
"""Losses of methods that learn from pairs."""


class AlgorithmConfig(Frozen):
    """How the network is built and what it is trained to do."""

    algorithm: Literal["n2v", "n2n", "care"] = "n2v"
    """n2v learns from noisy images alone, n2n from pairs of noisy ones, care from clean."""
    loss: Literal["n2v", PairedLoss] = "n2v"
    """n2v: squared error at masked pixels; mae, mse: absolute or squared error of pairs."""
    model: UNetConfig = UNetConfig()
    """The network."""
    n2v_config: N2VManipulateConfig = N2VManipulateConfig()
    """Which pixels are masked, and how."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """What moves the weights."""
    lr_scheduler: Scheduler = CosineConfig()
    """How the learning rate changes over the run."""

    @property
    def needs_targets(self) -> bool:
        """Whether it learns from pairs of images."""
        return self.algorithm != "n2v"

    @model_validator(mode="after")
    def _agree(self) -> AlgorithmConfig:
        if (self.loss == "n2v") == self.needs_targets:
            fit = " or ".join(get_args(PairedLoss)) if self.needs_targets else "n2v"
            raise ValueError(
                f"the loss of {self.algorithm} cannot be {self.loss!r}; use {fit}"
            )
        if self.model.n2v2 and self.needs_targets:
            raise ValueError(f"n2v2 is a network for n2v, not for {self.algorithm}")
        if not self.needs_targets:
            if self.model.num_classes != self.model.in_channels:
                raise ValueError(
                    "Noise2Void returns the channels it is given, but in_channels is "
                    f"{self.model.in_channels} and num_classes {self.model.num_classes}; "
                    "set both to the same number"
                )
            fit = strategy_for(self.model.n2v2)
            if self.n2v_config.strategy != fit:
                raise ValueError(
                    f"a network with n2v2 = {self.model.n2v2} goes with the strategy "
                    f"{fit!r}, not {self.n2v_config.strategy!r}"
                )
        return self
