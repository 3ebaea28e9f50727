"""Base class of configurations: frozen, strict, with the docstring of each field."""

from __future__ import annotations

import difflib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args, get_origin
from warnings import warn

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from napari_hush.errors import ConfigurationError, counted

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_NO_WARNING = "no warning about former keys"
_NAMED = 4
"""Most problems of a configuration that a message names."""
NEW: dict[str, Any] = {"new": True}
"""The ``json_schema_extra`` of fields that 0.1 does not have.

With ``"before"``, what 0.1 did where that is not the default.
"""


def with_quotes(value: Any) -> Any:
    """Text that YAML reads as a number if it has no quotes, such as ``precision: 32``."""
    return str(value) if type(value) is int else value


class Frozen(BaseModel):
    """A configuration that can be replaced but not changed; unknown keys are errors.

    A renamed field has its former key as ``serialization_alias``. That key is still read,
    with a DeprecationWarning except from JSON, which programs write.
    """

    former_keys: ClassVar[dict[str, str]] = {}
    """Former keys and what they are called now."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, protected_namespaces=()
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        # Like use_attribute_docstrings, which inspects every loaded module: in napari that
        # takes half of the time in which the dock opens.
        super().__pydantic_init_subclass__(**kwargs)
        texts = _field_docstrings(cls.__module__).get(cls.__name__, {})
        for name, text in texts.items():
            cls.model_fields[name].description = text
        cls.former_keys = {
            info.serialization_alias: name
            for name, info in cls.model_fields.items()
            if info.serialization_alias is not None
        }

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, dict):
            return values
        warns = info.mode == "python" and info.context != _NO_WARNING
        return cls._with_current_keys(values, warns=warns)

    @classmethod
    def _with_current_keys(cls, values: dict[str, Any], *, warns: bool) -> dict[str, Any]:
        for old in cls.former_keys.keys() & values.keys():
            new = cls.former_keys[old]
            if new in values:
                raise ValueError(f"{old} is the former name of {new}; give {new} only")
            if warns:
                _warn_former(old, new)
            values = {new if key == old else key: value for key, value in values.items()}
        return values

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if (new := type(self).former_keys.get(name)) is None:
                return super().__getattr__(name)
            _warn_former(name, new)
            return getattr(self, new)

    @classmethod
    def build(cls, values: Any, *, written_by_hush: bool = False) -> Self:
        """Validate a dict of values, or raise a ConfigurationError of one sentence.

        Former keys give no warning if they were `written_by_hush` itself.
        """
        context = _NO_WARNING if written_by_hush else None
        try:
            return cls.model_validate(values, context=context)
        except ValidationError as error:
            raise ConfigurationError(_sentence(cls, error)) from error

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes`, validated again."""
        changes = self._with_current_keys(changes, warns=True)
        return self.build({**self.model_dump(), **changes})

    def stable_json(self) -> str:
        """JSON for hashes, as in 0.1: former keys, and `NEW` fields only if they matter."""
        return self.model_dump_json(by_alias=True, exclude=_new_defaults(self))


def _new_defaults(config: Frozen) -> dict[str, Any]:
    """The `exclude` of a dump without `NEW` fields that are at defaults or as in 0.1."""
    found: dict[str, Any] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, Frozen):
            found[name] = _new_defaults(value)
        elif isinstance(extra := field.json_schema_extra, dict) and "new" in extra:
            found[name] = value in (field.default, extra.get("before", field.default))
    return found


def _warn_former(old: str, new: str) -> None:
    text = f"The setting {old!r} is now {new!r}; {old!r} will be removed in version 0.3."
    warn(text, DeprecationWarning, stacklevel=3)


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    parts = []
    problems = error.errors(include_url=False)
    for problem in problems[:_NAMED]:
        if problem["type"] == "extra_forbidden":
            parts.append(unknown_setting(model, problem["loc"]))
            continue
        where = ".".join(map(str, problem["loc"])) or "the configuration"
        message = problem["msg"].removeprefix("Value error, ").rstrip(".")
        given = problem["input"]
        if isinstance(given, str | int | float | bool | list | tuple | None):
            message = f"{message} (given: {given!r:.100})"
        parts.append(f"{where}: {message}")
    if len(problems) > _NAMED:
        parts.append(f"and {counted(len(problems) - _NAMED, 'more problem')}")
    return "; ".join(parts) + "."


