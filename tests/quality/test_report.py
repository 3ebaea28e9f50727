import json

import numpy as np
import pytest

from napari_hush.config import N2VManipulateConfig
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.io import Image
from napari_hush.quality import ChannelReport, DataReport, check_data
from napari_hush.quality.advice import advise, leak
from napari_hush.quality.correlation import NoiseCorrelation

BOX = (0.5, 1, 0.5)


@pytest.mark.parametrize("sigma", [0.1, 1.0], ids=["mild", "heavy"])
@pytest.mark.parametrize(
    ("along_y", "along_x", "method", "axis", "span"),
    [
        ((1,), (1,), "n2v", "none", 1),
        ((1,), (0.4, 1), "structn2v", "horizontal", 3),
        ((0.4, 1), (1,), "structn2v", "vertical", 3),
        ((0.7, 1), (0.7, 1), "structn2v", "square", 3),
        ((1, 2, 3, 2, 1), (1, 2, 3, 2, 1), "none", "none", 1),
    ],
    ids=["white", "along X", "along Y", "both", "as far as structure"],
)
def test_advice_fits_the_noise(
    cells, noise_of, sigma, along_y, along_x, method, axis, span
):
    report = check_data(cells + sigma * noise_of(along_y, along_x), "YX")
    assert (report.suggestion, report.axis, report.span) == (method, axis, span)
    words = {
        "n2v": "Use N2V.",
        "structn2v": f"Use structN2V, axis {axis}, span {span}.",
        "none": "Use no blind-spot method.",
    }
    assert report.as_text().startswith(words[method])


def test_rows_and_columns_are_hidden_by_a_cross(cells, noise_of):
    rows, columns = noise_of((1,), (1, 1), seed=1), noise_of((1, 1), (1,), seed=2)
    report = check_data(cells + 0.3 * (rows + columns), "YX")
    assert (report.suggestion, report.axis) == ("structn2v", "cross")


def test_span_grows_with_the_noise(cells, noise_of):
    spans = [
        check_data(cells + 0.5 * noise_of((1,), (1,) * n), "YX").span for n in (2, 5, 9)
    ]
    assert spans == sorted(spans)
    assert len(set(spans)) == 3


@pytest.mark.parametrize("kernel", [(0.4, 1), (1,) * 3, (1,) * 9])
def test_what_is_advised_can_be_configured(cells, noise_of, kernel):
    report = check_data(cells + 0.5 * noise_of((1,), kernel), "YX")
    N2VManipulateConfig(struct_mask_axis=report.axis, struct_mask_span=report.span)


def test_sharp_structure_is_not_taken_for_noise(noise_of):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    discs = sum(
        (np.hypot(y - a, x - b) < r) * level
        for a, b, r, level in rng.random((40, 4)) * (256, 256, 40, 1)
    )
    assert check_data(discs + 0.1 * noise_of(), "YX").suggestion == "n2v"


def test_hot_pixels_ask_for_n2v2(cells, noise_of):
    image = cells + 0.1 * noise_of()
    image[np.random.default_rng(1).random(image.shape) < 1e-3] += 5
    report = check_data(image, "YX")
    assert report.suggestion == "n2v2"
    assert report.channels[0].hot_share == pytest.approx(1e-3, rel=0.3)


def test_saturation_and_noise_level_are_reported(noise_of):
    image = np.clip(200 + 40 * noise_of(), 0, 255).astype(np.uint8)
    channel = check_data(image, "YX").channels[0]
    assert channel.saturated_share == pytest.approx((image == 255).mean())
    assert 30 < channel.sigma < 42


def test_channels_have_reports_of_their_own_and_one_advice(cells, noise_of):
    white, lines = cells + 0.3 * noise_of(seed=1), cells + 0.3 * noise_of((1,), BOX)
    columns = cells + 0.3 * noise_of((1, 1), (1,))
    report = check_data(np.stack([white, lines], -1), "YXC")
    assert [c.advice.method for c in report.channels] == ["n2v", "structn2v"]
    assert (report.suggestion, report.axis) == ("structn2v", "horizontal")
    assert check_data(np.stack([lines, columns]), "CYX").axis == "cross"


