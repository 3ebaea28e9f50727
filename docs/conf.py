"""How Sphinx makes the site: `bash scripts/docs`. Nothing here needs the network."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.util.nodes import make_refnode

from napari_hush import __version__
from napari_hush.config.base import Frozen

project = "napari-hush"
author = "The napari-hush developers"
project_copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",  # links to the source, which is part of the site
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images", "notebooks"]  # tutorials link to notebooks as files
default_role = "py:obj"  # single backticks in docstrings are links where that is possible

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3  # "page.md#some-heading" leads to a heading

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
autodoc_default_options = {"members": True}
napoleon_google_docstring = False

html_theme = "furo"
html_title = f"napari-hush {__version__}"
html_copy_source = False
html_show_sphinx = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
templates_path = ["_templates"]
pygments_dark_style = "a11y-dark"  # no underlines, which look like links

PACKAGES = (
    *("config", "dataset", "interop", "io", "lightning", "models"),
    *("n2v", "prediction", "quality"),
)
"""Public packages, whose names come from several modules."""
TWICE = 1400
"""Width in pixels from which a picture has two pixels for each pixel of the page."""
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def setup(app: Any) -> None:
    """Show settings with default and bounds, members in source order, more links."""
    for package in PACKAGES:
        module = import_module(f"napari_hush.{package}")
        module.__all__ = sorted(module.__all__, key=lambda name: _place(module, name))
    app.connect("missing-reference", _nearest)
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-signature", _signature)
    # After napoleon, which takes the words before a colon for a type.
    app.connect("autodoc-process-docstring", _setting, priority=900)
    app.connect("html-page-context", _page, priority=900)  # after the theme


def _place(package: Any, name: str) -> tuple[str, int, str]:
    """Where a name of a package is defined: module and line, which autodoc sorts by."""
    found = getattr(package, name)
    module = getattr(found, "__module__", None) or package.__name__
    try:
        line = inspect.getsourcelines(inspect.unwrap(found))[1]
    except (OSError, TypeError):  # a constant
        line = 0
    return module, line, name


def _nearest(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Link `CAREamist.predict` and the like, without their module, if they are unique."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not re.search(r"[A-Z._]", target):
        return None
    known = env.get_domain("py").objects.items()
    found = [each for name, each in known if f".{name}".endswith(f".{target}")]
    found = [each for each in found if not each.aliased]
    if len(found) != 1:
        return None
    page, anchor = found[0].docname, found[0].node_id
    return make_refnode(app.builder, node["refdoc"], page, anchor, content, target)


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> Any:
    return True if name == "model_config" else None


def _signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: Any, returned: Any
) -> Any:
    """Without the insides of Python and pydantic."""
    if what == "class" and issubclass(obj, Frozen):
        # No list of all defaults, nested in one another: each stands at its setting.
        return "(**settings)", ""
    return _plain(signature), _plain(returned)


def _plain(part: str | None) -> str | None:
    if part is None:
        return None
    part = re.sub(r"<(?:function (?:<lambda>|[\w.]+)|factory)>", "...", part)
    return re.sub(r"[~\w.]*Annotated\[(.*?), FieldInfo\(.*?\)\]", r"\1", part)


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


def _page(app: Any, page: str, template: str, context: Any, doctree: Any) -> None:
    """Mend what Sphinx and the theme write, for screen readers and for phones."""
    # A caption of the list of pages is a heading without a level.
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace(
        'role="heading"', 'role="heading" aria-level="2"'
    )
    if "body" not in context:
        return
    body = context["body"]
    # A signature on several lines is a list of definitions that defines nothing.
    body = re.sub(
        r'(<span class="sig-paren">\(</span>\s*)<dl>', r'\1<dl role="none">', body
    )
    # Words of code that may break: with others in a table they would be too wide.
    body = re.sub(
        r'<span class="pre">(?=(?:[^<&]|&\w+;){25})', '<span class="pre long">', body
    )
    context["body"] = re.sub(r'<img [^>]*src="([^"]+)"[^>]*>', _picture(app), body)


def _picture(app: Any) -> Any:
    """Give a picture its size, which keeps the page still while it loads, and a link."""

    def sized(found: re.Match[str]) -> str:
        tag, source = found[0], found[1]
        path = Path(app.srcdir) / "images" / source.rpartition("/")[2]
        if not path.is_file():
            return tag
        width, height = _size(path)
        scale = 2 if width >= TWICE else 1
        size = f'width="{width // scale}" height="{height // scale}"'
        tag = tag.replace("<img ", f"<img {size} ")
        # A diagram or a row of panels: a phone shows it at a size to read, and scrolls.
        wide = path.suffix == ".svg" or width > 2.5 * height
        if not wide and scale == 1:
            return tag
        kind = "picture wide" if wide else "picture"
        return f'<a class="{kind}" href="{source}">{tag}</a>'

    return sized


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a picture in pixels."""
    if path.suffix == ".svg":
        box = path.read_text(encoding="utf-8").split('viewBox="')[1].split('"')[0]
        width, height = box.split()[2:]
        return int(width), int(height)
    with Image.open(path) as picture:
        return picture.size
