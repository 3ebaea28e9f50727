"""Keyword arguments under the names of CAREamics, and hints for unknown ones."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

from napari_hush.errors import UnknownArgumentError

P = ParamSpec("P")
R = TypeVar("R")

OURS = {
    "config": "source",
    "checkpoint_path": "source",
    "bmz_path": "source",
    "train_data": "train_source",
    "train_data_target": "train_target",
    "val_data": "val_source",
    "val_data_target": "val_target",
    "pred_data": "source",
    "tta_transforms": "tta",
    "train_data_mask": "train_mask",
    "struct_n2v_axes": "struct_n2v_axis",
}
"""Arguments of CAREamics 0.1 to 0.3 and what they are called here."""

_WORKERS = "set num_workers of data_config for training; prediction needs none"
_STORAGE = (
    "files are read into memory if they fit; train(use_in_memory=False) leaves them on disk"
)
INSTEAD = {
    "in_memory": _STORAGE,
    "use_in_memory": _STORAGE,
    "loading": "use data_type='custom' with read_source_func, or your own data module",
    "filtering_mask": "pass datamodule=TrainDataModule(..., train_mask=mask)",
    "datamodule": "pass it to train",
    "model_constraints": "omit it",
    "num_workers": _WORKERS,
    "dataloader_params": _WORKERS,
    "train_dataloader_params": _WORKERS,
    "val_dataloader_params": _WORKERS,
    "normalization_params": "give normalization={'name': 'quantile', 'lower': 0.01}",
    "patch_filter_config": "give background={'measure': 'max', 'threshold': 100}",
    "checkpoint_params": "give trainer_params={'checkpoint_every_n_epochs': 10}",
    "early_stopping_params": "give trainer_params={'early_stopping_epochs': 10}",
    "monitor_metric": "omit it, the validation loss counts if there is one",
    "enable_progress_bar": "give it to CAREamist",
    "channels": "give them to the factory; a model denoises those it was trained on",
    "checkpoint": "open it with CAREamist(path)",
    "target_axes": "it is for CARE and Noise2Noise",
    "n_channels": "give n_channels_in, and n_channels_out if the targets have others",
    "output_axes": "results have the axes of their source",
    "pred_data_target": "compare results with napari_hush.quality.psnr",
    "transforms": "set transforms of data_config",
    "seed": "give it to the factory",
}
"""Advice about other arguments of CAREamics where a function does not take them."""


def by_any_name(function: Callable[P, R]) -> Callable[P, R]:
    """Let `function` take arguments as CAREamics calls them, and explain unknown ones."""
    known = signature(function).parameters.keys()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not kwargs.keys() <= known:
            ours = by_our_names(function.__qualname__, kwargs, known)
            kwargs.clear()
            kwargs.update(ours)
        return function(*args, **kwargs)

    return call


def by_our_names(
    function: str, given: Mapping[str, Any], known: Collection[str]
) -> dict[str, Any]:
    """The arguments `given` to `function`, which takes those `known`, by these names.

    Raises an UnknownArgumentError, which says what to give instead.
    """
    function = function.removesuffix(".__init__")
    found = {name: value for name, value in given.items() if name in known}
    for name in given.keys() - known:
        value, ours = given[name], OURS.get(name, "")
        if ours in known:
            if value is None:
                continue
            if found.get(ours) is not None:
                raise UnknownArgumentError(
                    f"{function}() got {name}, CAREamics' name for {ours}, and {ours} as "
                    f"well; give {ours} only."
                )
            found[ours] = value
        elif name not in INSTEAD:
            raise UnknownArgumentError(
                f"{function}() has no argument {name!r}; {_hint(name, known)}"
            )
        elif value is not None:
            raise UnknownArgumentError(
                f"{function}() has no argument {name!r} as in CAREamics; {INSTEAD[name]}."
            )
    return found


def _hint(name: str, known: Collection[str]) -> str:
    names = sorted(set(known) - {"self", "settings"})
    theirs = [name for name, ours in OURS.items() if ours in known]
    near = difflib.get_close_matches(name, [*names, *theirs], 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}."
