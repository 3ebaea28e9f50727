"""Boxes cover a shape once, whatever its size."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_hush.boxes import Boxes, box_size, flush_starts, spans

pixels = st.integers(1, 23)
shapes = st.lists(pixels, min_size=1, max_size=4)


@given(shapes, st.data())
def test_boxes_cover_every_pixel_once(shape, data):
    size = [data.draw(pixels) for _ in shape]
    boxes = Boxes(shape, size)
    times = np.zeros(shape, int)
    for box in boxes:
        times[box] += 1
        assert all(
            0 < part.stop - part.start <= n for part, n in zip(box, size, strict=True)
        )
    assert (times == 1).all()
    assert len(boxes) == len(list(boxes)) == math.prod(boxes.grid)
    assert boxes.at([0] * len(shape)) == boxes[0]


def test_no_box_beyond_the_last():
    boxes = Boxes((5, 4), (2, 4))
    assert boxes[2] == (slice(4, 5), slice(0, 4))
    with pytest.raises(IndexError):
        boxes[3]


@given(shapes, st.integers(1, 5000))
def test_boxes_hold_as_many_pixels_as_allowed(shape, limit):
    size = box_size(shape, limit)
    assert math.prod(size) <= limit
    # The last axes are whole before the ones in front of them grow.
    grown = next((i for i, n in enumerate(size) if n > 1), len(size) - 1)
    assert size[grown + 1 :] == tuple(shape[grown + 1 :])
    if size[grown] < shape[grown]:
        assert math.prod(size) // size[grown] * (size[grown] + 1) > limit


@given(shapes, st.integers(1, 5000), st.data())
def test_boxes_are_made_of_whole_pieces(shape, limit, data):
    pieces = [data.draw(pixels) for _ in shape]
    for n, piece, whole in zip(box_size(shape, limit, pieces), pieces, shape, strict=True):
        assert n == whole or n % piece == 0
    least = [data.draw(st.integers(1, n)) for n in shape]
    for n, low in zip(box_size(shape, limit, pieces, least), least, strict=True):
        assert n >= low


@given(pixels, pixels)
def test_spans_cover_an_axis_once(size, step):
    for merge_rest in (False, True):
        parts = spans(size, step, merge_rest=merge_rest)
        covered = [i for part in parts for i in range(part.start, part.stop)]
        assert covered == list(range(size))
    lengths = [part.stop - part.start for part in parts]
    assert min(lengths) >= min(step, size)
    assert max(lengths) < 2 * step


@given(pixels, pixels)
def test_windows_that_end_at_the_border_cover_an_axis(size, step):
    step = min(size, step)
    starts = flush_starts(size, step)
    covered = {int(start) + i for start in starts for i in range(step)}
    assert covered == set(range(size))
    assert len(starts) == -(-size // step)
