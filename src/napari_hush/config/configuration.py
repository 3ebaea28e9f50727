"""The configuration of a training run."""

from __future__ import annotations

from math import prod
from typing import Literal

from pydantic import Field, field_validator, model_validator

from napari_hush.axes import spatial_axes
from napari_hush.config.algorithm import AlgorithmConfig
from napari_hush.config.base import Frozen
from napari_hush.config.data import DataConfig
from napari_hush.config.training import TrainingConfig
from napari_hush.config.transforms import fitting_transforms, misfit_of


class Configuration(Frozen):
    """All settings of a training run.

    The parts are checked against each other: the network fits the axes, the patch size
    fits the network, and a patch has at least one masked pixel.
    """

    version: Literal["0.1"] = "0.1"
    """Version of this format."""
    experiment_name: str = Field("denoiser", pattern=r"^[A-Za-z0-9_\- ]*[A-Za-z0-9_\-]+ *$")
    """Name of the model: letters, digits, spaces, hyphens and underscores."""
    algorithm_config: AlgorithmConfig = AlgorithmConfig()
    """Method, network, loss and optimizer."""
    data_config: DataConfig = DataConfig()
    """Images, patches and augmentation."""
    training_config: TrainingConfig = TrainingConfig()
    """Duration, device and precision of training."""

    @field_validator("experiment_name")
    @classmethod
    def _no_edges(cls, name: str) -> str:
        return name.strip()

    @model_validator(mode="after")
    def _agree(self) -> Configuration:
        data, algorithm = self.data_config, self.algorithm_config
        network = algorithm.model
        spatial = spatial_axes(data.axes)
        if network.conv_dims != len(spatial):
            raise ValueError(
                f"the network works in {network.conv_dims}D but the axes "
                f"{data.axes!r} are {len(spatial)}D; set conv_dims to {len(spatial)}"
            )
        sizes = zip(spatial, data.patch_size, network.multiple, strict=True)
        for axis, size, step in sizes:
            if size % step:
                near = max(step, round(size / step) * step)
                fewer = (
                    ", or fewer levels that downsample Z (pool_z)" if axis == "Z" else ""
                )
                raise ValueError(
                    f"patch_size along {axis} is {size}; a network of depth "
                    f"{network.depth} needs a multiple of {step}, for example {near}{fewer}"
                )
        if "C" not in data.axes and network.in_channels > 1:
            raise ValueError(
                f"the network has {network.in_channels} channels but the axes "
                f"{data.axes!r} have no C; add it or use one channel"
            )
        inputs, outputs = network.in_channels, network.num_classes
        counts = {"channels": inputs, "image_means": inputs}
        counts |= {"target_channels": outputs, "target_means": outputs}
        for name, count in counts.items():
            given = getattr(data, name)
            if given and len(given) != count:
                raise ValueError(
                    f"{name} {list(given)} has {len(given)} entries but the network has "
                    f"{count} channels; give one per channel"
                )
        if not algorithm.needs_targets:
            self._check_masking()
        return self

    def _check_masking(self) -> None:
        data, masking = self.data_config, self.algorithm_config.n2v_config
        dims = self.algorithm_config.model.conv_dims
        pixels, percentage = prod(data.patch_size), masking.masked_pixel_percentage
        if pixels * percentage / 100 < 1:
            raise ValueError(
                f"masking {percentage} % of a patch of {list(data.patch_size)} leaves less "
                f"than one pixel; mask at least {100 / pixels:.2g} % or use larger patches"
            )
        if masking.struct_dims > dims:
            what = "struct_mask" if masking.struct_mask else "struct_mask_axis 'z'"
            raise ValueError(
                f"{what} extends along Z but the axes {data.axes!r} are 2D; add Z to the "
                "axes, or mask neighbors in the YX plane only"
            )
        if misfit := misfit_of(masking, dims, data.transforms):
            axis = "" if masking.struct_mask else f"{masking.struct_mask_axis} "
            fit = [str(t.model_dump()) for t in fitting_transforms(masking, dims)]
            raise ValueError(
                f"{misfit} does not fit the {axis}struct mask; set transforms to "
                f"{', '.join(fit) or '[]'}"
            )
