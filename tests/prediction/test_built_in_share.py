"""The part of a result that is taken from the built-in denoiser."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open

from napari_hush import CAREamist, denoise
from napari_hush.cli.main import main
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import ExistingFileError, ModelFileError
from napari_hush.io import read_record, write_tiff
from napari_hush.models import Model, UNet, built_in_denoiser, load_model, save_model
from napari_hush.models.file import BuiltInShare
from napari_hush.models.normalization import Normalization
from napari_hush.prediction import fit_built_in_share
from napari_hush.prediction.built_in_share import _fitted, _Result, _results, _white_part
from napari_hush.prediction.denoiser import Denoiser
from napari_hush.prediction.own_value import sample_config, sample_tiles
from napari_hush.quality import psnr
from napari_hush.quality.report import as_image

Y, X = np.mgrid[:256, :256]
TRUTH = 100 + 40 * np.sin(X / 5) * np.cos(Y / 4) + 30 * (np.hypot(X - 128, Y - 99) < 60)
NOISY = (TRUTH + np.random.default_rng(0).normal(0, 15, TRUTH.shape)).astype("float32")
SHA = built_in_denoiser().provenance.built_in_sha256


def configuration(axes="YX", **changes):
    size = [64, 64] if "Z" not in axes else [8, 32, 32]
    values = {
        "experiment_name": "t",
        "data_type": "array",
        "axes": axes,
        "patch_size": size,
        "batch_size": 4,
        "num_epochs": 1,
        "num_steps": 6,
        "model_params": {"num_channels_init": 8, "depth": 1},
        **changes,
    }
    return create_n2v_configuration(**values)


def untrained(config=None, share=None, gray=(115.0, 40.0)):
    config = config or configuration()
    torch.manual_seed(0)
    network = UNet(config.algorithm_config.model).eval()
    channels = config.algorithm_config.model.num_classes
    scaling = Normalization((gray[0],) * channels, (gray[1],) * channels)
    return Model(config, network, scaling, built_in_share=share)


class Blur(UNet):
    """A network that is blind to its pixel: the mean of the four neighbors."""

    def forward(self, x, margin=0):
        around = sum(x.roll(n, d) for n in (1, -1) for d in (-1, -2)) / 4
        return around[..., margin:-margin, margin:-margin] if margin else around


def blurring(**changes):
    model = untrained(configuration(**changes))
    return replace(model, network=Blur(model.config.algorithm_config.model).eval())


def predicted(model, image=NOISY, **settings):
    return CAREamist(model, enable_progress_bar=False).predict(
        image, check=False, **settings
    )


def test_the_share_is_that_of_least_error():
    model = blurring()
    share = fit_built_in_share(model, [as_image(NOISY, "YX")])
    only = replace(share, shares=(1.0,))
    r, g = predicted(model), predicted(replace(model, built_in_share=only))
    best = np.mean((TRUTH - r) * (g - r)) / np.mean((g - r) ** 2)
    assert share.shares[0] == pytest.approx(best, abs=0.1)
    mixed = predicted(replace(model, built_in_share=share))
    np.testing.assert_allclose(mixed, r + share.shares[0] * (g - r), rtol=1e-5)
    of = [psnr(image, TRUTH, data_range=255) for image in (mixed, r, g)]
    assert of[0] > max(of[1:]) - 0.02
    assert share.sha256 == SHA


@pytest.mark.parametrize(("factor", "offset"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e4)])
def test_the_unit_does_not_matter(factor, offset):
    model = blurring()
    share = fit_built_in_share(model, [as_image(NOISY, "YX")])
    gray = (factor * 115.0 + offset, factor * 40.0)
    other = replace(model, normalization=Normalization(*((value,) for value in gray)))
    image = factor * NOISY.astype(np.float64) + offset
    found = fit_built_in_share(other, [as_image(image, "YX")])
    np.testing.assert_allclose(found.shares, share.shares, atol=0.01)


def whole(channels=1, part=1.0):
    return BuiltInShare((part,) * channels, SHA)


def test_a_change_of_pixels_shows_how_much_of_them_is_in_the_result():
    model = blurring()
    images = [as_image(NOISY, "YX")]

    def slope(model):
        (result,) = _results(model, images, [1.0])
        assert set(np.unique(result.change)) == {-1, 1}
        return np.mean(result.response / result.change)

    assert abs(slope(model)) < 0.01  # the network is blind
    curve = ((0.0, 0.25, 1e9),)
    own = replace(model, own_value=(curve,))
    assert slope(own) == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("kept", [0.0, 0.3])
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_detail_as_fine_as_the_noise_is_not_taken_for_noise(kept, lost):
    """Of a result that keeps a part of the noise and loses a part of the detail."""
    rng = np.random.default_rng(1)
    detail, noise, change = rng.normal(0, 1, (3, 2, 200, 200))
    y, pixels = 100 + detail + noise, 100 + (1 - lost) * detail + kept * noise
    g = _Result(pixels, change, kept * change)
    part = _white_part(y, g, np.full_like(y, 2.0))  # a noise model sees both
    assert part == pytest.approx(0.5, abs=0.02 + 0.5 * lost / (1 - kept))
    assert _white_part(y, g, np.full_like(y, 0.5)) == 1  # never more than all


def test_fine_structure_does_not_spoil_the_share():
    """Where the noise model finds 1.4 times the noise, due to spots of 3 pixels."""
    spots = np.random.default_rng(2).random((256, 256)) < 0.1
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    blur = np.exp(-2 * (np.pi * 1.4 * frequency) ** 2)
    truth = 100 + 600 * np.fft.ifft2(blur * np.fft.fft2(spots)).real
    noisy = (truth + np.random.default_rng(0).normal(0, 15, truth.shape)).astype("f4")
    model = blurring()
    share = fit_built_in_share(model, [as_image(noisy, "YX")])
    r, g = predicted(model, noisy), predicted("built-in", noisy)
    best = np.mean((truth - r) * (g - r)) / np.mean((g - r) ** 2)
    assert 0.6 < best < 0.9
    assert share.shares[0] == pytest.approx(best, abs=0.1)


@pytest.mark.parametrize("factor", [1, 0.03])
def test_a_share_of_one_is_the_built_in_result(factor):
    image = factor * NOISY
    model = untrained(share=whole())
    np.testing.assert_allclose(predicted(model, image), predicted("built-in", image), 1e-4)
    movie = np.stack([NOISY, image])
    np.testing.assert_allclose(
        predicted(model, movie, axes="TYX"), predicted("built-in", movie, axes="TYX"), 1e-4
    )


class Unused(UNet):
    """A network that must not be computed."""

    def forward(self, x, margin=0):
        raise AssertionError("computed")


def test_nothing_of_the_network_is_computed_if_all_channels_take_nothing_of_it():
    pair = np.stack([NOISY, NOISY])
    model = untrained(configuration("CYX", n_channels=2), whole(2))
    model = replace(model, network=Unused(model.config.algorithm_config.model).eval())
    expected = predicted("built-in", pair, axes="CYX")
    np.testing.assert_array_equal(predicted(model, pair), expected)
    some = replace(model, built_in_share=BuiltInShare((1.0, 0.9), SHA))
    with pytest.raises(AssertionError, match="computed"):
        predicted(some, pair)


def test_tiles_flips_and_channels_do_not_matter():
    model = untrained(configuration("CYX", n_channels=2), whole(2, 0.4))
    pair = np.stack([NOISY[:96, :128], NOISY[96:192, :128]])
    found = predicted(model, pair)
    np.testing.assert_allclose(predicted(model, pair, tile_size=[32, 64]), found, rtol=1e-4)
    one = predicted(untrained(share=whole(1, 0.4)), pair[0])
    assert (found.shape, one.shape) == (pair.shape, pair[0].shape)
    turned = predicted(model, pair[:, ::-1].copy(), tta=4)
    np.testing.assert_allclose(turned[:, ::-1], predicted(model, pair, tta=4), rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 3])
def test_networks_of_any_depth_and_images_of_any_size(depth):
    config = configuration(model_params={"depth": depth, "num_channels_init": 8})
    image = NOISY[:70, :83]
    r, g, half = (
        predicted(untrained(config, share), image)
        for share in (None, whole(), whole(1, 0.5))
    )
    np.testing.assert_allclose(half, (r + g) / 2, rtol=1e-4)
    np.testing.assert_allclose(g, predicted(untrained(share=whole()), image), rtol=1e-4)
    tiled = predicted(untrained(config, whole(1, 0.5)), image, tile_size=[18, 34])
    np.testing.assert_allclose(tiled, half, rtol=1e-4)


def test_volumes_have_no_share():
    model = untrained(configuration("ZYX"))
    stack = np.stack([NOISY[:64, :64]] * 8)
    assert fit_built_in_share(model, [as_image(stack, "ZYX")]) is None


WITH_FRAMES = {"depth": 1, "num_channels_init": 8, "time_context": 1}


def test_with_time_context_a_frame_takes_its_share_from_itself_alone():
    config = configuration("TYX", model_params=WITH_FRAMES)
    model, movie = untrained(config), NOISY.reshape(4, 64, 256)
    r, g = predicted(model, movie), predicted("built-in", movie, axes="TYX")
    some = replace(model, built_in_share=whole(1, 0.3))
    np.testing.assert_allclose(predicted(some, movie), 0.7 * r + 0.3 * g, rtol=1e-4)
    np.testing.assert_array_equal(
        predicted(replace(some, built_in_share=whole()), movie), g
    )
    tiled = predicted(some, movie, tile_size=[32, 64])
    np.testing.assert_allclose(tiled, predicted(some, movie), rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 2])
def test_with_time_context_the_share_is_that_of_least_error(channels):
    params = {"model_params": WITH_FRAMES}
    params |= {"n_channels": channels} if channels > 1 else {}
    config = configuration("TCYX" if channels > 1 else "TYX", **params)
    network = BlurOfFrames(config.algorithm_config.model).eval()
    model = replace(untrained(config), network=network)
    rng = np.random.default_rng(1)
    truth = np.stack([np.roll(TRUTH, 3 * frame, 1) for frame in range(4)])
    truth = np.stack([truth] * channels, axis=1)
    noisy = (truth + rng.normal(0, 15, truth.shape)).astype("float32")
    movie = noisy if channels > 1 else noisy[:, 0]
    share = fit_built_in_share(model, [as_image(movie, config.data_config.axes)])
    assert len(share.shares) == channels
    np.testing.assert_allclose(share.shares, _best(model, movie, truth), atol=0.03)


class BlurOfFrames(UNet):
    """A network that is blind to its pixel: the mean of its neighbors in three frames."""

    def forward(self, x, margin=0):
        mean = x.unflatten(1, (-1, 3)).mean(2)
        around = sum(mean.roll(n, d) for n in (1, -1) for d in (-1, -2)) / 4
        return around[..., margin:-margin, margin:-margin] if margin else around


def _best(model, movie, truth):
    """The shares of least error, with the truth ``(T, C, Y, X)`` known."""
    axes = model.config.data_config.axes
    both = (predicted(of, movie, axes=axes) for of in (model, "built-in"))
    r, g = (result.reshape(truth.shape) for result in both)
    across = (0, 2, 3)
    return ((truth - r) * (g - r)).sum(across) / ((g - r) ** 2).sum(across)


def test_pairs_correlated_noise_and_few_pixels_have_no_share():
    care = create_care_configuration("t", "array", "YX", [64, 64], 4, num_epochs=1)
    assert fit_built_in_share(untrained(care), [as_image(NOISY, "YX")]) is None
    smeared = TRUTH + 3 * (NOISY - TRUTH + np.roll(NOISY - TRUTH, 1, 1))
    assert fit_built_in_share(blurring(), [as_image(smeared, "YX")]) is None
    assert fit_built_in_share(blurring(), [as_image(NOISY[:96, :96], "YX")]) is None
    assert (
        fit_built_in_share(blurring(), [as_image(np.full((256, 256), 7.0), "YX")]) is None
    )


def test_data_that_cannot_be_read_again_have_no_share():
    assert fit_built_in_share(blurring(), []) is None


def test_training_measures_it_and_the_file_keeps_it(tmp_path):
    careamist = CAREamist(configuration(), work_dir=tmp_path, enable_progress_bar=False)
    careamist.train(train_data=NOISY)
    share = careamist.model.built_in_share
    assert share.shares[0] > 0.5  # six steps teach a network little
    path = save_model(careamist.model, tmp_path / "m.safetensors")
    loaded = load_model(path)
    assert loaded.built_in_share == share
    assert loaded.sha256 == careamist.model.sha256
    assert loaded.sha256 != replace(loaded, built_in_share=None).sha256
    np.testing.assert_array_equal(predicted(loaded), predicted(careamist.model))
    better = [
        psnr(predicted(loaded, own_value=own), TRUTH, data_range=255)
        for own in ("auto", "off")
    ]
    assert better[0] > better[1] + 1


def test_off_is_the_network_alone():
    model = untrained(share=whole(1, 0.5))
    off = predicted(model, own_value="off")
    np.testing.assert_array_equal(denoise(NOISY, model, own_value="off"), off)
    np.testing.assert_array_equal(off, predicted(replace(model, built_in_share=None)))
    assert np.abs(off - predicted(model)).max() > 1


def test_the_denoiser_of_another_version_is_refused(tmp_path):
    model = untrained(share=replace(whole(), sha256="0" * 64))
    with pytest.raises(ModelFileError, match="another version"):
        predicted(model)
    assert np.isfinite(predicted(model, own_value="off")).all()


@pytest.mark.parametrize(
    "share",
    [
        BuiltInShare((2.0,), SHA),
        BuiltInShare((0.5, 0.5), SHA),
        BuiltInShare((float("nan"),), SHA),
    ],
)
def test_shares_that_make_no_sense_are_refused(tmp_path, share):
    path = save_model(untrained(share=share), tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def test_results_on_disk_name_it_and_are_told_apart(tmp_path, capsys):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", NOISY[:64, :64])
    model = untrained(share=whole(1, 0.5))
    careamist = CAREamist(model, enable_progress_bar=False)
    settings = {"data_type": "tiff", "prediction_dir": tmp_path / "out", "axes": "YX"}
    (out,) = careamist.predict_to_disk(tmp_path / "a.tif", **settings)
    record = read_record(out)["model"]["built_in_share"]
    assert record == {"shares": [0.5], "sha256": SHA}
    save_model(model, tmp_path / "m.safetensors")
    for path in (out, tmp_path / "m.safetensors"):
        assert main(["info", str(path)]) == 0
        assert re.search(r"built-in share +50%\n", capsys.readouterr().out)
    with pytest.raises(ExistingFileError, match="own_value"):
        careamist.predict_to_disk(
            tmp_path / "a.tif", own_value="off", resume=True, **settings
        )
    off = {"own_value": "off", "overwrite": True}
    careamist.predict_to_disk(tmp_path / "a.tif", **off, **settings)
    assert main(["info", str(out)]) == 0
    assert re.search(r"own value +off\n", capsys.readouterr().out)


def test_the_command_line_says_how_much_it_makes_up(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_tiff("a.tif", NOISY, "YX")
    few = ["--epochs", "1", "--steps", "4", "--patch-size", "32", "32"]
    assert main(["train", "a.tif", "-o", "m.safetensors", *few]) == 0
    said = r"Saved m.safetensors; the built-in denoiser will make up \d+ % of its results\n"
    assert re.fullmatch(said, capsys.readouterr().out)
    assert main(["export", "m.safetensors", "-o", "m.pt"]) == 0
    said = r"Wrote m.pt, without the built-in denoiser \(\d+ % of the model's results\)\n"
    assert re.fullmatch(said, capsys.readouterr().out)


def test_older_files_have_none(tmp_path):
    path = save_model(untrained(), tmp_path / "m.safetensors")
    with safe_open(path, "pt") as file:
        assert "built_in_share" not in file.metadata()
    assert load_model(path).built_in_share is None


def test_results_of_changed_images_use_the_same_tiles():
    model = untrained(share=whole())
    image = as_image(NOISY, "YX")
    config = sample_config(model, own_value="auto")
    (tile,) = sample_tiles(Denoiser(model, image, config), 1)
    assert tile.outer_shape == (
        504,
        504,
    )  # 124 pixels on all sides, in steps of the network
    assert _fitted(blurring(), [image]).shares[0] > 0


@pytest.mark.parametrize(
    ("share", "own_value", "warned"),
    [(0.9, "auto", True), (1.0, "auto", False), (1.0, "off", True)],
)
def test_unseen_intensities_matter_only_where_the_network_is_used(
    share, own_value, warned, caplog
):
    model = untrained(share=BuiltInShare((share,), SHA))
    CAREamist(model, enable_progress_bar=False).predict(
        1000 + NOISY, axes="YX", own_value=own_value
    )
    assert warned == ("brighter than the training data" in caplog.text)


def test_whether_noise_is_white_is_measured_on_more_than_the_denoised_tiles():
    """Four of sixteen samples are denoised; their noise alone is correlated."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 15, (16, *TRUTH.shape))
    denoised = noise[2::4]
    noise[2::4] = denoised + 0.3 * np.roll(denoised, 1, 2)
    images = [as_image((TRUTH + noise).astype("float32"), "SYX")]
    model = replace(blurring(), config=configuration("SYX"))
    assert fit_built_in_share(model, images) is not None
    noise += 0.3 * np.roll(noise, 1, 2)
    images = [as_image((TRUTH + noise).astype("float32"), "SYX")]
    assert fit_built_in_share(model, images) is None