_PARTS = re.compile(
    r'^class (?P<class>\w+)|^    (?P<field>\w+): |^    """(?P<text>.*?)"""|^(?P<other>\w)'
    r"|^    [^\s)\]}]",
    re.M | re.S,
)
"""Lines at the level of a module or a class, and docstrings."""


@cache
def _field_docstrings(module: str) -> dict[str, dict[str, str]]:
    """The docstring of each field, by class and field, read from the module's source.

    A pattern finds them ten times as fast as Python's parser.
    """
    path = Path(str(sys.modules[module].__file__))
    found: dict[str, dict[str, str]] = {}
    if path.suffix != ".py":  # installed without its source and so without help texts
        return found
    texts: dict[str, str] = {}
    field = None
    for part in _PARTS.finditer(path.read_text(encoding="utf-8")):
        if part["class"] or part["other"]:
            texts = found.setdefault(part["class"], {})
        elif part["text"] and field:
            texts[field] = inspect.cleandoc(part["text"])
        field = part["field"]
    return found


def field_paths(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of `model` and of its parts, by dotted paths."""
    found: dict[str, FieldInfo] = {}
    for name, info in model.model_fields.items():
        found[name] = info
        if get_origin(info.annotation) is not tuple:  # items of a list have no path
            for part in parts_of(info.annotation):
                for path, inner in field_paths(part).items():
                    found.setdefault(f"{name}.{path}", inner)
    return found


def set_field(model: type[BaseModel], values: dict[str, Any], name: str, value: Any) -> str:
    """Set one value in a dump of `model`, in place and not validated; return its path.

    `name` is the path of a setting or its unambiguous end (``optimizer.name``), and may
    continue with a key of a dictionary (``optimizer.parameters.weight_decay``). Raises a
    ConfigurationError if no setting, or more than one, matches.
    """
    paths = field_paths(model)
    for new, info in paths.items():
        if info.serialization_alias is not None:
            old = ".".join([*new.split(".")[:-1], info.serialization_alias])
            if f".{old}".endswith(f".{name}"):
                _warn_former(old, new)
                name = new
    path = _resolved(paths, name)
    *parents, key = path.split(".")
    inner = values
    for parent in parents:
        if inner.get(parent) is None:
            inner[parent] = {}
        inner = inner[parent]
    above = paths.get(".".join(parents))
    if key == "name" and above is not None and len(list(parts_of(above.annotation))) > 1:
        inner.clear()  # another kind has other settings
    inner[key] = value
    return path


def unknown_setting(model: type[BaseModel], where: Sequence[int | str]) -> str:
    """The message for a key at the place `where` that is no field of `model`."""
    parts: list[type[BaseModel]] = [model]
    above: list[str] = []
    for step in where[:-1]:
        named = [p for p in parts if step in p.model_fields]
        if named:
            parts = [
                q for p in named for q in parts_of(p.model_fields[str(step)].annotation)
            ]
            above.append(str(step))
        else:  # the name of a union's member, or the number of an item
            kinds = [p for p in parts if "name" in p.model_fields]
            parts = [p for p in kinds if p.model_fields["name"].default == step] or parts
    key = str(where[-1])
    here = sorted({name for part in parts for name in part.model_fields})
    place = f" in {'.'.join(above)}" if above else ""
    otherwise = f"there are {', '.join(here)}"
    hint = nearest(key, here) or nearest(key, field_paths(model)) or otherwise
    return f"there is no setting {key!r}{place}; {hint}"


def nearest(key: str, paths: Iterable[str]) -> str:
    """A question for the path whose end is most similar to `key`, if any."""
    ends = {path.rpartition(".")[2]: path for path in paths}
    near = difflib.get_close_matches(key, ends, 1)
    return f"did you mean {ends[near[0]]!r}" if near else ""


def _resolved(paths: dict[str, FieldInfo], name: str) -> str:
    if name in paths:
        return name
    ends = [path for path in paths if path.endswith(f".{name}")]
    if len(ends) > 1:
        raise ConfigurationError(
            f"Several settings are called {name!r}; give one of {', '.join(ends)}."
        )
    if ends:
        return ends[0]
    head, _, key = name.rpartition(".")
    if head:
        with suppress(ConfigurationError):
            outer = _resolved(paths, head)
            if get_origin(paths[outer].annotation) is dict:
                return f"{outer}.{key}"
    hint = nearest(key, paths) or "'hush config n2v' lists all"
    raise ConfigurationError(f"There is no setting {name!r}; {hint}.")


def parts_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """The configuration classes in the type of a field."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from parts_of(inner)
