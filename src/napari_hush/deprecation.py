"""Names of the previous release, which work for one more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar
from warnings import warn

P = ParamSpec("P")
R = TypeVar("R")


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
            f"{module}.{name} is now {path}; the old name will be removed in version 0.3.",
            DeprecationWarning,
            stacklevel=2,
        )
        home, _, new = path.rpartition(".")
        return getattr(import_module(home), new)

    return lookup


def former_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a decorator that accepts keyword arguments by their old names.

    Parameters
    ----------
    **names : str
        Old names, each with its new one.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{function.__name__}() got both {new} and {old}")
                warn(
                    f"{old} of {function.__name__}() is now {new}; the old name will be "
                    "removed in version 0.3.",
                    DeprecationWarning,
                    stacklevel=2,
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate
