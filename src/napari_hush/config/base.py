"""The base of every configuration: frozen, strict, and documented field by field."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_hush.errors import ConfigurationError


class Frozen(BaseModel):
    """A configuration that cannot be changed, only replaced; unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
        protected_namespaces=(),
    )

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
            raise ConfigurationError(_sentence(error)) from error

    def replace(self, **changes: Any) -> Self:
        """A copy with `changes` made and everything checked again."""
        return self.build({**self.model_dump(), **changes})


def _sentence(error: ValidationError) -> str:
    parts = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(step) for step in problem["loc"]) or "the configuration"
        message = problem["msg"].removeprefix("Value error, ").rstrip(".")
        given = problem["input"]
        if isinstance(given, str | int | float | bool | list | tuple | None):
            message = f"{message} (given: {given!r})"
        parts.append(f"{where}: {message}")
    return "; ".join(parts) + "."