def test_the_text_numbers_channels_where_there_are_several(cells, noise_of):
    image = cells + 0.3 * noise_of()
    assert "Channel" not in check_data(image, "YX").as_text()
    text = check_data(np.stack([image, image]), "CYX").as_text()
    assert text.index("Channel 0: ") < text.index("Channel 1: ")


def test_noise_along_z_is_reported():
    white = np.random.default_rng(0).normal(size=(9, 128, 128))
    volume = white[1:, :, 1:] + white[:-1, :, 1:] + 0.5 * white[1:, :, :-1]
    report = check_data(volume, "ZYX")
    assert report.axis == "horizontal"
    assert "along Z (" in report.reason
    assert report.channels[0].noise.z[1] > 0.3


def test_image_brings_its_axes(cells, noise_of):
    image = Image.from_array(cells + noise_of(), "YX", "cells.tif")
    assert check_data(image).suggestion == "n2v"


def test_report_does_not_depend_on_gain_and_offset(cells, noise_of):
    noisy = cells + 0.3 * noise_of((1,), (0.5, 1))
    first, second = check_data(noisy, "YX"), check_data(5000 + 300 * noisy, "YX")
    a, b = first.channels[0], second.channels[0]
    assert first.advice == second.advice or first.axis == second.axis
    np.testing.assert_allclose(a.noise.map, b.noise.map, atol=0.01)
    assert b.sigma == pytest.approx(300 * a.sigma, rel=0.01)


def test_json(cells, noise_of):
    tree = json.loads(json.dumps(check_data(cells + noise_of(), "YX").as_dict()))
    assert tree["suggestion"] == "n2v"
    assert np.shape(tree["channels"][0]["autocorrelation"]["map"]) == (21, 21)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, bool])
def test_any_real_type(dtype):
    image = np.random.default_rng(0).integers(0, 2, (64, 64)).astype(dtype)
    assert check_data(image, "YX").channels[0].sigma == pytest.approx(0.5, abs=0.05)


def test_reason_is_one_sentence_without_line_breaks(cells, noise_of):
    for kernel in ((1,), (1, 1), (1, 2, 3, 2, 1)):
        reason = check_data(cells + noise_of(kernel, kernel), "YX").reason
        assert reason.endswith(".")
        assert "\n" not in reason


class TestRefused:
    def test_constant(self):
        with pytest.raises(DataError, match="The array is constant"):
            check_data(np.full((64, 64), 100), "YX")
        two = np.random.default_rng(0).random((2, 64, 64))
        two[1] = 0
        with pytest.raises(
            DataError, match=r"Channel 1 \(.*\) of the array .* leave this channel out"
        ):
            check_data(two, "CYX")

    def test_nan(self):
        with pytest.raises(DataError, match="NaN or infinite pixels"):
            check_data(np.full((64, 64), np.nan), "YX")

    def test_axes(self):
        image = np.zeros((3, 64, 64))
        with pytest.raises(DataError, match=r"axes are not named.*'ZYX'"):
            check_data(image)
        with pytest.raises(DataError, match="name 2 dimensions"):
            check_data(image, "YX")
        with pytest.raises(ConfigurationError, match="unknown letter"):
            check_data(image, "QYX")


@pytest.mark.parametrize(
    ("profile", "expected"),
    [([1.0, 0.0, 0.0], 0.0), ([1.0, 0.1, 0.0], 0.02), ([1.0] * 6, 1.0)],
)
def test_leak_is_what_neighbours_explain(profile, expected):
    assert leak(np.array(profile)) == pytest.approx(expected, abs=0.005)


