"""The benchmark of quality goes on where it ended, and its table compares times."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[2]


class Partner:
    """Gives results with less and less noise, two seconds per step."""

    asked: list[str]

    def __init__(self, python, script, **environment):
        self.script = script

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def ask(self, task, data, folder, marks=(0,), **rest):
        self.asked.append(f"{self.script} {task}")
        truth = tifffile.imread(Path(data) / "nuclei_lowhigh16/high.tif")
        noise = np.random.default_rng(0).normal(0, 40, truth.shape)
        for number, step in enumerate(marks, 1):
            left = 0.02 if task == "built_in" else 1 / (1 + step)
            np.save(Path(folder) / f"{number}.npy", truth + left * noise)
        return [2.0 * step + 1 for step in marks]


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Run the benchmark on a small set; the table's rows by method and weights."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = importlib.import_module("quality_all")
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    monkeypatch.setattr(importlib.import_module("reporting"), "RESULTS", tmp_path)
    monkeypatch.setattr(benchmark, "Partner", Partner)
    monkeypatch.setattr(Partner, "asked", [], raising=False)
    folder = tmp_path / "data/nuclei_lowhigh16"
    folder.mkdir(parents=True)
    for name in ("low", "high"):
        ramp = np.add.outer(np.arange(40.0), np.arange(48.0))
        tifffile.imwrite(folder / f"{name}.tif", ramp.astype("float32"))

    def run(*options):
        command = ["quality.py", "--all", "--data", str(tmp_path / "data")]
        monkeypatch.setattr("sys.argv", [*command, "--only", "nuclei", *options])
        benchmark.main()
        found = json.loads((tmp_path / "quality-all.json").read_text())
        return {(r["set"], r["method"], r["weights"]): r for r in found["rows"]}

    return run


def test_a_row_is_measured_once(measure):
    measure("--steps", "0", "4")
    once = list(Partner.asked)
    assert once.count("quality_hush.py built_in") == 1
    measure("--steps", "0", "4")
    assert Partner.asked == once
    measure("--steps", "0", "4", "--peer", "python")
    assert Partner.asked[len(once) :] == ["quality_peer.py train"] * 2


def test_times_until_the_quality_of_the_peer_are_compared(measure, capsys):
    rows = measure("--steps", "0", "4", "99", "--peer", "python")
    ours = rows["nuclei", "n2v", "random"]
    assert ours["99"] == ours["CAREamics"]
    assert (ours["s to that"], ours["ratio"]) == ("199.0", "1")
    # The built-in denoiser: less noise than after 4 steps, more than after 99.
    assert rows["nuclei", "denoiser", "built-in"]["ratio"] == "-"
    assert float(ours["4"]) < float(rows["nuclei", "denoiser", "built-in"]["0"])
    assert rows["mean of 1", "n2v2", "random"]["ratio"] == "1"
    gain = float(rows["nuclei", "denoiser", "built-in"]["0"]) - float(ours["CAREamics"])
    printed = capsys.readouterr().out
    assert f"0 steps over CAREamics: {gain:+.2f} dB on average" in printed
    assert "Noise2Noise" not in printed.splitlines()[-1]
