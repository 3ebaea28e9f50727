import pytest

from napari_hush.config import DataConfig
from napari_hush.config.data import DEFAULT_PATCH, SMALLEST_SIDE, fitting_patch
from napari_hush.errors import DataError


@pytest.mark.parametrize(
    ("size", "fitting"),
    [
        ((512, 512), (64, 64)),
        ((64, 65), (64, 64)),
        ((40, 40), (40, 40)),
        ((17, 300), (16, 64)),
        ((9, 9), (8, 8)),
        ((30, 512, 512), (16, 64, 64)),
        ((5, 96, 96), (5, 64, 64)),
        ((3, 40, 40), (3, 40, 40)),
        ((1, 63, 8), (1, 60, 8)),
    ],
)
def test_the_default_fits_into_the_image(size, fitting):
    wished, multiple = DEFAULT_PATCH[-len(size) :], (1, 4, 4)[-len(size) :]
    assert fitting_patch(size, wished, multiple) == fitting


def test_sizes_that_fit_are_kept_as_they_are():
    assert fitting_patch((40, 40), (30, 50), (4, 4)) == (30, 40)


@pytest.mark.parametrize(
    ("size", "multiple", "says"),
    [
        ((7, 40), (4, 4), "Only 7 pixels along Y in the image.* at least 8; use larger"),
        ((40, 1), (4, 4), "Only 1 pixel along X in the image.* at least 8; use larger"),
        ((15, 40), (16, 16), "Only 15 .* 16; .* or a network that downsamples less"),
        ((3, 40, 40), (4, 4, 4), "Only 3 pixels along Z .* at least 4"),
    ],
)
def test_images_too_small_to_train_on(size, multiple, says):
    with pytest.raises(DataError, match=says):
        fitting_patch(size, DEFAULT_PATCH[-len(size) :], multiple)


def test_the_default_is_that_of_the_configuration():
    assert DataConfig().patch_size == DEFAULT_PATCH[-2:]
    assert DataConfig(patch_size=(SMALLEST_SIDE, SMALLEST_SIDE))
