from __future__ import annotations

from napari_hush.widgets.plot.loss_curve import LossCurve


def test_steps_count_from_one_and_the_smooth_line_follows():
    history = LossCurve()
    history.add_steps(0, (4.0, 2.0))
    history.add_steps(2, (2.0,) * 50)
    history.add_validation(2, 3.0)
    assert history.steps == list(range(1, 53))
    assert len(history.train) == len(history.smooth) == 52
    assert history.smooth[0] == 4.0
    assert history.smooth[-1] < 2.1
    assert (history.val_steps, history.val) == ([2], [3.0])


def test_a_constant_stays_a_constant():
    history = LossCurve()
    history.add_steps(0, (0.5,) * 20)
    assert history.smooth == history.train


def test_log_axis_only_where_every_value_allows():
    history = LossCurve()
    history.add_steps(0, (1.0, 0.1))
    assert history.fits_log_axis
    history.add_validation(2, 0.0)
    assert not history.fits_log_axis
    other = LossCurve()
    other.add_steps(0, (1.0, float("nan")))
    assert not other.fits_log_axis
