"""The configuration of a training run, and its YAML files."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml
from pydantic import Field, field_validator, model_validator

from napari_hush.axes import spatial_axes
from napari_hush.config.algorithm import AlgorithmConfig, has_built_in_layout
from napari_hush.config.base import Frozen, parts_of
from napari_hush.config.data import DataConfig
from napari_hush.config.training import TrainingConfig
from napari_hush.config.transforms import fitting_transforms, misfit_of
from napari_hush.errors import (
    ConfigurationError,
    MissingFileError,
    UnreadableFileError,
    counted,
)
from napari_hush.system.atomic_write import as_path, whole_file

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


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

    @property
    def built_in_weights(self) -> str | None:
        """Name of the built-in network that training begins with; None for random weights.

        A network for volumes begins with one for planes, see `inflated`.
        """
        algorithm, network = self.algorithm_config, self.algorithm_config.model
        fits = algorithm.weights != "random" and has_built_in_layout(network)
        if algorithm.weights == "auto":
            fits = fits and self.data_config.normalization.name == "mean_std"
        if not fits:
            return None
        if algorithm.needs_targets:
            return "denoiser-2d"
        return "n2v2-2d" if network.n2v2 else "n2v-2d"

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
        if network.time_context and "T" not in data.axes:
            raise ValueError(
                f"time_context is {network.time_context} but the axes {data.axes!r} have "
                "no T; name the axis of the frames T, or set time_context to 0"
            )
        inputs, outputs = network.in_channels, network.num_classes
        if outputs > 1 and "C" not in (data.target_axes or "C"):
            raise ValueError(
                f"the network returns {outputs} channels but target_axes "
                f"{data.target_axes!r} have no C; add it or set num_classes to 1"
            )
        counts = {"channels": inputs, "image_means": inputs}
        counts |= {"target_channels": outputs, "target_means": outputs}
        for name, count in counts.items():
            given = getattr(data, name)
            if given and len(given) != count:
                raise ValueError(
                    f"{name} {list(given)} is for {counted(len(given), 'channel')} but the "
                    f"network has {count}; give one per channel"
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


SUFFIXES = (".yml", ".yaml")


def save_configuration(config: Configuration, path: str | Path) -> Path:
    """Write `config` as YAML and return the file's path.

    Parameters
    ----------
    config : Configuration
        Settings.
    path : str or Path
        A ``.yml`` or ``.yaml`` file, or a folder, in which ``config.yml`` is written.

    Raises
    ------
    ConfigurationError
        If `path` has another suffix.
    UnwritableFileError
        If it cannot be written.
    """
    path = as_path(path)
    if path.is_dir():
        path = path / "config.yml"
    if path.suffix not in SUFFIXES:
        raise ConfigurationError(
            f"Cannot save a configuration as {path.name!r}; end the name in .yml or "
            ".yaml, or give a folder."
        )
    with whole_file(path, follow=True) as part:
        part.write_text(as_yaml(config), encoding="utf-8")
    return path


def as_yaml(config: Frozen) -> str:
    """`config` as YAML, with the help text of each setting and its choices above it."""
    lines = []
    values = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        lines += _comments(field)
        inner = getattr(config, name)
        if isinstance(inner, Frozen):
            lines += [f"{name}:", textwrap.indent(as_yaml(inner), "  ").rstrip()]
        else:
            lines.append(yaml.safe_dump({name: values[name]}, sort_keys=False).rstrip())
    return "\n".join(lines) + "\n"


def _comments(field: FieldInfo) -> list[str]:
    """The first line of the help text of `field`, and the choices that it does not name."""
    words = re.sub(r"\bNone\b", "null", (field.description or "").partition("\n")[0])
    comments = [f"# {words}"] if words else []
    kinds = [kind for kind in parts_of(field.annotation) if "name" in kind.model_fields]
    choices = [_flow(value) for value in _literals(field.annotation)]
    if len(kinds) > 1:
        names = [_flow(kind.model_fields["name"].default) for kind in kinds]
        comments.append(f"# Possible names: {', '.join(names)}.")
    elif len(choices) > 1 and not all(
        re.search(rf"(?<![\w'-]){re.escape(choice)}(?![\w'-])", words) for choice in choices
    ):
        comments.append(f"# Possible values: {', '.join(choices)}.")
    return comments


def _literals(annotation: Any) -> list[Any]:
    """The values of an annotation that is a ``Literal``, perhaps with None."""
    if get_origin(annotation) is Literal:
        found = (get_args(one) or (one,) for one in get_args(annotation))
        return [value for values in found for value in values]
    inner = [one for one in get_args(annotation) if one is not type(None)]
    return _literals(inner[0]) if len(inner) == 1 else []


def _flow(value: Any) -> str:
    """A plain value as YAML writes it on a line, such as ``'32'`` for a text."""
    return str(yaml.safe_dump(value)).partition("\n")[0]


def load_configuration(path: str | Path) -> Configuration:
    """Read a configuration from a YAML file.

    Raises
    ------
    MissingFileError
        If there is no such file.
    UnreadableFileError
        If it is not valid YAML.
    ConfigurationError
        If a setting in it is unknown, out of range or contradicts another.
    """
    path = as_path(path)
    values, name = yaml_values(path), repr(str(path))
    if is_of_careamics(values):
        raise ConfigurationError(
            f"{name} is a configuration of CAREamics; convert it with hush config --from "
            f"{shlex.quote(str(path))} -o ours.yml."
        )
    try:
        return Configuration.build(values)
    except ConfigurationError as error:
        raise ConfigurationError(f"In {name}: {error}") from error


def is_of_careamics(values: dict[str, Any]) -> bool:
    """Whether the `values` of a file are a configuration of CAREamics 0.1 to 0.3."""
    training = values.get("training_config")
    return "algorithm_config" in values and (
        str(values.get("version")).count(".") > 1
        or (isinstance(training, dict) and not _THEIRS.isdisjoint(training))
    )


_THEIRS = {"lightning_trainer_config", "trainer_params"}


def yaml_values(
    path: str | Path, parse: Callable[[bytes], Any] | None = None
) -> dict[str, Any]:
    """The settings in a YAML file, or in another that `parse` reads.

    Raises a MissingFileError or an UnreadableFileError.
    """
    path = as_path(path)
    name = repr(str(path))
    if not path.is_file():
        raise MissingFileError(f"There is no configuration file {name}; check the path.")
    try:
        with path.open("rb") as file:
            content = file.read(BYTES + 1)
        values = plain_values(content) if parse is None else parse(content)
        if not isinstance(values, dict):
            raise ValueError("it has no settings")
        return values
    except OSError as error:
        raise UnreadableFileError(
            f"{name} could not be read ({error}); check the disk."
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableFileError(
            f"{name} is not a configuration of plain values "
            f"({' '.join(str(error).split())[:200]}); give a file that save_configuration "
            "wrote."
        ) from error


BYTES = 256 * 2**10
"""Limit for the size of a configuration file."""
_DEPTH = 16
# The loader in C is ten times faster, but not every build of PyYAML has it.
_Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[misc]
    """Refuses a key that is given twice, of which the last would count."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise ValueError(f"it has {twice[0]!r:.80} twice")
        return super().construct_mapping(node, deep)

    def construct_integer(self, node: Any) -> int:
        try:
            number = int(self.construct_yaml_int(node))
        except ValueError:  # of more digits than Python reads
            number = _LARGEST
        if abs(number) >= _LARGEST:
            raise ValueError("it has a value that is not an integer of 64 bits")
        return number


_LARGEST = 2**63
_ODD = (ArithmeticError, AttributeError, LookupError, TypeError)
"""Errors of tags that do not fit their values."""
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_integer)


def plain_values(content: bytes) -> Any:
    """Parse YAML from an untrusted source.

    Raises a ValueError for invalid YAML, tags, aliases, deep nesting, or over `BYTES`.
    """
    if len(content) > BYTES:
        raise ValueError(f"it has more than {BYTES} bytes")
    text, depth = content.decode("utf-8"), 0
    try:
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.AliasEvent):
                raise ValueError("it has aliases")
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH:
                raise ValueError("it is nested too deeply")
        return yaml.load(text, _Loader)  # noqa: S506  (one of the safe loaders)
    except (yaml.YAMLError, *_ODD) as error:
        raise ValueError(f"it is not YAML of plain values: {error}") from error
