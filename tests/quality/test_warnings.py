"""When to look twice at data, and at a result."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from napari_hush.errors import DataError
from napari_hush.io import Image, ImageMetadata
from napari_hush.quality import (
    UnseenIntensities,
    correlated_noise,
    data_warnings,
    loss_warning,
    residual_warning,
    saturation,
    size_warning,
    warnings,
)


@pytest.fixture
def clean():
    rng = np.random.default_rng(1)
    smooth = gaussian_filter(rng.normal(0, 1, (256, 256)), 4)
    return (1000 + 300 * smooth / smooth.std()).astype(np.float32)


def noise(shape, sigma=60.0, seed=0):
    return np.random.default_rng(seed).normal(0, sigma, shape).astype(np.float32)


def kinds(images, *, blind=True, hides=False):
    images = [Image.from_array(image, "YX") for image in images]
    return {c.about for c in data_warnings(images, blind=blind, hides_neighbours=hides)}


def test_independent_noise_is_nothing_to_speak_of(clean):
    assert kinds([clean + noise(clean.shape)]) == set()


def test_correlated_noise_is_reported_where_it_matters(clean):
    along_x = uniform_filter(noise(clean.shape, 100), (1, 2))
    assert kinds([clean + along_x]) == {"noise"}
    assert kinds([clean + along_x], hides=True) == set()
    assert kinds([clean + along_x], blind=False) == set()


def test_jpeg_files_are_reported_where_neighbors_matter(clean):
    """Blocks of 8 x 8 pixels are rounded together."""
    image = Image.from_array(clean + noise(clean.shape), "YX")
    image = dataclasses.replace(image, path=Path("a.JPG"))
    (found,) = data_warnings([image], blind=True, hides_neighbours=True)
    assert (found.about, "JPEG" in found.message) == ("noise", True)
    assert not data_warnings([image], blind=False, hides_neighbours=False)


def test_one_of_many_images_is_enough(clean):
    good = clean + noise(clean.shape)
    bad = clean + uniform_filter(noise(clean.shape, 100), (1, 2))
    assert kinds([good, good, good, bad]) == {"noise"}


def test_images_too_small_or_constant_pass():
    assert kinds([np.zeros((64, 64), np.uint16), noise((8, 8))]) == set()


def test_saturation(clean):
    image = (clean + noise(clean.shape)).astype(np.uint16)
    assert saturation(Image.from_array(image, "YX")) is None
    clipped = np.minimum(image, np.quantile(image, 0.9).astype(np.uint16))
    caution = saturation(Image.from_array(clipped, "YX"))
    assert caution.about == "saturation"
    assert kinds([clipped], blind=False) == {"saturation"}


def test_structure_in_the_residual(clean):
    noisy = clean + noise(clean.shape)
    image = Image.from_array(noisy, "YX")
    assert residual_warning(image, clean) is None
    caution = residual_warning(image, gaussian_filter(clean, 6))
    assert caution.about == "structure"
    assert residual_warning(image, np.stack([clean, clean])) is None  # other channels


@pytest.mark.parametrize(
    ("size", "unit", "warned"),
    [
        (0.2, "micrometer", True),
        (0.1, "micrometer", False),
        (100, "nanometer", False),
        (0.108, "micrometer", False),
        (0.05, "", True),
        (0.2, "second", False),
    ],
)
def test_pixel_sizes_are_compared_in_one_unit(size, unit, warned):
    trained = ImageMetadata.of(None, {"X": 0.1}, {"X": "micrometer"})
    here = ImageMetadata.of(None, {"X": size}, {"X": unit})
    assert (size_warning("it", here, trained) is not None) is warned
    assert size_warning("it", here, ImageMetadata()) is None


def test_the_sentence_says_how_large_structures_look():
    trained = ImageMetadata.of(None, {"X": 0.1}, {"X": "micrometer"})
    here = ImageMetadata.of(None, {"X": 0.2}, {"X": "micrometer"})
    assert "0.5 times as large" in size_warning("it", here, trained).message


def test_unseen_intensities_by_channel():
    unseen = UnseenIntensities([(0, 10), (100, 110)])
    unseen.see(np.array([5.0, 105.0]).reshape(1, 2, 1, 1).repeat(50, -1))
    assert unseen.warning("it") is None
    unseen.see(np.array([5.0, 95.0]).reshape(1, 2, 1, 1).repeat(50, -1))
    assert "25% of the pixels of it are darker" in unseen.warning("it").message


def test_intensities_seen_elsewhere_are_added():
    rng = np.random.default_rng(0)
    parts = [rng.normal(5, 5, (2, 1, 20, 20)) for _ in range(2)]
    whole, first, second = (UnseenIntensities([(0, 10)]) for _ in range(3))
    for part, other in zip(parts, (first, second), strict=True):
        whole.see(part)
        other.see(part)
    first.add(second.counts)
    assert first.counts == whole.counts
    assert first.warning("a") == whole.warning("a") is not None


def test_without_ranges_nothing_is_unseen():
    unseen = UnseenIntensities([])
    unseen.see(np.full((1, 1, 4, 4), 1e9))
    assert unseen.warning("it") is None


@pytest.mark.parametrize(
    ("shape", "axes", "names", "better"),
    [
        ((20, 24, 24), "CYX", (), "ZYX"),
        ((2, 7, 24, 24), "ZCYX", (), "ZTYX"),
        ((24, 24, 9), "YXC", ("", ""), "YXZ"),
        ((6, 24, 24), "CYX", (), None),
        ((20, 24, 24), "CYX", ("DAPI", ""), None),
        ((20, 24, 24), "TYX", (), None),
    ],
)
def test_many_channels_without_names_may_be_planes(shape, axes, names, better):
    image = Image.from_array(noise(shape), axes, "a.tif")
    image = dataclasses.replace(image, metadata=ImageMetadata(channels=names))
    found = data_warnings([image], blind=False, hides_neighbours=False)
    if better is None:
        assert not found
    else:
        (warning,) = found
        assert warning.about == "channels"
        assert f"give its axes as {better} instead of {axes}" in warning.message
        assert f"--axes {better})" in warning.message


@pytest.mark.parametrize(
    ("first", "epochs", "warned"),
    [
        (1.1, [0.9, 0.7, 0.6], False),
        (1.1, [0.9, 0.7, 5.0], False),
        (1.0, [0.9, 50.0, 5.0], False),
        (1.1, [0.9, 1e5, 193.0], True),
        (1.1, [1e6, 193.0], True),
        (1.1, [0.9, 0.5, 193.0, 0.6], False),
        (1.1, [0.9, float("nan")], True),
        (1.1, [1e5, 0.8], False),
        (1.1, [1e5, 1.2], True),
        (1.0, [0.0001, 0.05], False),
        (1.0, [], False),
    ],
)
def test_a_loss_that_has_grown_is_reported(first, epochs, warned):
    warning = loss_warning(first, epochs)
    assert (warning is not None) == warned
    if warned:
        assert f"ended at {epochs[-1]:.3g}, " in warning.message
        assert "smaller learning rate" in warning.message


@pytest.mark.parametrize(
    ("last", "simple", "named"),
    [
        (0.21, {"the mean": 1.0, "a blur": 0.2}, None),  # within the margin
        (0.22, {"the mean": 1.0, "a blur": 0.2}, "above 0.2, that of a blur"),
        (0.97, {"the mean": 0.9}, "above 0.9, that of the mean"),
        (0.97, {}, None),
    ],
)
def test_a_loss_above_that_of_a_simple_prediction_is_reported(last, simple, named):
    warning = loss_warning(1.1, [last], simple)
    assert (warning is not None) == (named is not None)
    if named:
        assert f"ended at {last:.3g}, {named}, " in warning.message


@pytest.mark.parametrize("epochs", [[0.9, 0.5, 193.0], [0.97]])
def test_what_results_contain_beside_the_network_is_said_with_its_loss(epochs):
    warning = loss_warning(1.1, epochs, {"the mean": 0.9}, "a denoiser makes up 96 %")
    said = "so the network alone is of little use (a denoiser makes up 96 %); train"
    assert said in warning.message


def test_training_and_denoising_tell_of_equal_saturation(clean):
    image = np.tile(np.minimum(clean + noise(clean.shape), 1300), (3, 3))
    one = Image.from_array(image, "YX")
    (found,) = data_warnings([one] * 3, blind=False, hides_neighbours=False)
    assert found == saturation(one)


@pytest.mark.parametrize("ranges", [[(0.0, 4095.0)], []])
@pytest.mark.parametrize("factor", [1, 1e-4, 1e-3, 300, 1e6])
def test_another_unit(clean, ranges, factor):
    image = (clean + noise(clean.shape)) * factor
    unseen = UnseenIntensities(ranges, [1000.0], [300.0])
    unseen.see(image[None, None])
    warning = unseen.warning("it")
    assert unseen.is_other_unit == (factor != 1)
    assert (warning is None) == (factor == 1)
    if factor < 1:
        trained = "0 to 4095" if ranges else "1000 ± 300"
        assert f"but the training data {trained}, so they are in an" in warning.message
    elif factor > 1:
        assert "brighter than the training data (" in warning.message


def test_a_dark_image_is_in_no_other_unit():
    unseen = UnseenIntensities([], [1000.0], [300.0])
    unseen.see(np.zeros((1, 1, 8, 8)))
    unseen.see(np.random.default_rng(0).normal(0, 10, (1, 1, 64, 64)))
    assert unseen.warning("it") is None
    assert not unseen.is_other_unit


def test_lost_structure_of_models_of_unknown_training(clean):
    noisy = Image.from_array(clean + noise(clean.shape), "YX")
    flat = np.full_like(clean, clean.mean())
    messages = [
        residual_warning(noisy, flat, trained_here=here).message for here in (True, False)
    ]
    assert all(one.startswith("In the array: Structure was lost") for one in messages)
    advice = [message.partition("; ")[2] for message in messages]
    assert advice[0].startswith("train longer")
    assert "does not suit this image, so train one" in advice[1]


@pytest.mark.parametrize(("pixels", "warned"), [(4, False), (5, True)])
def test_a_thousandth_of_saturated_pixels_is_reported(pixels, warned):
    image = np.zeros((50, 100), np.uint8)
    image.flat[: 10 * pixels : 10] = 255
    both = np.stack([np.arange(5000).reshape(50, 100) % 200, image]).astype(np.uint8)
    found = saturation(Image.from_array(both, "CYX"))
    assert (found is not None) == warned
    if warned:
        assert "0.1% of the pixels" in found.message


@pytest.mark.parametrize(("side", "warned"), [(15, False), (16, True)])
def test_saturation_of_small_images_is_not_measured(side, warned):
    for shape in ((side, 40), (40, side)):
        image = np.tile(np.array([0, 255], np.uint8), (shape[0], shape[1] // 2 + 1))
        image = Image.from_array(image[:, : shape[1]], "YX")
        assert (saturation(image) is not None) == warned


@pytest.mark.parametrize(("gain", "warned"), [(1.1, False), (1.101, True)])
@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
def test_pixels_may_be_a_tenth_larger_or_smaller(axis, gain, warned):
    metadata = [ImageMetadata.of(None, {axis: size}, {}) for size in (1.0, gain)]
    assert (size_warning("it", metadata[1], metadata[0]) is not None) == warned
    assert (size_warning("it", *metadata) is not None) == warned
    metadata[0] = ImageMetadata.of(None, {"X": 1.0, "Y": 1.0, "Z": 1.0}, {})
    found = size_warning("it", metadata[1], metadata[0])
    assert (found is not None) == warned
    if warned:
        assert f"is 1.1 units along {axis}" in found.message


def test_sizes_of_no_common_unit_are_passed_over():
    trained = ImageMetadata.of(None, {"X": 1.0, "Y": 1.0}, {"X": "second"})
    here = ImageMetadata.of(None, {"X": 1.0, "Y": 3.0}, {"X": "micrometer"})
    assert "along Y" in size_warning("it", here, trained).message


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize(("outside", "warned"), [(0, 0), (1, 1), (50, 1), (51, 2)])
def test_from_a_hundredth_of_the_pixels_outside_to_another_unit(side, outside, warned):
    unseen = UnseenIntensities([(10, 20)])
    pixels = np.repeat([10.0, 20.0], 50)
    pixels[:outside] = 15 + side * 5.1
    unseen.see(pixels.reshape(4, 1, 25))
    assert (unseen.warning("it") is not None) == (warned > 0)
    assert unseen.is_other_unit == (warned == 2)
    if warned:
        word = "brighter" if side > 0 else "darker"
        message = unseen.warning("it").message
        assert f"{outside}% of the pixels of it are {word} than" in message
        assert "(10 to 20)" in message


def test_a_200th_of_the_pixels_may_be_outside():
    unseen = UnseenIntensities([(10, 20)])
    unseen.see(np.array([21.0] + [15.0] * 199).reshape(1, 1, 200))
    assert unseen.warning("it") is None


def test_ten_deviations_are_unseen_where_no_range_is_known():
    unseen = UnseenIntensities([], [100.0], [2.0])
    unseen.see(np.array([80.0, 120.0]).reshape(2, 1, 1))
    assert unseen.warning("it") is None
    unseen.see(np.array([79.9, 100.0]).reshape(2, 1, 1))
    assert "25% of the pixels of it are much darker" in unseen.warning("it").message
    assert "(100 ± 2)" in unseen.warning("it").message


@pytest.mark.parametrize(
    ("low", "high", "excluded"),
    [
        ((0, 100), (10, 110), False),
        ((-1, 100), (10, 110), True),
        ((0, 100), (10, 111), True),
        ((5, 105), (6, 106), False),
    ],
)
def test_ranges_that_exceed_that_of_training(low, high, excluded):
    most = [*zip(low, high, strict=True)]
    assert UnseenIntensities([(0, 10), (100, 110)]).excludes(most) == excluded
    assert not UnseenIntensities([]).excludes(most)


@pytest.mark.parametrize(("spread", "other"), [(0.99, True), (1.0, False), (0.0, False)])
def test_pixels_of_a_20th_of_the_deviation_are_in_another_unit(spread, other):
    """Of the narrowest channel."""
    unseen = UnseenIntensities([(0, 100), (0, 100)], [50.0, 50.0], [20.0, 30.0])
    unseen.see(np.array([40.0, 40.0]).reshape(1, 2, 1))
    unseen.see(np.array([40.0, 40 + spread]).reshape(1, 2, 1))
    assert unseen.is_other_unit == other
    warning = unseen.warning("it")
    assert (warning is not None) == other
    if other:
        assert "of it are 40 to 40.99 but the training data 0 to 100" in warning.message


@pytest.mark.parametrize(
    ("first", "epochs", "warned"),
    [
        (1.0, [10.0], False),
        (1.0, [10.01], True),
        (1.0, [0.5, 5.0], False),
        (1.0, [0.5, 5.01], True),
        (1.0, [0.001, 0.1], False),
        (1.0, [0.001, 0.11], True),
        (1.0, [100.0, 1.1], False),
        (1.0, [101.0, 1.1], True),
        (1.0, [101.0, 1.0], False),
    ],
)
def test_a_loss_grows_by_ten_from_the_lowest(first, epochs, warned):
    """Or by a hundred between, if it ends above the first; below a hundredth of the first
    it may be anything."""
    assert (loss_warning(first, epochs) is not None) == warned


@pytest.mark.parametrize(("number", "measured"), [(4, 4), (5, 3), (8, 4), (9, 3)])
def test_four_images_at_most_are_measured(monkeypatch, number, measured):
    """Spread over all, with the pixels shared out."""
    seen = []

    def check(image, most_pixels):
        seen.append((image.name, most_pixels))
        raise DataError("constant")

    monkeypatch.setattr(warnings, "check_data", check)
    images = [Image.from_array(noise((16, 16)), "YX", str(k)) for k in range(number)]
    assert not data_warnings(images, blind=True, hides_neighbours=False)
    step = math.ceil(number / 4)
    assert [name for name, _ in seen] == [str(k) for k in range(0, number, step)]
    assert {most for _, most in seen} == {2**20 // measured}


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("kernel", [2, 3])
def test_the_built_in_denoiser_keeps_noise_that_neighbors_share(clean, axis, kernel):
    assert correlated_noise(Image.from_array(clean + noise(clean.shape), "YX")) is None
    size = [1, 1]
    size[axis] = kernel
    image = clean + uniform_filter(noise(clean.shape, 100), size)
    found = correlated_noise(Image.from_array(image, "YX"))
    assert found.about == "noise"
    along = re.search(r"correlated \((\S+) along X, (\S+) along Y\)", found.message)
    shared = 1 - 1 / kernel  # of the pixels of a mean and of the next
    assert float(along[2 - axis]) == pytest.approx(shared, abs=0.05)
    assert float(along[1 + axis]) == pytest.approx(0, abs=0.1)
    assert "train structN2V on the image" in found.message


def test_of_several_channels_the_strongest_correlation_is_said(clean):
    shared = [clean + uniform_filter(noise(clean.shape, 100), size) for size in (1, 2)]
    for channels in (shared, shared[::-1]):
        found = correlated_noise(Image.from_array(np.stack(channels), "CYX"))
        assert re.search(r"0\.(4[5-9]|5[0-5]) along X, 0\.(4[5-9]|5[0-5])", found.message)


def test_noise_that_no_blind_spot_removes(clean):
    smooth = gaussian_filter(noise(clean.shape, 400), 1.5)
    found = correlated_noise(Image.from_array(clean + smooth, "YX"))
    assert "neither smoothed nor enlarged" in found.message
    assert correlated_noise(Image.from_array(np.zeros((64, 64)), "YX")) is None
