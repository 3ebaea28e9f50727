"""The script for a lent GPU runs to its end, here on the processor."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


def test_the_script_for_a_gpu_runs_to_its_end_at_small_size(tmp_path):
    for file in (ROOT / "benchmarks").glob("*.py"):
        shutil.copy(file, tmp_path)  # beside which it writes its results
    done = subprocess.run(
        [sys.executable, "gpu.py", "--small"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert ("There is no GPU" in done.stdout) != torch.cuda.is_available()
    found = json.loads((tmp_path / "results/gpu.json").read_text())
    assert [*found["tables"]] == ["train", "predict", "kernels"]
    for row in found["tables"]["train"]:
        assert row["patches/s"] > 0
        assert 0 < float(row["of the roofline"]) < 1.5
    kernels = [row for row in found["tables"]["kernels"] if row["of"] == "train"]
    assert len(kernels) == 11  # ten, and the share of all that are bound by memory
    assert any("conv" in row["kernel"] for row in kernels if row["bound by"] != "memory")
