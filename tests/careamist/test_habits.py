"""Habits of people who come from CAREamics: progress, plots, writers, data modules."""

import copy
import io
import pickle
import sys

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback

from napari_hush import CAREamist
from napari_hush.config import (
    InferenceConfig,
    create_care_config,
    create_structn2v_config,
)
from napari_hush.errors import ConfigurationError, DataError, HushError
from napari_hush.io import write_tiff
from napari_hush.lightning import PredictDataModule, TrainDataModule
from napari_hush.quality import autocorrelation, plot_autocorrelation, plot_residual
from napari_hush.system.optional import require


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def careamist(tiny_config, noisy):
    made = CAREamist(tiny_config(num_steps=2), enable_progress_bar=False)
    made.train(train_source=noisy)
    return made


@pytest.mark.parametrize(
    ("stream", "given", "expected"),
    [
        (Terminal, {}, True),
        (Terminal, {"enable_progress_bar": False}, False),
        (Terminal, {"on_progress": lambda event: None}, False),
        (io.StringIO, {}, False),
    ],
)
def test_a_progress_bar_on_a_terminal(
    stream, given, expected, tiny_config, noisy, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "stderr", stream())
    made = CAREamist(tiny_config(num_steps=2), **given)
    made.train(train_source=noisy)
    for each in (made, copy.deepcopy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301
        each.predict(noisy)
    shown = sys.stderr.getvalue()
    assert ("2/2" in shown) == ("Denoising the array" in shown) == expected
    if not given:
        assert shown.count("Denoising the array: 100%") == (3 if expected else 0)
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_bars(monkeypatch):
    from types import SimpleNamespace

    from napari_hush.system.progress_bars import can_show_bars

    shell = SimpleNamespace(config={})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(sys, "stderr", None)
    assert not can_show_bars()
    shell.config["IPKernelApp"] = {}
    assert can_show_bars()


def test_plots(careamist, noisy, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    lines = careamist.plot_losses().get_lines()
    losses = careamist.get_losses()
    np.testing.assert_array_equal(lines[0].get_ydata(), losses["train_loss"])
    np.testing.assert_array_equal(lines[1].get_ydata(), losses["val_loss"])
    for line in lines:  # epochs count from 1
        assert line.get_xdata()[0] == 1
    clean = careamist.predict(noisy)
    shown = plot_residual(noisy, clean).get_images()[0]
    np.testing.assert_allclose(shown.get_array(), noisy - clean, rtol=1e-4)
    assert shown.get_clim()[0] == -shown.get_clim()[1]
    for given in ((noisy,), (noisy, clean)):
        image = plot_autocorrelation(*given).get_images()[0]
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape
        assert (right - left, bottom - top) == (width, height)
        assert image.get_array()[round(-top - 0.5), round(-left - 0.5)] == pytest.approx(1)
    _, ax = pyplot.subplots()
    assert plot_residual(noisy[None], clean[None], "ZYX", ax) is ax
    pyplot.close("all")


def test_plots_without_losses_or_matplotlib(tiny_config, monkeypatch):
    with pytest.raises(DataError, match="no losses"):
        CAREamist(tiny_config()).plot_losses()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(HushError, match=r"napari-hush\[plot\]"):
        require("matplotlib.pyplot", "plot", "Plotting")


def test_autocorrelation_of_an_image():
    noise = np.random.default_rng(0).normal(5, 2, (15, 16))
    values = autocorrelation(noise)
    assert values.shape == noise.shape
    assert values[7, 8] == values.max() == pytest.approx(1)
    expected = np.corrcoef(noise.ravel(), np.roll(noise, 3, 1).ravel())[0, 1]
    assert values[7, 11] == pytest.approx(expected)
    bands = autocorrelation(np.repeat([[1.0], [0.0]] * 5, 10, 1))
    np.testing.assert_allclose(bands[1::2], 1)
    np.testing.assert_allclose(bands[::2], -1)
    for wrong in (np.ones((4, 4)), [[np.nan, 1]]):
        with pytest.raises(DataError):
            autocorrelation(wrong)


def test_a_data_module_is_predicted(careamist, noisy, tmp_path):
    normalization = careamist.model.normalization
    settings = {
        "axes": "XY",
        "tile_size": [16, 16],
        "tta": 2,
        "image_means": normalization.means,
        "image_stds": normalization.scales,
    }
    module = PredictDataModule(InferenceConfig.build(settings), noisy.T)
    expected = careamist.predict(noisy.T, axes="XY", tta=2, tile_size=[16, 16])
    np.testing.assert_array_equal(careamist.predict(module), expected)
    plain = careamist.predict(module, tta=1)
    np.testing.assert_array_equal(plain, careamist.predict(noisy, tile_size=[16, 16]).T)
    write_tiff(tmp_path / "cells.tif", noisy, "YX")
    files = InferenceConfig.build({**settings, "axes": "YX", "data_type": "tiff"})
    module = PredictDataModule(files, tmp_path / "cells.tif")
    (path,) = careamist.predict_to_disk(module, prediction_dir=tmp_path / "clean")
    assert path == tmp_path / "clean" / "cells.tif"
    other = InferenceConfig.build(settings | {"image_means": [0.0]})
    with pytest.raises(ConfigurationError, match="normalizes with"):
        careamist.predict(PredictDataModule(other, noisy))


def _by_keywords(*, img, file_path, scale=1):
    np.save(file_path, scale * img)


def _by_position(path, array, scale=1):
    np.save(path, scale * array)


@pytest.mark.parametrize("write", [_by_keywords, _by_position])
def test_writers_by_keywords_and_by_position(write, careamist, noisy, tmp_path):
    write_tiff(tmp_path / "cells.tif", noisy, "YX")
    (path,) = careamist.predict_to_disk(
        tmp_path / "cells.tif",
        prediction_dir=tmp_path / "clean",
        write_type="custom",
        write_extension=".npy",
        write_func=write,
        write_func_kwargs={"scale": 2},
    )
    np.testing.assert_allclose(np.load(path), 2 * careamist.predict(noisy), rtol=1e-6)


def test_results_are_saved_in_new_folders(careamist, tmp_path):
    assert careamist.save(tmp_path / "a" / "b" / "m.safetensors").is_file()
    package = tmp_path / "c" / "d" / "m.zip"
    careamist.export_to_bmz(
        package,
        friendly_model_name="A model",
        authors=None,
        covers=None,
        channel_names=None,
        general_description=None,
        data_description=None,
        model_version=None,
    )
    assert CAREamist(package).model.sha256 == careamist.model.sha256
    assert write_tiff(tmp_path / "e" / "a.TIFF", np.ones((9, 9)), "YX").is_file()
    with pytest.raises(ConfigurationError, match=r"end the name in \.tif"):
        write_tiff(tmp_path / "a.png", np.ones((9, 9)), "YX")


@pytest.mark.parametrize("source", [None, 3, {}, [1], b"x", np.zeros(3), CAREamist])
def test_sources_of_another_kind_are_refused(source):
    with pytest.raises(ConfigurationError, match="give a Configuration"):
        CAREamist(source)


@pytest.mark.parametrize(
    "wrong", [{"callbacks": 3}, {"callbacks": [print]}, {"work_dir": 3}, {"on_progress": 3}]
)
def test_arguments_of_another_kind_are_refused(wrong, tiny_config):
    with pytest.raises(ConfigurationError):
        CAREamist(tiny_config(), **wrong)


def test_one_callback_is_a_list_of_one(tiny_config):
    callback = Callback()
    assert CAREamist(tiny_config(), callbacks=callback).callbacks == (callback,)


def test_more_of_another_kind(careamist, noisy, tmp_path):
    for save in (careamist.save, careamist.export, careamist.export_to_bmz):
        with pytest.raises(ConfigurationError, match="give a str or a Path"):
            save(None)
    for more in ({"authors": "Me"}, {"authors": ["Me"]}, {"covers": "a.png"}):
        with pytest.raises(ConfigurationError):
            careamist.export_to_bmz(tmp_path / "m.zip", **more)
    for region in (3, "all", (slice(0, 1), 2)):
        with pytest.raises(ConfigurationError, match="region is"):
            careamist.predict(noisy, region=region)
    for module in (TrainDataModule, PredictDataModule):
        for config in (None, careamist.config):
            with pytest.raises(ConfigurationError, match="was given as"):
                module(config, noisy)


def test_tensors_are_images(careamist, noisy):
    tensor = torch.from_numpy(noisy)
    expected = careamist.predict(noisy)
    for same in (tensor, tensor.clone().requires_grad_()):
        np.testing.assert_array_equal(careamist.predict(same), expected)
    careamist.train(train_source=[tensor])


def test_writers_that_cannot_be_called_are_told_before_anything_is_denoised(
    careamist, noisy, tmp_path
):
    for func, more in ((5, None), (lambda path: None, None), (np.save, {"foo": 3})):
        with pytest.raises(ConfigurationError, match="write_func"):
            careamist.predict_to_disk(
                noisy,
                prediction_dir=tmp_path,
                write_type="custom",
                write_extension=".npy",
                write_func=func,
                write_func_kwargs=more,
            )


def test_a_misspelled_checkpoint_lists_those_there_are(careamist, noisy):
    with pytest.raises(HushError, match=r"no checkpoint 'bets'.*there are: .*last"):
        careamist.predict(noisy, checkpoint="bets")


def test_a_description_that_is_no_text(careamist, tmp_path):
    with pytest.raises(ConfigurationError, match="description of the model is 5"):
        careamist.export_to_bmz(
            tmp_path / "m.zip", friendly_model_name="cells", general_description=5
        )


def test_structn2v_needs_an_axis():
    given = ("cells", "array", "YX", [64, 64], 2)
    with pytest.raises(ConfigurationError, match="give 'horizontal', 'vertical'"):
        create_structn2v_config(*given)
    config = create_structn2v_config(*given, struct_n2v_axes="vertical")
    assert config.algorithm_config.n2v_config.struct_mask_axis == "vertical"


def test_channels_of_pairs_are_given_apart():
    with pytest.raises(ConfigurationError, match="give n_channels_in"):
        create_care_config("cells", "array", "CYX", [64, 64], 2, n_channels=3)
