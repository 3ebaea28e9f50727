"""How Sphinx makes the site: `bash scripts/docs`. Nothing here needs the network."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from napari_hush import __version__
from napari_hush.config.base import Frozen

project = "napari-hush"
author = "The napari-hush developers"
project_copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # "page.md#some-heading" leads to a heading

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say types, shapes and units
autodoc_default_options = {"members": True}
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"napari-hush {__version__}"
html_copy_source = False
html_show_sphinx = False

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def setup(app: Any) -> None:
    """Show settings with default and bounds; list pages that index.md does not name."""
    app.connect("source-read", _other_pages)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
    # After napoleon, which takes the words before a colon for a type.
    app.connect("autodoc-process-docstring", _setting, priority=900)


def _other_pages(app: Any, page: str, source: list[str]) -> None:
    if page == "index":
        named = source[0].splitlines()
        pages = sorted(path.stem for path in Path(app.srcdir).glob("*.md"))
        others = [name for name in pages if name not in (*named, "index")]
        source[0] = source[0].replace("(other pages)", "\n".join(others))


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> Any:
    return True if name == "model_config" else None


def _signature(app: Any, what: str, name: str, obj: Any, *rest: Any) -> Any:
    """No list of all defaults, nested in one another: each stands at its setting."""
    if what == "class" and issubclass(obj, Frozen):
        return "(**settings)", ""
    return None


def _setting(app: Any, what: str, name: str, obj: Any, options: Any, lines: Any) -> None:
    if what != "attribute":
        return
    owner, _, attribute = name.rpartition(".")
    module, _, class_name = owner.rpartition(".")
    cls = getattr(import_module(module), class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, Frozen)):
        return
    field = cls.model_fields.get(attribute)
    if field is None:
        return
    lines[:] = [*(field.description or "").splitlines(), ""]
    known = [] if field.is_required() else [f"default ``{_short(field.default)}``"]
    known += [
        f"{word} {getattr(bound, name):,}"
        for bound in field.metadata
        for name, word in _BOUNDS.items()
        if getattr(bound, name, None) is not None
    ]
    if known:
        known[0] = known[0][:1].upper() + known[0][1:]
        lines += [", ".join(known) + ".", ""]


def _short(value: Any) -> str:
    if isinstance(value, Frozen):
        return f"{type(value).__name__}()"
    if isinstance(value, tuple) and value and isinstance(value[0], Frozen):
        return "(" + ", ".join(_short(part) for part in value) + ",)"
    return repr(value)
