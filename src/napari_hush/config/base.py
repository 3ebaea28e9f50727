"""The base of every configuration: frozen, strict, and documented field by field."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_hush.config.fields import unknown_setting
from napari_hush.errors import ConfigurationError


class Frozen(BaseModel):
    """A configuration that cannot be changed, only replaced; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        protected_namespaces=(),
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        # What use_attribute_docstrings does, without its look at every loaded module:
        # in a napari window that took half the time in which the dock opens.
        super().__pydantic_init_subclass__(**kwargs)
        texts = _field_docstrings(cls.__module__).get(cls.__name__, {})
        for name, text in texts.items():
            cls.model_fields[name].description = text

    @classmethod
    def build(cls, values: Any) -> Self:
        """Validate `values` (a dict), telling what is wrong as one sentence.

        Raises
        ------
        ConfigurationError
            If a value is missing, unknown or out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigurationError(_sentence(cls, error)) from error

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes` made and everything checked again."""
        return self.build({**self.model_dump(), **changes})


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False):
        if problem["type"] == "extra_forbidden":
            parts.append(unknown_setting(model, problem["loc"]))
            continue
        where = ".".join(str(step) for step in problem["loc"]) or "the configuration"
        message = problem["msg"].removeprefix("Value error, ").rstrip(".")
        given = problem["input"]
        if isinstance(given, str | int | float | bool | list | tuple | None):
            message = f"{message} (given: {given!r})"
        parts.append(f"{where}: {message}")
    return "; ".join(parts) + "."


@cache
def _field_docstrings(module: str) -> dict[str, dict[str, str]]:
    """The string under each field, by class and field, read from the module's source."""
    path = Path(str(sys.modules[module].__file__))
    found: dict[str, dict[str, str]] = {}
    if path.suffix != ".py":  # installed without its source: without help texts, too
        return found
    source = path.read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef):
            texts = found.setdefault(node.name, {})
            for field, below in pairwise(node.body):
                match field, below:
                    case (
                        ast.AnnAssign(target=ast.Name(id=name)),
                        ast.Expr(value=ast.Constant(value=str(text))),
                    ):
                        texts[name] = inspect.cleandoc(text)
    return found
