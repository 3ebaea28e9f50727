"""Network, loss, optimizer and learning rate schedule."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from napari_hush.config.base import NEW, Frozen
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
    depth: int = Field(2, ge=1, le=10)
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
    """Whether each level downsamples Z as well, from first to last; None for all of them.
    Without any, patches and tiles can have any number of planes."""
    time_context: int = Field(0, ge=0, le=16, json_schema_extra=NEW)
    """Frames before and after each frame that the network sees as well; needs a T axis.
    For time-lapse images in which neighboring frames are alike."""
    variant: Literal["napari-hush", "careamics"] = Field(
        "napari-hush", json_schema_extra=NEW
    )
    """careamics: compute what U-Nets of CAREamics 0.1 to 0.3 do.
    They pad with zeros at all borders of an image, pool differently in N2V2, and have
    separate weights for each independent channel."""

    @model_validator(mode="before")
    @classmethod
    def _without_activation(cls, values: Any) -> Any:
        """Accept ``final_activation="None"``, as CAREamics writes it, but no other."""
        if not isinstance(values, dict) or "final_activation" not in values:
            return values
        values = dict(values)
        if (given := values.pop("final_activation")) not in (None, "None"):
            raise ValueError(
                f"final_activation is {given!r}, but the network returns normalized "
                "intensities, which have no bounds; leave it out"
            )
        return values

    @property
    def pooling(self) -> tuple[tuple[bool, ...], ...]:
        """For each spatial axis ``((Z), Y, X)``, the levels that downsample it."""
        everywhere = (True,) * self.depth
        if self.conv_dims == 2:
            return everywhere, everywhere
        return self.pool_z or everywhere, everywhere, everywhere

    @property
    def reflects(self) -> bool:
        """Whether images are reflected beyond their border; else zeros are beyond it."""
        return self.variant != "careamics"

    @property
    def multiple(self) -> tuple[int, ...]:
        """Factor of the sizes ``((Z), Y, X)`` of patches and tiles."""
        return tuple(2 ** sum(levels) for levels in self.pooling)

    @property
    def frames(self) -> int:
        """Frames that the network sees at once, in the input as channels."""
        return 2 * self.time_context + 1

    @model_validator(mode="after")
    def _agree(self) -> UNetConfig:
        if self.pool_z is not None and self.conv_dims == 2:
            raise ValueError("pool_z is for volumes, but conv_dims is 2; leave it out")
        if self.pool_z is not None and len(self.pool_z) != self.depth:
            raise ValueError(
                f"pool_z has {len(self.pool_z)} entries but the depth is {self.depth}; "
                "give one entry per level"
            )
        theirs, same = self.variant == "careamics", self.num_classes == self.in_channels
        if self.independent_channels and not same:
            raise ValueError(
                f"in_channels is {self.in_channels} and num_classes {self.num_classes}, "
                "so channels cannot be independent; set independent_channels to False"
            )
        if theirs and self.time_context:
            raise ValueError(
                f"time_context is {self.time_context} but networks of the variant "
                "'careamics' see one frame only; set time_context to 0"
            )
        broadcast = theirs and self.in_channels == 1
        if self.residual and not ((same or broadcast) and (theirs or not self.n2v2)):
            raise ValueError(
                "residual requires as many output as input channels and excludes n2v2; set "
                "residual to False"
            )
        return self


def has_built_in_layout(config: UNetConfig) -> bool:
    """Whether weights of built-in networks fit this network, whatever its dimensions.

    They are of one channel and one frame, see `inflated`.
    """
    shares = config.independent_channels or config.in_channels == config.num_classes == 1
    one: dict[str, Any] = {"in_channels": 1, "num_classes": 1, "pool_z": None}
    one |= {"independent_channels": True, "time_context": 0}
    default = UNetConfig(conv_dims=config.conv_dims, n2v2=config.n2v2)
    return shares and config.replace(**one) == default


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
    """Other arguments of the optimizer, such as weight_decay: 0.01."""

    @model_validator(mode="after")
    def _known_parameters(self) -> OptimizerConfig:
        known = _ARGUMENTS[self.name]
        if unknown := sorted(self.parameters.keys() - known):
            names = ", ".join(map(repr, unknown))
            raise ValueError(
                f"{self.name} has no argument {names} among its parameters; there are "
                f"{', '.join(sorted(known))} (learning_rate is a setting outside of them)"
            )
        return self


_COMMON = {"weight_decay", "maximize", "foreach", "differentiable"}
_ADAM = {*_COMMON, "betas", "eps"}
_ARGUMENTS = {
    "Adam": {*_ADAM, "amsgrad", "capturable", "fused", "decoupled_weight_decay"},
    "AdamW": {*_ADAM, "amsgrad", "capturable", "fused"},
    "Adamax": {*_ADAM, "capturable"},
    "SGD": {*_COMMON, "momentum", "dampening", "nesterov", "fused"},
}
"""Arguments of the optimizers in torch, which takes seconds to import."""


_WARMUP: int | None = Field(None, ge=0, le=1_000_000, json_schema_extra=NEW | {"before": 0})


class CosineConfig(Frozen):
    """Cosine annealing: the learning rate decreases to almost 0 at the end of training."""

    name: Literal["CosineAnnealingLR"] = "CosineAnnealingLR"
    warmup_steps: int | None = _WARMUP
    """First steps of a run, in which the learning rate increases linearly.

    By default 20 from built-in weights, 0 from random ones.
    """


class ReduceLROnPlateauConfig(Frozen):
    """Reduce the learning rate when the validation (else training) loss stagnates."""

    name: Literal["ReduceLROnPlateau"] = "ReduceLROnPlateau"
    factor: float = Field(0.5, gt=0, lt=1)
    """Factor by which the learning rate is multiplied."""
    patience: int = Field(10, ge=0)
    """Epochs without improvement before it is reduced."""
    threshold: float = Field(1e-4, ge=0, json_schema_extra=NEW)
    """Smallest decrease of the loss that counts as improvement."""
    threshold_mode: Literal["rel", "abs"] = Field("rel", json_schema_extra=NEW)
    """rel: as a fraction of the lowest loss; abs: in units of the loss."""
    cooldown: int = Field(0, ge=0, json_schema_extra=NEW)
    """Epochs after a reduction in which the loss is not compared."""
    min_lr: float = Field(0.0, ge=0, le=1, json_schema_extra=NEW)
    """Lowest learning rate."""
    eps: float = Field(1e-8, ge=0, json_schema_extra=NEW)
    """Smallest reduction of the learning rate; smaller ones are left out."""
    warmup_steps: int | None = _WARMUP
    """First steps of a run, in which the learning rate increases linearly.

    By default 20 from built-in weights, 0 from random ones.
    """

    @model_validator(mode="before")
    @classmethod
    def _without_mode(cls, values: Any) -> Any:
        """Accept ``mode="min"``, an argument in torch, but no other."""
        if not isinstance(values, dict) or "mode" not in values:
            return values
        values = dict(values)
        if (mode := values.pop("mode")) != "min":
            raise ValueError(
                f"mode is {mode!r}, but the schedule follows a loss, which is to decrease; "
                "use 'min'"
            )
        return values


class StepLRConfig(Frozen):
    """Reduce the learning rate every few epochs."""

    name: Literal["StepLR"] = "StepLR"
    step_size: int = Field(ge=1)
    """Epochs between two reductions."""
    gamma: float = Field(0.1, gt=0, lt=1)
    """Factor by which the learning rate is multiplied."""
    warmup_steps: int | None = _WARMUP
    """First steps of a run, in which the learning rate increases linearly.

    By default 20 from built-in weights, 0 from random ones.
    """


Scheduler = Annotated[
    CosineConfig | ReduceLROnPlateauConfig | StepLRConfig, Field(discriminator="name")
]


Weights = Literal["auto", "random", "built-in"]
"""Initial weights."""
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
    weights: Weights = Field("auto", json_schema_extra=NEW | {"before": "random"})
    """Initial weights: random, built-in (pretrained on simulated images), or auto.

    auto: built-in where a built-in network has this architecture and images are normalized
    by mean and standard deviation, else random.
    """
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

    @property
    def takes_built_in_share(self) -> bool:
        """Whether results may take a part of those of the built-in denoiser."""
        planes = self.model.conv_dims == 2
        return planes and not self.needs_targets and not self.n2v_config.hides_neighbours

    @model_validator(mode="after")
    def _agree(self) -> AlgorithmConfig:
        method = self.algorithm
        if (self.loss == "n2v") == self.needs_targets:
            fit = ", ".join(get_args(PairedLoss)) if self.needs_targets else "n2v"
            raise ValueError(f"the loss {self.loss!r} is not for {method}; use {fit}")
        network, strategy = self.model, self.n2v_config.strategy
        if self.weights == "built-in" and not has_built_in_layout(network):
            raise ValueError(
                "weights are built-in but no built-in network has this architecture; use "
                "the defaults of the network, or set weights to random"
            )
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