def test_what_is_hidden_does_not_leak():
    profile = np.array([1.0, 0.5, 0.0, 0.0])
    assert leak(profile, hidden=1) == 0
    assert leak(profile, hidden=3) == 0
    assert leak(profile) > 0.4


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [16, 40, 70])
def test_chance_is_not_taken_for_correlation_in_small_images(size, seed):
    image = np.random.default_rng(seed).normal(size=(size, size))
    assert check_data(image, "YX").suggestion == "n2v"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_two_independent_neighbors_explain_twice_the_square(share):
    """Each explains its share squared, less by 2 % for the regularization."""
    assert leak(np.array([1, share])) == pytest.approx(2 * share**2 / 1.02)


def noise_with(x=(1,), y=(1,), z=(1,), falling=0.0, rising=0.0, scatter=0.001):
    """Noise of these correlations along the axes, and of diagonal neighbors."""
    lags = max(len(x), len(y), 4) - 1
    known = np.zeros((2 * lags + 1, 2 * lags + 1))
    for k, value in enumerate(x):
        known[lags, [lags - k, lags + k]] = value
    for k, value in enumerate(y):
        known[[lags - k, lags + k], lags] = value
    known[[lags - 1, lags + 1], [lags - 1, lags + 1]] = falling
    known[[lags - 1, lags + 1], [lags + 1, lags - 1]] = rising
    return NoiseCorrelation(known, np.array(z, float), 0.0, scatter)


class TestLimits:
    """Just inside and outside of the limits of the advice."""

    @pytest.mark.parametrize(("share", "method"), [(0.1409, "n2v"), (0.144, "structn2v")])
    def test_neighbors_that_explain_a_25th_are_hidden(self, share, method):
        noise = noise_with([1, share])
        assert (leak(noise.x) >= 0.04) == (method == "structn2v")
        assert advise([noise], 0).method == method

    @pytest.mark.parametrize(("second", "span"), [(0.15, 3), (0.2, 5)])
    def test_a_seventh_of_what_is_explained_may_stay(self, second, span):
        noise = noise_with([1, 0.6, second])
        assert (leak(noise.x, 1) / leak(noise.x) >= 0.15) == (span == 5)
        assert advise([noise], 0).span == span

    def test_all_may_have_to_be_hidden(self):
        assert advise([noise_with([1, 1, 1, 1])], 0).span == 7
        across = [noise_with([1, 0.5]), noise_with((1,), [1, 1, 1, 1])]
        assert advise(across, 0).span == 7

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize(("errors", "method"), [(4, "n2v"), (4.01, "structn2v")])
    def test_four_standard_errors_are_significant(self, sign, errors, method):
        noise = noise_with([1, sign * 0.125 * errors], scatter=0.125)
        assert advise([noise], 0).method == method

    @pytest.mark.parametrize(("share", "method"), [(2.99e-5, "n2v"), (3e-5, "n2v2")])
    def test_30_of_a_million_pixels_are_many_hot_ones(self, share, method):
        advice = advise([noise_with()], share)
        assert (advice.method, advice.axis, advice.span) == (method, "none", 1)

    def test_hot_pixels_are_counted_in_millions(self):
        assert "900,000 of a million pixels" in advise([noise_with()], 0.9).reason

    @pytest.mark.parametrize(
        ("x", "y", "method"),
        [
            ((1, 0.5, 0.05, 0.05), (1, 0.5, 0.05, 0.05), "none"),
            ((1, 0.5, 0.05, 0.05), (1, 0.5, 0.05, 0.049), "structn2v"),
            ((1, 0.5, 0.05, 0.049), (1, 0.5, 0.05, 0.05), "structn2v"),
            ((1, 0.5, 0.05, 0.05), (1, 0.06, 0.06, 0.06), "structn2v"),
            ((1, 0.06, 0.06, 0.06), (1, 0.5, 0.05, 0.05), "structn2v"),
        ],
    )
    def test_noise_over_three_pixels_both_ways_is_as_structure(self, x, y, method):
        """Unless it is weak along one of them."""
        advice = advise([noise_with(x, y, scatter=0.02)], 0)
        assert advice.method == method
        if method == "none":
            assert (advice.axis, advice.span) == ("none", 1)
            assert (
                "over 3 pixels in every direction (correlation of neighbors 0.50 along"
                in (advice.reason)
            )

    @pytest.mark.parametrize(
        ("falling", "rising", "axis"),
        [(0.2, 0, "square"), (0, 0.2, "square"), (0.19, 0, "cross"), (0, 0.19, "cross")],
    )
    def test_diagonal_neighbors_are_hidden_from_a_mean_of_a_tenth(
        self, falling, rising, axis
    ):
        noise = noise_with([1, 0.4], [1, 0.3], falling=falling, rising=rising)
        assert advise([noise], 0).axis == axis
        other = noise_with([1, 0.4], [1, 0.3])
        assert advise([other, noise], 0).axis == axis

    @pytest.mark.parametrize(("share", "said"), [(0.1409, False), (0.144, True)])
    def test_along_z(self, share, said):
        reason = advise([noise_with([1, 0.5], z=[1, share])], 0).reason
        assert ("along Z (0.14)" in reason) == said

    @pytest.mark.parametrize("strong", [0, 1])
    def test_the_reason_is_of_the_channel_of_most_correlation(self, strong):
        noises = [noise_with([1, 0.3, 0.25, 0.2], [1, 0.32])] * 2
        noises[strong] = noise_with([1, 0.35], [1, 0.2, 0.1])
        reason = advise(noises, 0).reason
        assert "0.35 along X, 0.20 along Y" in reason
        weak = [noise_with([1, 0.03], [1, 0.02])] * 2
        weak[strong] = noise_with([1, 0.01], [1, 0.04])
        assert "0.01 along X, 0.04 along Y" in advise(weak, 0).reason


