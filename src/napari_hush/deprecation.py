"""Names of the previous release, which work for one more."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from warnings import warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def former_names(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of `module`, for names that were renamed.

    Parameters
    ----------
    module : str
        The module that has, or had, the old names.
    names : mapping of str to str
        Old names to new ones; a new one with a dot is a full path.
    """

    def lookup(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        path = names[name] if "." in names[name] else f"{module}.{names[name]}"
        warn(
            f"{module}.{name} is now {path}; the old name goes with version 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )
        home, _, new = path.rpartition(".")
        return getattr(import_module(home), new)

    return lookup
