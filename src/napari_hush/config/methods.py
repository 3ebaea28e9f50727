"""The denoising methods: names, papers, and what each one sets in a configuration.

Factories, command line, dock and exported packages all read `METHODS`.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_hush.config.transforms import (
    N2VManipulateConfig,
    StructAxis,
    fitting_transforms,
    strategy_for,
)
from napari_hush.errors import ConfigurationError

if TYPE_CHECKING:
    from napari_hush.config.configuration import Configuration

Tree = dict[str, Any]
"""A `Configuration` as nested dicts, not necessarily valid while it is edited."""

STRUCT_AXES = tuple(axis for axis in get_args(StructAxis) if axis != "none")
"""Values of ``struct_mask_axis`` that mask neighbors, the default first."""


@dataclass(frozen=True)
class Paper:
    """A publication: ``"Krull et al. (2019), Noise2Void: ..."``, where, and its DOI."""

    citation: str
    venue: str
    doi: str

    @property
    def short(self) -> str:
        """``"Krull et al., CVPR 2019"``."""
        return f"{self.citation.partition(' (')[0]}, {self.venue}"

    @property
    def link(self) -> str:
        """Address of the publication."""
        return f"https://doi.org/{self.doi}"


@dataclass(frozen=True)
class Method:
    """A denoising method: its names, paper, and settings that it determines."""

    key: str
    """Its name on the command line and in files."""
    label: str
    name: str
    sentence: str
    """Its data and the noise that it is for."""
    paper: Paper
    algorithm: Literal["n2v", "n2n", "care"] = "n2v"
    loss: Literal["n2v", "mae", "mse"] = "n2v"
    n2v2: bool = False
    builds_on: tuple[str, ...] = ()
    """Keys of other methods to cite."""

    @property
    def needs_targets(self) -> bool:
        """Whether it learns from pairs of images."""
        return self.algorithm != "n2v"


_ALL = (
    Method(
        "n2v",
        "N2V",
        "Noise2Void",
        "Needs noisy images only; for noise that is independent in each pixel.",
        Paper(
            "Krull et al. (2019), Noise2Void: Learning Denoising from Single Noisy Images",
            "CVPR 2019",
            "10.1109/CVPR.2019.00223",
        ),
    ),
    Method(
        "n2v2",
        "N2V2",
        "N2V2",
        "Like N2V, but avoids checkerboard artifacts and copes with hot pixels.",
        Paper(
            "Höck et al. (2022), N2V2: Fixing Noise2Void Checkerboard Artifacts "
            "with Modified Sampling Strategies and a Tweaked Network Architecture",
            "ECCV Workshops 2022",
            "10.48550/arXiv.2211.08512",
        ),
        n2v2=True,
        builds_on=("n2v",),
    ),
    Method(
        "structn2v",
        "structN2V",
        "structN2V",
        "Like N2V, for noise that is correlated between neighboring pixels.",
        Paper(
            "Broaddus et al. (2020), Removing Structured Noise with "
            "Self-Supervised Blind-Spot Networks",
            "ISBI 2020",
            "10.1109/ISBI45749.2020.9098336",
        ),
        builds_on=("n2v",),
    ),
    Method(
        "n2n",
        "N2N",
        "Noise2Noise",
        "Learns from pairs of noisy images of the same scene.",
        Paper(
            "Lehtinen et al. (2018), Noise2Noise: Learning Image Restoration "
            "without Clean Data",
            "ICML 2018",
            "10.48550/arXiv.1803.04189",
        ),
        algorithm="n2n",
        loss="mse",
    ),
    Method(
        "care",
        "CARE",
        "CARE",
        "Learns from pairs of noisy and clean images of the same scene.",
        Paper(
            "Weigert et al. (2018), Content-Aware Image Restoration: Pushing the "
            "Limits of Fluorescence Microscopy",
            "Nature Methods 2018",
            "10.1038/s41592-018-0216-7",
        ),
        algorithm="care",
        loss="mae",
    ),
)
METHODS = {method.key: method for method in _ALL}
"""Every method by its key, in the order in which they are shown."""

UNET = Paper(
    "Ronneberger et al. (2015), U-Net: Convolutional Networks for Biomedical Image "
    "Segmentation",
    "MICCAI 2015",
    "10.1007/978-3-319-24574-4_28",
)


def method_of(config: Configuration | Tree) -> Method:
    """The method that a configuration follows.

    N2V2 with a struct mask is structN2V: the mask says which noise the model is for and
    which augmentation suits it, while N2V2 changes network and replacement only.
    """
    algorithm = _tree(config)["algorithm_config"]
    if algorithm["algorithm"] != "n2v":
        return METHODS[algorithm["algorithm"]]
    masking = algorithm["n2v_config"]
    if masking["struct_mask_axis"] != "none" or masking["struct_mask"] is not None:
        return METHODS["structn2v"]
    return METHODS["n2v2" if algorithm["model"]["n2v2"] else "n2v"]


def papers_of(config: Configuration | Tree) -> list[Paper]:
    """The papers to cite for a model: its method, what that builds on, and the network."""
    method = method_of(config)
    keys = [method.key, *method.builds_on]
    if _tree(config)["algorithm_config"]["model"]["n2v2"] and "n2v2" not in keys:
        keys.append("n2v2")
    return [*(METHODS[key].paper for key in keys), UNET]


def with_method(
    tree: Tree,
    method: Method,
    axis: str = STRUCT_AXES[0],
    span: int = N2VManipulateConfig().struct_mask_span,
    mask: Any = None,
) -> Tree:
    """A copy of a configuration that follows `method`, with all other settings kept.

    For structN2V, `axis` is its ``struct_mask_axis`` and `span` its ``struct_mask_span``,
    or `mask` its ``struct_mask``.
    """
    struct = method is METHODS["structn2v"]
    n2v2 = method.n2v2
    if struct and method_of(tree) is method:  # keep the architecture of N2V2
        n2v2 = tree["algorithm_config"]["model"]["n2v2"]
    tree = deepcopy(tree)
    algorithm = tree["algorithm_config"]
    algorithm["algorithm"] = method.algorithm
    if (algorithm["loss"] == "n2v") == method.needs_targets:
        algorithm["loss"] = method.loss
    network, masking = algorithm["model"], algorithm["n2v_config"]
    network["n2v2"] = n2v2
    if not method.needs_targets:
        network["num_classes"] = network["in_channels"]
    before = _hiding(masking)
    masking["strategy"] = strategy_for(n2v2)
    masking["struct_mask"] = mask if struct else None
    masking["struct_mask_axis"] = axis if struct and mask is None else "none"
    defaults = _hiding(masking)
    masking["struct_mask_span"] = span if struct else defaults.struct_mask_span
    if masking["masked_pixel_percentage"] in _DEFAULT_PERCENTAGES:
        masking["masked_pixel_percentage"] = defaults.masked_pixel_percentage
    _fit_transforms(tree["data_config"], before, defaults)
    return tree


def _tree(config: Configuration | Tree) -> Tree:
    return config if isinstance(config, dict) else config.model_dump()


_PLAIN = N2VManipulateConfig()
_DIRECTED = N2VManipulateConfig(struct_mask_axis="horizontal")
_DEFAULT_PERCENTAGES = (_PLAIN.masked_pixel_percentage, _DIRECTED.masked_pixel_percentage)
"""Defaults, which follow the method; any other percentage is kept."""


def _transforms(masking: N2VManipulateConfig) -> tuple[Tree, ...]:
    return tuple(each.model_dump() for each in fitting_transforms(masking, 2))


def _hiding(masking: Tree) -> N2VManipulateConfig:
    """The default settings with the struct mask of `masking`."""
    try:
        return N2VManipulateConfig.build(
            {name: masking[name] for name in ("struct_mask", "struct_mask_axis")}
        )
    except ConfigurationError:  # a mask that is being edited
        return _PLAIN


def _fit_transforms(
    data: Tree, before: N2VManipulateConfig, masking: N2VManipulateConfig
) -> None:
    """Replace default transforms; of others, drop quarter turns that do not fit."""
    fitting = _transforms(masking)
    defaults = [_transforms(one) for one in (_PLAIN, _DIRECTED, before)]
    if tuple(data["transforms"]) in defaults:
        data["transforms"] = fitting
    elif fitting == _transforms(_DIRECTED):
        for transform in data["transforms"]:
            if "half_turns_only" in transform:
                transform["half_turns_only"] = True
