"""Several processes train one model, on the CPU, and lose each other."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="forks processes that use gloo"
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the runs left what they saw and made."""
    folder = tmp_path_factory.mktemp("runs")
    script = Path(__file__).with_name("together.py")
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "HUSH_CACHE_DIR": str(folder / "cache"),
    }
    done = subprocess.run(
        [sys.executable, str(script), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return folder


def of(folder, name, rank=0):
    return json.loads((folder / f"{name}-{rank}.json").read_text())


def weights(folder, name, rank=0):
    return load_file(folder / f"{name}-{rank}.safetensors")


def assert_close(found, wanted):
    for name, tensor in wanted.items():
        scale = max(float(np.abs(tensor).max()), 1e-3)
        assert np.abs(found[name] - tensor).max() <= 1e-4 * scale, name


@pytest.mark.parametrize(("name", "ranks"), [("two0", 2), ("four0", 4)])
def test_the_result_is_that_of_one_process(folder, name, ranks):
    """Averaged weights and measured means included, after 12 steps, within rounding."""
    assert_close(weights(folder, name), weights(folder, "one0"))
    found, wanted = of(folder, name)["losses"], of(folder, "one0")["losses"]
    for key in ("train_step_loss", "train_loss", "val_loss"):
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-4)
    assert of(folder, name)["normalization"] == of(folder, "one0")["normalization"]


@pytest.mark.parametrize(("name", "ranks"), [("two0", 2), ("four0", 4)])
def test_all_processes_have_the_same_bits(folder, name, ranks):
    first, losses = weights(folder, name), of(folder, name)["losses"]
    for rank in range(1, ranks):
        for key, tensor in weights(folder, name, rank).items():
            np.testing.assert_array_equal(tensor, first[key], err_msg=key)
        assert of(folder, name, rank)["losses"] == losses


@pytest.mark.parametrize(("name", "ranks"), [("two0", 2), ("four0", 4)])
def test_the_plan_is_divided_without_overlap(folder, name, ranks):
    """Put together, the parts are the batches of one process, patch by patch, in order.

    Where a batch has fewer patches than there are processes, one stands in for none.
    """
    parts = [of(folder, name, rank)["seen"] for rank in range(ranks)]
    for wanted, *found in zip(of(folder, "one0")["seen"], *parts, strict=True):
        together = list(itertools.chain(*found))
        if len(wanted) >= ranks:
            assert together == wanted
        else:
            assert set(together) == set(wanted)
    assert any(len(batch) < 4 for batch in of(folder, "one0")["seen"])


def test_only_the_first_tells(folder):
    assert of(folder, "two0")["started"] == [[2, 4]]  # processes, patches per step
    assert "TrainingDone" in of(folder, "two0")["events"]
    assert of(folder, "two0", 1)["events"] == []


def test_a_killed_process_ends_the_others_with_a_sentence(folder):
    assert not (folder / "killed0-1.json").exists()
    said = of(folder, "killed0")["said"]
    assert said.startswith("TrainingError: Process 0 of 2 lost the others")
    assert "hush resume" in said


def test_what_was_killed_goes_on_with_any_number_of_processes(folder):
    steps = of(folder, "killed1")["steps"]
    assert 3 <= steps[0] <= 5  # from the last state, not from the start
    assert_close(weights(folder, "killed1"), weights(folder, "one0"))


def test_a_process_that_does_not_answer_counts_as_lost(folder):
    assert "did not answer for 3 s" in of(folder, "stuck0")["said"]


def test_a_wish_to_stop_ends_all_after_the_same_step(folder):
    for key, tensor in weights(folder, "stopped0").items():
        np.testing.assert_array_equal(weights(folder, "stopped0", 1)[key], tensor)
    assert len(of(folder, "stopped0")["losses"]["train_step"]) == 5
    assert len(of(folder, "stopped0", 1)["losses"]["train_step"]) == 5


def test_more_processes_than_patches_in_a_batch_are_refused(folder):
    for rank in range(5):
        said = of(folder, "crowded0", rank)["said"]
        assert "batch_size is 4 but 5 processes" in said


def test_processes_that_see_other_data_are_told(folder):
    for rank in (0, 1):
        said = of(folder, "other0", rank)["said"]
        assert "Process 1 has other data than the first" in said
