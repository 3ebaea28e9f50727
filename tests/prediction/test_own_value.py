"""A pixel's own value: as much as its noise justifies, the same on every route."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from scipy.ndimage import gaussian_filter, uniform_filter

from napari_hush import CAREamist
from napari_hush.cli import main
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import ExistingFileError, ModelFileError
from napari_hush.io import open_images, read_record, write_tiff
from napari_hush.models import Model, UNet, load_model, save_model
from napari_hush.models.normalization import Normalization
from napari_hush.models.unet import with_own_value
from napari_hush.prediction import fit_own_value, own_value
from napari_hush.prediction.own_value import (
    _denoised_sample,
    _energies,
    _spread,
    own_weights,
)

SMALL = {"model_params": {"num_channels_init": 8, "depth": 1}}


def smooth(rng, shape, sigma, std):
    found = gaussian_filter(rng.normal(size=shape), sigma, mode="wrap")
    return std * found / found.std()


def weights_of(curve, clean):
    values, weights, _ = zip(*curve, strict=True)
    return np.interp(clean, values, weights)


def mse(image, truth):
    return float(np.mean((image - truth) ** 2))


@pytest.mark.parametrize("shape", [(1, 256, 256), (16, 64, 64)])
@pytest.mark.parametrize(("error", "noise"), [(5.0, 5.0), (2.0, 4.0), (6.0, 3.0)])
def test_the_weight_is_the_share_of_the_error_in_the_residual(shape, error, noise):
    rng = np.random.default_rng(1)
    truth = 100 + smooth(rng, shape, 4, 20)
    noisy = truth + rng.normal(0, noise, shape)
    clean = truth + smooth(rng, shape, 2, error)
    (curve,) = own_weights([noisy[None]], [clean[None]])
    expected = error**2 / (error**2 + noise**2)
    assert [weight for _, weight, _ in curve] == pytest.approx([expected] * 4, abs=0.06)
    result = clean + weights_of(curve, clean) * (noisy - clean)
    assert mse(result, truth) == pytest.approx(expected * noise**2, rel=0.05)
    assert result.mean() == pytest.approx(noisy.mean(), rel=3e-3)


def test_photons_are_weighted_by_brightness():
    rng = np.random.default_rng(2)
    truth = np.exp(smooth(rng, (1, 256, 256), 6, 1.0)) * 50
    noisy = rng.poisson(truth).astype("float64")
    clean = truth + smooth(rng, truth.shape, 2, 5.0)
    (curve,) = own_weights([noisy[None]], [clean[None]])
    for value, weight, _ in curve:
        assert weight == pytest.approx(25 / (25 + value), abs=0.1)
    assert curve[0][1] > curve[-1][1] + 0.1


def test_a_prediction_that_is_noisy_itself_does_not_choose_dark_pixels():
    """The mean of 8 neighbors has an eighth of the noise, in dark and bright pixels."""
    rng = np.random.default_rng(8)
    noisy = rng.poisson(2, (1, 256, 256)).astype("float64")
    clean = (9 * uniform_filter(noisy, (1, 3, 3)) - noisy) / 8
    (curve,) = own_weights([noisy[None]], [clean[None]])
    assert [weight for _, weight, _ in curve] == pytest.approx([1 / 9] * 4, abs=0.05)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_neither_unit_nor_offset_count(scale):
    rng = np.random.default_rng(3)
    noisy = rng.normal(0, 5, (1, 1, 256, 256))
    clean = smooth(rng, noisy.shape, (0, 0, 3, 3), 5)
    (known,) = own_weights([noisy], [clean])
    assert known[0][1] > 0.4
    (curve,) = own_weights([scale * (noisy + 1e3)], [scale * (clean + 1e3)])
    for (value, weight, most), (first, before, least) in zip(curve, known, strict=True):
        assert most == pytest.approx(scale * least, rel=1e-9)
        assert value == pytest.approx(scale * (first + 1e3), rel=1e-9)
        assert weight == pytest.approx(before, rel=1e-6)


def test_nothing_is_given_back_without_cause():
    rng = np.random.default_rng(4)
    shape = (1, 256, 256)
    truth = 100 + smooth(rng, shape, 4, 20)
    white, wrong = rng.normal(0, 5, shape), smooth(rng, shape, 2, 5)
    correlated = smooth(rng, shape, (0, 0.7, 0.7), 5)
    cases = [
        (truth + white, truth),  # no error
        (truth + correlated, truth + wrong),
        (truth, truth + wrong * 0),  # no noise, no residual
        (np.zeros(shape), wrong),
        ((truth + white)[:, :120], (truth + wrong)[:, :120]),  # few pixels
    ]
    for noisy, clean in cases:
        (curve,) = own_weights([noisy[None]], [clean[None]])
        assert {weight for _, weight, _ in curve} == {0.0}


def test_each_channel_has_its_own_weights():
    rng = np.random.default_rng(5)
    truth = np.full((2, 1, 256, 256), 100.0)
    noisy = truth + rng.normal(0, 5, truth.shape)
    clean = truth.copy()
    clean[1] += smooth(rng, truth.shape[1:], (0, 2, 2), 5)
    first, second = own_weights([noisy], [clean])
    assert {weight for _, weight, _ in first} == {0.0}
    assert second[0][1] == pytest.approx(0.5, abs=0.06)


def test_of_hot_pixels_little_comes_back():
    rng = np.random.default_rng(7)
    clean = torch.full((1, 1, 64, 64), 100.0)
    noisy = clean + torch.from_numpy(rng.normal(0, 5, clean.shape)).float()
    noisy[0, 0, 8, 8] = 60_000
    result = with_own_value(clean, noisy, [((0.0, 0.25, 20.0),)])
    assert result[0, 0, 8, 8] == 105
    usual = (noisy - clean).abs() < 20
    expected = 0.75 * clean + 0.25 * noisy
    torch.testing.assert_close(result[usual], expected[usual])


@pytest.mark.parametrize(("rows", "enough"), [(127, False), (128, True)])
def test_noise_is_known_from_two_to_the_15_pixels(rows, enough):
    rng = np.random.default_rng(9)
    noisy, clean = rng.normal(0, 5, (1, 1, rows, 256)), np.zeros((1, 1, rows, 256))
    clean += smooth(rng, clean.shape, (0, 0, 2, 2), 5)
    (curve,) = own_weights([noisy], [clean])
    assert any(weight for _, weight, _ in curve) == enough


def test_pixels_may_be_hot_from_four_deviations_of_the_residual():
    rng = np.random.default_rng(9)
    truth = 100 + smooth(rng, (1, 1, 256, 256), (0, 0, 4, 4), 20)
    noisy = truth + rng.normal(0, 4, truth.shape)
    clean = truth + smooth(rng, truth.shape, (0, 0, 2, 2), 3)
    (curve,) = own_weights([noisy], [clean])
    assert [most for _, _, most in curve] == pytest.approx([4 * 5] * 4, rel=0.06)


def test_noise_that_only_farther_neighbors_share_is_given_back():
    rng = np.random.default_rng(9)
    white = rng.normal(0, 4, (1, 1, 258, 256))
    noisy = white[..., 2:, :] + 0.5 * white[..., :-2, :]
    clean = smooth(rng, noisy.shape, (0, 0, 2, 2), 5)
    (curve,) = own_weights([noisy], [clean])
    assert max(weight for _, weight, _ in curve) > 0.2


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_energies_of_pixels(depth):
    """A correlation of 0.1 or of -0.05, less 0.03, counts along Y and X, not along Z."""
    rng = np.random.default_rng(9)
    noisy, clean = rng.normal(9, 3, (2, depth, 20, 24))
    lags = [np.array([1, 0.1]), np.array([1, 0.1]), np.array([1, -0.05])]
    level, noise, residual = _energies(noisy, clean, lags)
    planes = slice(None) if depth < 3 else slice(1, -1)
    inner = planes, slice(1, -1), slice(1, -1)
    np.testing.assert_allclose(residual, ((noisy - clean) ** 2)[inner].ravel())
    second = np.diff(np.diff(noisy, n=2, axis=1), n=2, axis=2)
    factor = (6 - 8 * 0.07) * (6 + 8 * 0.02)
    if depth == 3:
        second, factor = np.diff(second, n=2, axis=0), 6 * factor
    np.testing.assert_allclose(noise, 1.02 * second.ravel() ** 2 / factor)
    level = level.reshape(-1, 18, 22)
    middle = depth // 2 if depth == 3 else 0
    assert level[0, 9, 9] == pytest.approx(clean[middle, 7:14, 7:14].mean())
    assert level[0, 0, 0] == pytest.approx(clean[middle, :5, :5].mean())


@pytest.mark.parametrize(
    ("count", "most", "wanted"), [(10, 3, [1, 5, 8]), (4, 9, [0, 1, 2, 3]), (7, 1, [3])]
)
def test_items_are_spread_evenly(count, most, wanted):
    assert _spread(range(count), most) == wanted


# ---- The model, and every route

CURVE = ((980.0, 0.0, 500.0), (1000.0, 0.2, 600.0), (1010.0, 0.9, 700.0))


def untrained(channels=None, axes="YX", own_value=(CURVE,)):
    patch = [8, 16, 16] if "Z" in axes else [16, 16]
    config = create_n2v_configuration(
        "tiny", "array", axes, patch, 4, 1, n_channels=channels, **SMALL
    )
    training = config.training_config.replace(device="cpu", precision="32")
    config = config.replace(training_config=training)
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    scaling = Normalization((1000.0,) * (channels or 1), (30.0,) * (channels or 1))
    return Model(config, network, scaling, own_value=own_value)


def picture(*shape, dtype="uint16"):
    return np.random.default_rng(0).normal(1000, 30, shape).astype(dtype)


@pytest.mark.parametrize(
    ("axes", "shape", "channels"),
    [("YX", (70, 83), None), ("CYX", (2, 40, 50), 2), ("ZYX", (10, 36, 40), None)],
)
def test_every_route_adds_the_same(tmp_path, axes, shape, channels):
    flat = ((1000.0, 0.25, 900.0),)
    careamist = CAREamist(untrained(channels, axes, (CURVE, flat)[: channels or 1]))
    noisy = picture(*shape)
    bare = careamist.predict(noisy, own_value="off")
    clean = careamist.predict(noisy)
    share = weights_of(CURVE, bare)
    if channels:
        share[1] = 0.25
    assert np.ptp(share) > 0.005
    np.testing.assert_allclose(clean, bare + share * (noisy - bare), rtol=1e-6)
    tile = [8, 16, 16][-2 if "Z" not in axes else -3 :]
    np.testing.assert_array_equal(careamist.predict(noisy, tile_size=tile), clean)
    np.testing.assert_array_equal(np.asarray(careamist.predict(noisy, lazy=True)), clean)
    write_tiff(tmp_path / "a.tif", noisy, axes)
    (path,) = careamist.predict_to_disk(
        tmp_path / "a.tif", prediction_dir=tmp_path / "out", data_type="tiff", axes=axes
    )
    np.testing.assert_array_equal(tifffile.imread(path), clean)


def test_the_file_keeps_it_and_older_ones_have_none(tmp_path):
    model = untrained()
    back = load_model(save_model(model, tmp_path / "m.safetensors"))
    assert back.own_value == (CURVE,)
    assert back.sha256 == model.sha256
    older = replace(model, own_value=())
    assert older.sha256 != model.sha256
    path = save_model(older, tmp_path / "older.safetensors")
    assert b"own_value" not in path.read_bytes()
    assert load_model(path).own_value == ()


@pytest.mark.parametrize(
    "curves",
    [
        (((1.0, 2.0, 1.0),),),
        (((1.0, float("nan"), 1.0),),),
        (((2.0, 0.1, 1.0), (1.0, 0.1, 1.0)),),
        (((float("inf"), 0.1, 1.0),),),
        ((),),
        (CURVE, CURVE),
    ],
)
def test_a_damaged_one_is_refused(tmp_path, curves):
    path = save_model(untrained(own_value=curves), tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="own values"):
        load_model(path)


def test_the_command_line_leaves_it_out_and_says_so(tmp_path, capsys):
    model = untrained()
    save_model(model, tmp_path / "m.safetensors")
    noisy = picture(40, 50)
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    out = tmp_path / "off.tif"
    command = ["predict", str(tmp_path / "m.safetensors"), str(tmp_path / "a.tif"), "-o"]
    assert main([*command, str(out), "--own-value", "off", "--quiet"]) == 0
    bare = CAREamist(model).predict(noisy, own_value="off")
    np.testing.assert_array_equal(tifffile.imread(out), bare)
    record = read_record(out)
    assert record["settings"]["own_value"] == "off"
    assert json.loads(json.dumps(record))["model"]["own_value"] == [[[*p] for p in CURVE]]
    again = {"prediction_dir": out, "data_type": "tiff", "resume": True}
    careamist = CAREamist(model)
    with pytest.raises(ExistingFileError, match="own_value"):
        careamist.predict_to_disk(tmp_path / "a.tif", **again)
    assert careamist.predict_to_disk(tmp_path / "a.tif", own_value="off", **again) == [out]


@pytest.mark.parametrize(
    ("images", "tiles", "most", "regions"),
    [(1, 4, 64, 4), (2, 5, 64, 4), (3, 2, 64, 3), (1, 4, 2, 2), (3, 4, 2, 2)],
)
def test_a_sample_is_denoised_in_tiles_of_one_shape(
    monkeypatch, images, tiles, most, regions
):
    """So many tiles of 16 x 16 pixels, at most, shared by the images."""
    monkeypatch.setattr(own_value, "_TILE", {2: (16, 16)})
    monkeypatch.setattr(own_value, "_SAMPLE", tiles * 256)
    monkeypatch.setattr(own_value, "_MOST_TILES", most)
    model = untrained()
    pictures = [picture(40, 48) + number for number in range(images)]
    opened = [image for one in pictures for image in open_images(one, "array", "YX")]
    noisy, clean = _denoised_sample(model, opened)
    assert len(noisy) == len(clean) == regions
    assert {one.shape for one in (*noisy, *clean)} == {(1, 1, 16, 16)}
    careamist = CAREamist(model)
    whole = [
        careamist.predict(one, own_value="off", tile_size=(16, 16)) for one in pictures
    ]
    for region, result in zip(noisy, clean, strict=True):
        places = [
            (number, y, x)
            for number, one in enumerate(pictures)
            for y, x in np.argwhere(one == region[0, 0, 0, 0])
            if np.array_equal(one[y : y + 16, x : x + 16], region[0, 0])
        ]
        ((number, y, x),) = places
        part = whole[number][y : y + 16, x : x + 16]
        np.testing.assert_allclose(result[0, 0], part, rtol=1e-5)


def test_a_sample_of_volumes_keeps_their_planes(monkeypatch):
    monkeypatch.setattr(own_value, "_TILE", {3: (8, 16, 16)})
    monkeypatch.setattr(own_value, "_SAMPLE", 2 * 8 * 256)
    images = open_images(picture(8, 40, 40), "array", "ZYX")
    noisy, clean = _denoised_sample(untrained(axes="ZYX"), images)
    assert [one.shape for one in (*noisy, *clean)] == [(1, 8, 16, 16)] * 4


# ---- Training


def test_training_measures_it_for_blind_spots_alone():
    rng = np.random.default_rng(6)
    truth = 100 + smooth(rng, (192, 192), 4, 20)
    noisy = (truth + rng.normal(0, 4, truth.shape)).astype("float32")
    arguments = ("tiny", "array", "YX", [16, 16], 4, 1)
    careamist = CAREamist(
        create_n2v_configuration(*arguments, 4, **SMALL), on_progress=lambda event: None
    )
    careamist.train(train_source=noisy)
    assert careamist.model.own_value
    result = careamist.predict(noisy)
    bare = careamist.predict(noisy, own_value="off")
    assert mse(result, truth) < mse(noisy, truth) < mse(bare, truth)
    pairs = create_care_configuration(*arguments, num_steps=4, **SMALL)
    images = open_images(noisy, "array", "YX")
    assert fit_own_value(replace(careamist.model, config=pairs), images) == ()
    assert fit_own_value(careamist.model, images) == careamist.model.own_value
    assert fit_own_value(careamist.model, []) == ()
