"""Trainings and predictions end with the recorded bits.

Those of some trainings were recorded anew: version 0.1 added 1e-6 to standard deviations.
On another CPU or with another torch they end close to them.
"""

from __future__ import annotations

import numpy as np
import pytest
from pinned_cases import (
    CASES,
    CLOSE,
    DATA,
    TRAINED,
    machine,
    predictions,
    recorded,
    sha256,
    trained,
    weights_sha256,
)

BITS = recorded("bits")["cases"] | recorded("retrained")


@pytest.mark.parametrize("case", CASES)
def test_it_learns_and_denoises_as_it_did(case, exact, tmp_path):
    known = BITS[case]
    careamist = trained(case, tmp_path)
    losses, found = careamist.get_losses(), predictions(careamist, case)
    assert losses.keys() >= known["losses"].keys()
    first = known["losses"]["train_step_loss"][0]
    np.testing.assert_allclose(losses["train_step_loss"][0], first, **CLOSE)
    for name, values in known["losses"].items():
        np.testing.assert_allclose(losses[name], values, err_msg=name, **TRAINED)
    with np.load(DATA / "models" / f"{case}.npz") as arrays:
        for name, array in found.items():
            assert array.dtype == np.float32
            expected = arrays["plain" if name == "tiled" else name]
            np.testing.assert_allclose(array, expected, err_msg=name, **TRAINED)
    if exact:
        assert {name: losses[name] for name in known["losses"]} == known["losses"]
        assert weights_sha256(careamist) == known["weights"]
        assert {name: sha256(array) for name, array in found.items()} == {
            name: known[name] for name in found
        }


def test_the_cases_are_not_alike():
    """Each case would notice that it was trained as another one."""
    assert len({known["weights"] for known in BITS.values()}) == len(BITS)


def test_the_machine_of_the_recording_is_known():
    known = recorded("bits")["machine"]
    assert known.keys() == machine().keys()
    assert all(known.values())
