import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.axes import AxesMap, validate_axes
from napari_hush.errors import ConfigurationError, DataError


@st.composite
def axes_and_shapes(draw: st.DrawFn) -> tuple[str, tuple[int, ...]]:
    extra = draw(st.lists(st.sampled_from("STCZ"), unique=True))
    axes = "".join(draw(st.permutations([*extra, "Y", "X"])))
    shape = tuple(draw(st.integers(1, 4)) for _ in axes)
    return axes, shape


@given(axes_and_shapes())
def test_there_and_back(case):
    axes, shape = case
    array = np.arange(np.prod(shape)).reshape(shape)
    mapping = AxesMap(axes, shape)
    canonical = mapping.to_canonical(array)
    assert canonical.shape == mapping.canonical_shape
    np.testing.assert_array_equal(mapping.from_canonical(canonical), array)


@given(axes_and_shapes())
def test_samples_are_the_canonical_samples_and_never_copies(case):
    axes, shape = case
    array = np.arange(np.prod(shape)).reshape(shape)
    mapping = AxesMap(axes, shape)
    samples = mapping.samples(array)
    np.testing.assert_array_equal(np.stack(samples), mapping.to_canonical(array))
    for sample in samples:
        sample[...] = -1
    assert (array == -1).all()


def test_samples_go_before_time():
    array = np.arange(6).reshape(3, 2, 1, 1)  # T, S, Y, X
    canonical = AxesMap("TSYX", array.shape).to_canonical(array)
    assert canonical.ravel().tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize(
    ("axes", "says"),
    [("YQ", "unknown letter 'Q'"), ("YXY", "repeat"), ("ZY", "lack X"), ("", "lack Y")],
)
def test_axes_that_are_none(axes, says):
    with pytest.raises(ConfigurationError, match=says):
        validate_axes(axes)


def test_lower_case_is_understood():
    assert validate_axes("tzyx") == "TZYX"


def test_every_order_of_yx_is_allowed():
    for order in itertools.permutations("SYX"):
        assert validate_axes("".join(order)) == "".join(order)


def test_axes_that_do_not_fit():
    with pytest.raises(DataError, match=r"name 3 dimensions but the data has 2.*\(5, 6\)"):
        AxesMap("ZYX", (5, 6))


def test_an_empty_axis_is_named():
    with pytest.raises(DataError, match="its Z axis is empty"):
        AxesMap("ZYX", (0, 5, 6))


def test_another_shape_is_refused():
    with pytest.raises(DataError, match="give an array of that shape"):
        AxesMap("YX", (5, 6)).samples(np.zeros((6, 5)))