def test_measurements_are_listed():
    noise = noise_with([1, 0.401, 0.2, -0.1, 0.9], [1, -0.001], z=[1, 0.25])
    advice = advise([noise], 0)
    channel = ChannelReport(noise, 12.3456789, 1.5e-5, 0.123456, 0.5, advice, (1.0, 2.0))
    report = DataReport((channel,), advice, 4096)
    lines = [line.split() for line in report.as_text().splitlines()]
    assert lines[3:] == [
        ["noise", "correlation", "at", "1,", "2,", "3", "pixels"],
        ["along", "X", "0.40", "0.20", "-0.10"],
        ["along", "Y", "0.00", "0.00", "0.00"],
        ["along", "Z", "0.25"],
        ["noise", "level", "12.3", "gray", "values"],
        ["hot", "pixels", "0.0015", "%"],
        ["background", "12.3", "%"],
        ["saturated", "50", "%"],
    ]
    plain = report.as_dict()["channels"][0]
    assert (plain["sigma"], plain["background_share"]) == (12.3457, 0.1235)
    assert plain["autocorrelation"]["x"] == [1, 0.401, 0.2, -0.1, 0.9]
    flat = noise_with([1, 0.12346])
    channel = ChannelReport(flat, 1.0, 0, 0, 0, advice)
    text = DataReport((channel,) * 2, advice, 1).as_text()
    assert "along Z" not in text.partition("noise correlation")[2]
    assert text.count("Channel") == 2
    (found, _) = DataReport((channel,) * 2, advice, 1).as_dict()["channels"]
    assert found["autocorrelation"]["x"][1] == 0.1235


def test_most_pixels_are_between_the_5th_and_the_95th_percentile():
    pixels = np.random.default_rng(0).permutation(np.arange(101 * 101.0)).reshape(101, 101)
    channels = check_data(np.stack([pixels, 3 * pixels]), "CYX").channels
    assert channels[0].most == pytest.approx((510, 9690))
    assert channels[1].most == pytest.approx((1530, 29070))
