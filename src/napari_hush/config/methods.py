"""The methods people choose from, as changes of a configuration. No Qt here."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import Any, get_args

from napari_hush.config import (
    Configuration,
    DataConfig,
    N2VManipulateConfig,
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.config.transforms import StructAxis

__all__ = ["ABOUT", "About", "Method", "Tree", "method_of", "with_method"]

Tree = dict[str, Any]
"""A configuration as nested dicts, which may be wrong while it is being edited."""

DIRECTIONS = tuple(axis for axis in get_args(StructAxis) if axis != "none")
"""How far-reaching noise can lie, as the configuration names it."""


class Method(Enum):
    """What a denoiser learns from."""

    N2V = "N2V"
    N2V2 = "N2V2"
    STRUCT = "structN2V"
    N2N = "N2N"
    CARE = "CARE"

    @property
    def needs_targets(self) -> bool:
        """Whether it learns from pairs of images."""
        return self in (Method.N2N, Method.CARE)


@dataclass(frozen=True)
class About:
    """A method in words."""

    sentence: str
    paper: str
    link: str


ABOUT = {
    Method.N2V: About(
        "Learns from the noisy image alone; for noise that is new in every pixel.",
        "Noise2Void, Krull et al., CVPR 2019",
        "https://arxiv.org/abs/1811.10980",
    ),
    Method.N2V2: About(
        "Like N2V, against chequered patterns and hot pixels in its results.",
        "N2V2, Höck et al., ECCV workshops 2022",
        "https://arxiv.org/abs/2211.08512",
    ),
    Method.STRUCT: About(
        "Like N2V, for noise that runs in lines or reaches over neighbours.",
        "structN2V, Broaddus et al., ISBI 2020",
        "https://doi.org/10.1109/ISBI45749.2020.9098336",
    ),
    Method.N2N: About(
        "Learns from two noisy images of the same scene.",
        "Noise2Noise, Lehtinen et al., ICML 2018",
        "https://arxiv.org/abs/1803.04189",
    ),
    Method.CARE: About(
        "Learns from noisy images and clean ones of the same scene.",
        "CARE, Weigert et al., Nature Methods 2018",
        "https://doi.org/10.1038/s41592-018-0216-7",
    ),
}


def method_of(tree: Tree) -> Method:
    """Which method a configuration follows."""
    algorithm = tree["algorithm_config"]
    if algorithm["algorithm"] == "n2n":
        return Method.N2N
    if algorithm["algorithm"] == "care":
        return Method.CARE
    if algorithm["model"]["n2v2"]:
        return Method.N2V2
    masks = algorithm["n2v_config"]
    hides = masks["struct_mask_axis"] != "none" or masks["struct_mask"] is not None
    return Method.STRUCT if hides else Method.N2V


def with_method(
    tree: Tree,
    method: Method,
    direction: str = DIRECTIONS[0],
    span: int = N2VManipulateConfig().struct_mask_span,
) -> Tree:
    """The same configuration for another method; what has nothing to do with it stays.

    Parameters
    ----------
    tree : dict
        What there is.
    method : Method
        What it becomes.
    direction : str
        For structN2V: ``struct_mask_axis``.
    span : int
        For structN2V: ``struct_mask_span``, in pixels.
    """
    fresh = _fresh(method, direction, span).model_dump()
    tree = deepcopy(tree)
    mine, new = tree["algorithm_config"], fresh["algorithm_config"]
    mine["algorithm"] = new["algorithm"]
    if (mine["loss"] == "n2v") == method.needs_targets:
        mine["loss"] = new["loss"]
    mine["model"]["n2v2"] = new["model"]["n2v2"]
    if not method.needs_targets:
        mine["model"]["num_classes"] = mine["model"]["in_channels"]
    for field in ("strategy", "struct_mask_axis", "struct_mask_span", "struct_mask"):
        mine["n2v_config"][field] = new["n2v_config"][field]
    if mine["n2v_config"]["masked_pixel_percentage"] in _USUAL_PERCENTAGES:
        share = new["n2v_config"]["masked_pixel_percentage"]
        mine["n2v_config"]["masked_pixel_percentage"] = share
    _turn_accordingly(tree, fresh)
    return tree


_USUAL_PERCENTAGES = tuple(
    N2VManipulateConfig(struct_mask_axis=axis).masked_pixel_percentage
    for axis in ("none", "horizontal")
)
"""Defaults, which change with the method; people's own choice stays."""


def _turn_accordingly(tree: Tree, fresh: Tree) -> None:
    """Half turns only where noise has a direction; people's own choice stays."""
    mine, new = tree["data_config"], fresh["data_config"]
    usual = (_transforms("none"), _transforms("horizontal"))
    if tuple(mine["transforms"]) in usual:
        mine["transforms"] = new["transforms"]
    elif new["transforms"] == _transforms("horizontal"):
        for transform in mine["transforms"]:
            if "half_turns_only" in transform:
                transform["half_turns_only"] = True


def _transforms(direction: str) -> tuple[dict[str, Any], ...]:
    method = Method.N2V if direction == "none" else Method.STRUCT
    tree = _fresh(method, direction, N2VManipulateConfig().struct_mask_span).model_dump()
    transforms: tuple[dict[str, Any], ...] = tree["data_config"]["transforms"]
    return transforms


def _fresh(method: Method, direction: str, span: int) -> Configuration:
    defaults = DataConfig()
    common: dict[str, Any] = {
        "experiment_name": Configuration().experiment_name,
        "data_type": defaults.data_type,
        "axes": defaults.axes,
        "patch_size": defaults.patch_size,
        "batch_size": defaults.batch_size,
    }
    match method:
        case Method.N2N:
            return create_n2n_configuration(**common)
        case Method.CARE:
            return create_care_configuration(**common)
        case Method.STRUCT:
            return create_n2v_configuration(
                **common,
                struct_n2v_axis=direction,  # type: ignore[arg-type]
                struct_n2v_span=span,
            )
        case _:
            return create_n2v_configuration(**common, use_n2v2=method is Method.N2V2)
