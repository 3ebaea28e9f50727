from __future__ import annotations

import numpy as np
import pytest

from napari_hush.widgets.plot.loss_curve import ChartAxis


@pytest.mark.parametrize("log", [False, True])
def test_every_value_lies_on_the_axis(log):
    values = [0.02, 0.4, 3.0]
    shares = ChartAxis.around(values, log=log).share(values)
    assert (shares > 0).all()
    assert (shares < 1).all()
    assert (np.diff(shares) > 0).all()


def test_equal_ratios_are_equal_distances_on_a_log_axis():
    axis = ChartAxis.around([0.01, 10.0], log=True)
    assert np.allclose(np.diff(axis.share([0.1, 1.0, 10.0]), 2), 0)


@pytest.mark.parametrize("values", [[], [float("nan")], [0.0], [5.0], [5.0, float("inf")]])
def test_odd_values_still_make_an_axis(values):
    axis = ChartAxis.around(values, log=False)
    assert axis.low < axis.high
    assert axis.labels(4)


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (ChartAxis(0.0, 30.0), [0, 10, 20, 30]),
        (ChartAxis(0.0, 3060.0), [0, 1000, 2000, 3000]),
        (ChartAxis(-1.0, 0.1, log=True), [0.1, 0.2, 0.3, 0.5, 0.7, 1.0]),
        (ChartAxis(-2.0, 0.1, log=True), [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        (ChartAxis(-2.4, 0.3, log=True), [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]),
        (ChartAxis(-2.6, 0.4, log=True), [0.01, 0.1, 1.0]),
        (ChartAxis(-3.5, 0.5, log=True), [0.001, 0.01, 0.1, 1.0]),
        (ChartAxis(-8.5, 0.5, log=True), [1e-8, 1e-6, 1e-4, 1e-2, 1.0]),
        # of a loss that hardly falls
        (ChartAxis(-0.51, -0.41, log=True), [0.32, 0.34, 0.36, 0.38]),
        (ChartAxis(-0.58, -0.41, log=True), [0.3, 0.35]),
    ],
)
def test_labels_are_round_and_few(axis, labels):
    assert np.allclose(axis.labels(4), labels)
