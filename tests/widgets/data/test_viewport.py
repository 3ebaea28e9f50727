import numpy as np
import pytest

from napari_hush.axes import AxesMap
from napari_hush.widgets.data.viewport import canonical_region, shown_bounds, shown_slice


@pytest.mark.parametrize(
    ("axes", "shape", "bounds"),
    [
        ("YX", (20, 30), (slice(2, 9), slice(0, 30))),
        ("XY", (30, 20), (slice(0, 30), slice(2, 9))),
        ("TYX", (5, 20, 30), (slice(3, 4), slice(2, 9), slice(4, 5))),
        ("STCZYX", (2, 3, 2, 4, 8, 9),
         (slice(1, 2), slice(2, 3), slice(0, 2), slice(1, 3), slice(0, 8), slice(3, 9))),
        ("TSYX", (3, 2, 8, 9), (slice(1, 2), slice(0, 2), slice(0, 8), slice(0, 1))),
        ("STYX", (3, 4, 8, 9), (slice(0, 3), slice(1, 2), slice(0, 8), slice(0, 9))),
    ],
)  # fmt: skip
def test_the_region_is_where_the_pixels_of_the_box_lie_in_canonical_order(
    axes, shape, bounds
):
    marked = np.zeros(shape, bool)
    marked[bounds] = True
    canonical = np.array(AxesMap(axes, shape).to_canonical(marked))
    region = canonical_region(bounds, axes, shape)
    assert canonical[region].all()
    assert canonical.sum() == canonical[region].size


def test_the_bounds_follow_pan_zoom_slice_and_turned_axes(viewer, qtbot):
    volume = np.zeros((12, 64, 72), np.uint8)
    layer = viewer.add_image(volume, scale=(3, 0.5, 0.5), translate=(1, 2, 3))
    qtbot.wait(300)
    viewer.dims.set_current_step(0, 7)
    qtbot.wait(100)
    assert shown_slice(viewer, layer) == (slice(7, 8), slice(0, 64), slice(0, 72))
    whole = shown_bounds(viewer, layer)
    assert whole[0] == slice(7, 8)
    assert whole[1] == slice(0, 64)
    viewer.scene.camera.zoom *= 8
    qtbot.waitUntil(lambda: shown_bounds(viewer, layer)[1].start > 20, timeout=5000)
    part = shown_bounds(viewer, layer)
    assert part[1].stop < 44
    viewer.dims.order = (1, 0, 2)
    viewer.reset_view()
    qtbot.waitUntil(lambda: shown_bounds(viewer, layer)[0] == slice(0, 12), timeout=5000)
    assert shown_bounds(viewer, layer)[1].stop - shown_bounds(viewer, layer)[1].start == 1


def test_in_3d_all_displayed_pixels_are_visible(viewer, qtbot):
    layer = viewer.add_image(np.zeros((4, 12, 64, 72), np.uint8))
    viewer.dims.set_current_step(0, 2)
    viewer.dims.ndisplay = 3
    qtbot.wait(200)
    everything = slice(0, 12), slice(0, 64), slice(0, 72)
    assert shown_bounds(viewer, layer) == (slice(2, 3), *everything)
