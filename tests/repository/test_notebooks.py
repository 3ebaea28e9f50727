"""The notebooks are those that the tutorials give, and their code runs."""

import json
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from napari_hush.io import samples

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "docs/tutorials").glob("*.md"))
NAMES.remove("index")


@pytest.fixture
def notebooks(monkeypatch):
    backend = mpl.get_backend()
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import docs_notebooks

    mpl.use("Agg")
    plt.close("all")  # those of other tests
    yield docs_notebooks
    mpl.use(backend)


@pytest.fixture
def read():
    return lambda name: json.loads(
        (ROOT / f"docs/notebooks/{name}.ipynb").read_text("utf-8")
    )


def test_every_tutorial_has_a_notebook(notebooks):
    assert sorted(notebooks.TUTORIALS) == NAMES
    found = sorted(path.stem for path in (ROOT / "docs/notebooks").iterdir())
    assert found == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_text_and_code_of_its_tutorial(name, notebooks, read):
    expected = notebooks.notebook(name, notebooks.cells_of(name))
    found = read(name)
    assert (found["nbformat"], found["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in found["cells"]}) == len(found["cells"])
    for cell in (*expected["cells"], *found["cells"]):
        cell.pop("outputs", None)
    assert found == expected, f"run: bash scripts/notebooks {name}"
    page = (ROOT / f"docs/tutorials/{name}.md").read_text(encoding="utf-8")
    code = ["".join(c["source"]) for c in found["cells"] if c["cell_type"] == "code"]
    assert len(code) == page.count("```python\n") > 3
    assert all(part in page for part in code)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_small_and_shows_what_the_tutorial_says(name, read):
    path = ROOT / f"docs/notebooks/{name}.ipynb"
    assert path.stat().st_size < 300_000
    outputs = [out for cell in read(name)["cells"] for out in cell.get("outputs", ())]
    assert {out["output_type"] for out in outputs} == {"stream", "display_data"}
    assert any("image/png" in out.get("data", ()) for out in outputs)
    printed = "".join(line for out in outputs for line in out.get("text", ()))
    before, after = re.findall(r"SI-PSNR: ([\d.]+) dB before, ([\d.]+) dB after", printed)[
        0
    ]
    page = " ".join((ROOT / f"docs/tutorials/{name}.md").read_text("utf-8").split())
    assert f"from {before} to {after} dB" in page


@pytest.mark.parametrize("name", NAMES)
def test_links_of_its_text_lead_somewhere(name, read):
    for cell in read(name)["cells"]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", "".join(cell["source"])):
            assert (ROOT / "docs/notebooks" / target).exists(), target


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated")
@pytest.mark.parametrize("name", NAMES)
def test_its_code_runs(name, notebooks, tmp_path, monkeypatch):
    """On a small image, for two steps; prints and draws as in the notebook."""
    monkeypatch.chdir(tmp_path)
    whole, small = samples.simulated, np.s_[160:288, 160:288]
    monkeypatch.setattr(
        samples, "simulated", lambda seed=0: tuple(image[small] for image in whole(seed))
    )
    cells = notebooks.cells_of(name)
    notebooks.run(
        cells, lambda code: re.sub(r"num_epochs=\d+", "num_epochs=1, num_steps=2", code)
    )
    outputs = [out for cell in cells for out in cell.outputs]
    assert sum(out["output_type"] == "display_data" for out in outputs) == 1
    printed = "".join(line for out in outputs for line in out.get("text", ()))
    assert "dB after" in printed
    assert list(tmp_path.glob("*.safetensors"))
