"""Write docs/notebooks from the tutorials: the same text and code, with its output."""

import ast
import base64
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from PIL import Image as Picture

DOCS = Path(__file__).parents[1] / "docs"
FOLDER = DOCS / "notebooks"
TUTORIALS = ("n2v", "n2v2", "structn2v", "n2n", "care")
CODE, READING = "In Python", "Reading the result"
"""Sections of a tutorial that a notebook has."""
ABOUT = """\
This notebook holds the Python code of the [tutorial](../tutorials/{name}.md). It needs
`napari-hush` with the extra `plot`, and takes a few minutes on one CPU core."""


@dataclass
class Cell:
    """A cell of a notebook."""

    kind: str
    """``"markdown"`` or ``"code"``."""
    source: str
    outputs: list[dict[str, Any]] = field(default_factory=list)


def cells_of(name: str) -> list[Cell]:
    """The cells that the tutorial `name` gives, without output."""
    page = (DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    texts = {title: text for title, _, text in (s.partition("\n") for s in sections)}
    paragraphs = head.strip().split("\n\n")
    without_picture = [p for p in paragraphs if not p.startswith(("![", "The picture"))]
    cells = [Cell("markdown", _moved("\n\n".join([*without_picture, ABOUT])))]
    cells[0].source = cells[0].source.replace("{name}", name)
    for part in re.split(r"^(```python\n.*?^```)$", texts[CODE], flags=re.M | re.S):
        if part.startswith("```"):
            code = part.removeprefix("```python\n").removesuffix("```")
            cells.append(Cell("code", code.strip()))
        elif text := part.strip():
            cells.append(Cell("markdown", _moved(text)))
    cells.append(Cell("markdown", _moved(f"## {READING}\n\n{texts[READING].strip()}")))
    return cells


def _moved(text: str) -> str:
    """`text` with the links to other tutorials as they are from the notebooks."""
    return re.sub(r"\]\((\w+\.md)", r"](../tutorials/\1", text)


def run(cells: Iterable[Cell], change: Callable[[str], str] = lambda code: code) -> None:
    """Run the code, with a `change`, and keep its output in the cells."""
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(cells):
        if cell.kind == "code":
            printed = io.StringIO()
            code = compile(change(cell.source), f"cell {number}", "exec")
            with redirect_stdout(printed), redirect_stderr(io.StringIO()):
                exec(code, names)  # noqa: S102
            cell.outputs = [*_text(printed.getvalue()), *_figures()]


def _text(printed: str) -> list[dict[str, Any]]:
    if not printed:
        return []
    return [{"output_type": "stream", "name": "stdout", "text": _lines(printed)}]


def _figures() -> list[dict[str, Any]]:
    """The open figures as outputs, in grays; they are closed."""
    outputs = []
    for number in plt.get_fignums():
        drawn, small = io.BytesIO(), io.BytesIO()
        plt.figure(number).savefig(drawn, dpi=80)
        with Picture.open(drawn) as picture:
            picture.convert("L").save(small, "PNG", optimize=True)
        encoded = base64.b64encode(small.getvalue()).decode()
        data = {"image/png": encoded, "text/plain": ["<Figure>"]}
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})
    plt.close("all")
    return outputs


def notebook(name: str, cells: Sequence[Cell]) -> dict[str, Any]:
    """The notebook as JSON, in version 4.5 of the format."""
    count, written = 0, []
    for number, cell in enumerate(cells):
        entry: dict[str, Any] = {
            "cell_type": cell.kind,
            "id": f"{name}-{number}",
            "metadata": {},
            "source": _lines(cell.source),
        }
        if cell.kind == "code":
            ast.parse(cell.source)
            count += 1
            entry |= {"execution_count": count, "outputs": cell.outputs}
        written.append(entry)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main(names: Sequence[str]) -> None:
    """Run the named tutorials and write their notebooks."""
    for name in names:
        if name not in TUTORIALS:
            sys.exit(f"No notebook {name!r}; choose from {TUTORIALS}.")
    for name in names:
        cells, before = cells_of(name), Path.cwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                run(cells)
            finally:
                os.chdir(before)
        text = json.dumps(notebook(name, cells), indent=1, ensure_ascii=False)
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}.ipynb"
        path.write_text(f"{text}\n", encoding="utf-8")
        print(f"docs/notebooks/{name}.ipynb: {path.stat().st_size / 1000:.0f} kB")
        for cell in cells:
            for output in cell.outputs:
                print(*output.get("text", []), sep="", end="", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or TUTORIALS)
