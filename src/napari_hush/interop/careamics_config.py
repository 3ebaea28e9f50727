"""Import of the configurations (YAML or JSON) of CAREamics 0.1 to 0.3."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from napari_hush.config import (
    Configuration,
    ReduceLROnPlateauConfig,
    StepLRConfig,
    TrainingConfig,
)
from napari_hush.config.configuration import is_of_careamics, yaml_values
from napari_hush.config.data import BackgroundConfig, DataConfig
from napari_hush.config.factories import training_settings, validation_patches
from napari_hush.errors import ConfigurationError
from napari_hush.interop.careamics import careamics_settings
from napari_hush.models.file import MALFORMED

if TYPE_CHECKING:
    from napari_hush.config.base import Frozen

_log = logging.getLogger(__name__)

_FORMER = {
    "data_config.transforms": "augmentations",
    "training_config.lightning_trainer_config": "trainer_params",
    "training_config.checkpoint_callback": "checkpoint_params",
    "training_config.early_stopping_callback": "early_stopping_params",
}
"""Keys of 0.1, and their names in later versions."""

_READ = (
    "version",
    "experiment_name",
    "algorithm_config.algorithm",
    "algorithm_config.loss",
    "algorithm_config.model.*",
    "algorithm_config.n2v_config.*",
    "data_config.normalization.name",
    "data_config.normalization.per_channel",
    "data_config.normalization.*_quantiles",
    "data_config.data_type",
    "data_config.axes",
    "data_config.patch_size",
    "data_config.patching.patch_size",
    "data_config.batch_size",
)
"""Keys that `careamics_settings` reads."""

_WITHOUT_EFFECT = {
    "algorithm_config.monitor_metric": ("val_loss",),
    "algorithm_config.lr_scheduler.parameters.mode": ("min",),
    "data_config.mode": ("training",),
    "data_config.in_memory": (True,),
    "data_config.patching.name": ("stratified", "random"),
    "data_config.patching.seed": (),
    "data_config.mask_filter.*": ("mask", 0, 0.1, 0.25, 0.125),
    "data_config.*_dataloader_params.num_workers": (),
    "data_config.*_dataloader_params.p*": (),
    "data_config.*_dataloader_params.shuffle": (),
    "data_config.normalization.skip_target": (False,),
    "data_config.num_workers": (),
    "data_config.patch_filter.name": (),
    "data_config.patch_filter.ref_channel": (0,),
    "training_config.trainer_params.enable_progress_bar": (),
    "training_config.checkpoint_params.monitor": ("val_loss",),
    "training_config.checkpoint_params.save_last": (True,),
    "training_config.checkpoint_params.save_top_k": (-1, 1, 3),
    "training_config.*_params.mode": ("min",),
    "training_config.checkpoint_params.auto_insert_metric_name": (),
    "training_config.checkpoint_params.save_weights_only": (),
    "training_config.*.verbose": (),
    "training_config.early_stopping_params.monitor": ("val_loss",),
    "training_config.early_stopping_params.check_*": (),
    "training_config.early_stopping_params.log_rank_zero_only": (),
    "training_config.early_stopping_params.min_delta": (0,),
}
"""Keys with nothing to report, if they have one of these values or if there are none."""

_WHY = {
    "algorithm_config.monitor_metric": (
        "the validation loss counts, or without validation the training loss"
    ),
    "data_config.in_memory": "give use_in_memory=False to train",
    "data_config.patching.name": "patches are spread over the images and shuffled",
    "data_config.normalization.skip_target": "targets are normalized as well",
    "data_config.normalization.*": "measured on the training images instead",
    "data_config.target_axes": "give targets in the axes of the images",
    "data_config.patch_filter.ref_channel": "the first channel decides",
    "data_config.patch_filter.coverage": "a whole patch is compared with the threshold",
    "data_config.mask_filter.*": "give train_mask to TrainDataModule",
    "training_config.checkpoint_params.*": "see final_model and checkpoint_every_n_epochs",
}
"""Advice about keys that have no equivalent."""

_NAMED_ALIKE = ("normalization", "num_workers")
"""Keys of ``data_config`` that are not copied: converted elsewhere, or of their loader."""
_MEASURES: dict[Any, tuple[str, str]] = {
    "max": ("max", "threshold"),
    "mean_std": ("mean", "mean_threshold"),
    "shannon": ("entropy", "threshold"),
}
_SCHEDULES: dict[str, tuple[type[Frozen], dict[str, Any]]] = {
    "ReduceLROnPlateau": (ReduceLROnPlateauConfig, {"factor": 0.1, "patience": 10}),
    "StepLR": (StepLRConfig, {"gamma": 0.1}),
}
"""Classes here, and defaults of torch."""
_RATES = {"Adamax": 2e-3}
"""Default learning rates of torch other than 1e-3."""


def load_careamics_configuration(path: str | Path) -> Configuration:
    """Read a configuration of CAREamics 0.1 to 0.3 from a YAML or JSON file.

    What has no equivalent or another meaning here is logged, a warning each.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UnreadableFileError
        If it is not valid YAML or JSON.
    ConfigurationError
        If it is not of CAREamics, or for a method that there is none of here.
    """
    path = Path(path)
    values = yaml_values(path, json.loads if path.suffix.lower() == ".json" else None)
    if not is_of_careamics(values):
        raise ConfigurationError(
            f"{str(path)!r} is not a configuration of CAREamics; one of napari-hush needs "
            "no conversion."
        )
    conversion = _Conversion(values)
    try:
        config = conversion.run()
    except ConfigurationError as error:
        raise ConfigurationError(f"In {str(path)!r}: {error}") from error
    except MALFORMED as error:
        raise ConfigurationError(
            f"{str(path)!r} is not as CAREamics writes it ({type(error).__name__}: "
            f"{error}); save it again with careamics.config.save_configuration."
        ) from error
    for note in conversion.notes:
        _log.warning("%s", note)
    return config


class _Conversion:
    """Converts the `values` of one configuration; `notes` are what to report."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._left = dict(_leaves(values))
        """Keys that are not converted yet, by path, under the names of 0.2 and 0.3."""
        self.notes: list[str] = []

    def run(self) -> Configuration:
        """The configuration in our terms."""
        tree = careamics_settings(self._values)
        tree["training_config"] = self._training()
        self._learning(tree["algorithm_config"])
        self._images(tree["data_config"])
        network = tree["algorithm_config"]["model"]
        self._network(network)
        self._statistics(tree["data_config"], network)
        config = Configuration.build(tree)
        self._compare_transforms(config)
        self._report()
        return config

    def _take(self, path: str, default: Any = None) -> Any:
        found = self._left.pop(path, None)
        return default if found is None else found

    def _take_all(
        self, prefix: str, model: type[Frozen], without: Collection[str] = ()
    ) -> dict[str, Any]:
        """The keys below `prefix` that are fields of `model` under the same name."""
        paths = {name: f"{prefix}.{name}" for name in model.model_fields.keys() - without}
        return {name: self._left.pop(p) for name, p in paths.items() if p in self._left}

    def _learning(self, algorithm: dict[str, Any]) -> None:
        where = "algorithm_config.optimizer"
        name = self._take(f"{where}.name", "Adam")
        rate = self._take(f"{where}.parameters.lr", _RATES.get(name, 1e-3))
        below = f"{where}.parameters."
        rest = [path for path in self._left if path.startswith(below)]
        parameters = {path.removeprefix(below): self._left.pop(path) for path in rest}
        algorithm["optimizer"] = {
            "name": name,
            "learning_rate": rate,
            "parameters": parameters,
        }
        where = "algorithm_config.lr_scheduler"
        name = self._take(f"{where}.name", "ReduceLROnPlateau")
        kind, defaults = _SCHEDULES[name]
        given = self._take_all(f"{where}.parameters", kind)
        algorithm["lr_scheduler"] = {"name": name, **defaults, **given}

    def _images(self, data: dict[str, Any]) -> None:
        seed = self._take("algorithm_config.n2v_config.seed", 0)
        data["seed"] = self._take("data_config.seed", seed)
        data["shuffle"] = self._take("data_config.train_dataloader_params.shuffle", True)
        if self._left.get("data_config.target_axes") == data["axes"]:
            del self._left["data_config.target_axes"]
        theirs = {*_NAMED_ALIKE, *(path.rpartition(".")[2] for path in _READ)}
        if data["data_type"] not in ("tiff", "custom"):  # never in memory there
            self._left.pop("data_config.in_memory", None)
        same = self._take_all("data_config", DataConfig, theirs)
        data |= {name: each for name, each in same.items() if each}
        patches = self._take("data_config.n_val_patches")
        if patches is not None:
            data |= validation_patches(patches)
        where = "data_config.patch_filter"
        measure, threshold = _MEASURES.get(self._left.get(f"{where}.name"), ("", ""))
        if measure in get_args(BackgroundConfig.model_fields["measure"].annotation):
            data["background"] = {
                "measure": measure,
                "threshold": self._take(f"{where}.{threshold}"),
                "kept": self._take(f"{where}.filtered_patch_prob", 0.1),
            }

    def _statistics(self, data: dict[str, Any], network: dict[str, Any]) -> None:
        """Means and standard deviations, which 0.1 has under our names."""
        where = "data_config.normalization"
        for of, ours, field in (
            ("input", "image", "in_channels"),
            ("target", "target", "num_classes"),
        ):
            for kind in ("means", "stds"):
                given = self._take(f"{where}.{of}_{kind}")
                if given is not None:
                    each = given if isinstance(given, list) else [given]
                    count = network[field] if len(each) == 1 else 1
                    data[f"{ours}_{kind}"] = each * count

    def _network(self, network: dict[str, Any]) -> None:
        """A new network needs no weights of CAREamics."""
        network.pop("variant", None)
        inputs, outputs = network["in_channels"], network["num_classes"]
        theirs = self._values["algorithm_config"]["model"]
        apart = theirs.get("independent_channels", True)
        network["independent_channels"] = apart and inputs == outputs
        if apart and max(inputs, outputs) > 1:
            self.notes.append(
                "algorithm_config.model.independent_channels: "
                + (
                    "one network denoises each channel, not one network per channel"
                    if inputs == outputs
                    else "the numbers of channels differ, so they are not independent here"
                )
            )

    def _training(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        where = "training_config.trainer_params."
        for path in [path for path in self._left if path.startswith(where)]:
            if self._is_silent(path):
                continue
            given = {path.removeprefix(where): self._left.pop(path)}
            try:
                fields = training_settings(given)
                TrainingConfig.build(fields)
            except ConfigurationError as error:
                self.notes.append(f"{path}: left out ({str(error).rstrip('.')})")
            else:
                found |= fields
        stopping = "training_config.early_stopping_params"
        if any(path.startswith(f"{stopping}.") for path in self._left):
            found["early_stopping_epochs"] = self._take(f"{stopping}.patience", 3)
        every = "training_config.checkpoint_params.every_n_epochs"
        found["checkpoint_every_n_epochs"] = self._take(every, 0)
        if (logger := self._take("training_config.logger")) is not None:
            found["logger"] = logger
        return found

    def _compare_transforms(self, config: Configuration) -> None:
        given = self._take("data_config.augmentations")
        if not config.algorithm_config.n2v_config.hides_neighbours:
            return
        kept = [each.model_dump() for each in config.data_config.transforms]
        for each in given or ():
            wished = {key: value for key, value in each.items() if key != "seed"}
            if not any(
                wished.items() <= other.items()
                for other in kept
                if not other.get("half_turns_only")
            ):
                self.notes.append(
                    f"data_config.augmentations: {wished['name']} does not fit the struct "
                    "mask, and is left out or restricted"
                )

    def _is_silent(self, path: str) -> bool:
        value = self._left[path]
        return value in (None, [], {}) or any(
            fnmatch(path, pattern) and (not values or value in values)
            for pattern, values in _WITHOUT_EFFECT.items()
        )

    def _report(self) -> None:
        """Note what is left and has an effect there."""
        found = {}
        for path, value in self._left.items():
            if any(fnmatch(path, pattern) for pattern in _READ) or self._is_silent(path):
                continue
            why = next((p for p in _WHY if fnmatch(path, p)), None)
            if why is None:
                found[path] = f"{value!r:.80} has no equivalent here"
            else:
                found[why] = _WHY[why]
        self.notes += [f"{path}: {text}" for path, text in found.items()]


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """All values with their paths, under the names of 0.2 and 0.3."""
    for key, value in values.items():
        below = f"{path}{_FORMER.get(path + str(key), key)}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{below}.")
        else:
            yield below, value
