"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import random
import sys

# Networks here are so small that threads cost more than they gain.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import hypothesis
import numpy as np
import pytest

from napari_hush.config import create_n2v_configuration

CI = bool(os.environ.get("CI"))

# No deadlines: a slow machine is no defect. In CI every run draws the same examples; a
# failure elsewhere prints the line that reproduces it.
hypothesis.settings.register_profile(
    "default",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
)
hypothesis.settings.register_profile(
    "ci", hypothesis.settings.get_profile("default"), derandomize=True
)
hypothesis.settings.load_profile("ci" if CI else "default")


@pytest.fixture(autouse=True)
def fixed_global_seeds():
    """Start each test with the same global random state, in whatever order tests run."""
    random.seed(0)
    np.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep what tests measure out of the user's cache folder."""
    monkeypatch.setenv("HUSH_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def seed():
    """Seed of a test that draws its own damage or delays: 0 in CI, else a new one.

    Pytest shows the printed line where the test fails; ``HUSH_TEST_SEED`` repeats it.
    """
    given = os.environ.get("HUSH_TEST_SEED", "0" if CI else None)
    chosen = int(np.random.SeedSequence().entropy % 2**31 if given is None else given)
    print(f"HUSH_TEST_SEED={chosen}")
    return chosen


@pytest.fixture
def tiny_config():
    """Build a configuration whose network trains in milliseconds; takes overrides."""

    def build(**changes):
        values = {
            "experiment_name": "tiny",
            "data_type": "array",
            "axes": "YX",
            "patch_size": [16, 16],
            "batch_size": 4,
            "num_epochs": 1,
            "model_params": {"num_channels_init": 8},
        }
        return create_n2v_configuration(**{**values, **changes})

    return build


@pytest.fixture
def noisy():
    """A small noisy picture: float32, 48 x 52, mean about 1000, std about 60."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :52]
    clean = 1000 + 50 * np.sin(x / 5) * np.cos(y / 7)
    return (clean + rng.normal(0, 30, clean.shape)).astype("float32")
