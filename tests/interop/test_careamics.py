"""Models that CAREamics 0.1 to 0.3 wrote itself, with `careamics_models/make.py`."""

import logging
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from napari_hush import CAREamist
from napari_hush.errors import ModelFileError
from napari_hush.interop import open_model

FOLDER = Path(__file__).with_name("careamics_models")
MODELS = sorted(p.name for p in FOLDER.iterdir() if p.suffix in (".zip", ".ckpt"))
PLAIN, CHECKPOINT = "0.3-n2v.zip", "0.3-struct_square.ckpt"
TRAINED_ON = (
    "0.1-n2v_yxc.zip",
    "0.3-n2v2_3d_depth1.zip",
    "0.3-quantile_cyx.ckpt",
    "0.3-skip_target.zip",
)


def written(name):
    """The image of a model, and the prediction of CAREamics."""
    with np.load(FOLDER / f"{name.rpartition('.')[0]}.npz") as file:
        return file["x"], file["pred"]


def predicted(name, image, **settings):
    """A prediction with the axes of CAREamics, which puts channels first in 0.1."""
    result = CAREamist(FOLDER / name).predict(image, **settings)
    return np.squeeze(np.moveaxis(result, -1, 0) if name == "0.1-n2v_yxc.zip" else result)


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_those_of_careamics(name, psnr):
    image, expected = written(name)
    result = predicted(name, image)
    inside = (..., slice(10, -10), slice(10, -10))
    if name.startswith("0.3-channels"):
        inside = (slice(10, -10), slice(10, -10))
    if name == "0.1-care.zip":  # scaled like the image there
        model = open_model(FOLDER / name)
        here, there = model.target_normalization, model.normalization
        expected = here.denormalize(there.normalize(torch.from_numpy(expected)[None, None]))
        expected = np.squeeze(expected.numpy())
    assert result.shape == expected.shape
    assert psnr(result, expected) > 100
    assert psnr(result[inside], expected[inside]) > 85  # of a smaller range


@pytest.mark.parametrize("name", ["0.1-n2v2.zip", "0.1-n2v_3d.zip", "0.1-n2v_yxc.zip"])
def test_tiles_change_nothing(name, psnr):
    image, expected = written(name)
    size = (4, 16, 20) if "3d" in name else (16, 20)
    result = predicted(name, image, tile_size=size, batch_size=3)
    assert psnr(result, expected) > 100


@pytest.mark.parametrize("name", TRAINED_ON)
def test_training_goes_on_and_a_saved_model_predicts_the_same(name, tmp_path):
    image, _ = written(name)
    careamist = CAREamist(FOLDER / name)
    before = careamist.model
    training = careamist.config.training_config.replace(num_epochs=1, num_steps=1)
    careamist.config = careamist.config.replace(training_config=training)
    careamist.train(train_source=image)
    after = careamist.model
    assert after.steps == before.steps + 1
    assert np.allclose(after.normalization.scales, before.normalization.scales)
    assert after.target_normalization == before.target_normalization
    assert after.network.config == before.network.config
    again = CAREamist(careamist.save(tmp_path / "m.safetensors"))
    assert np.array_equal(again.predict(image), careamist.predict(image))


def test_channels_that_were_not_trained_on_are_left_out():
    image, expected = written("0.3-channels_20.ckpt")
    careamist = CAREamist(FOLDER / "0.3-channels_20.ckpt")
    assert careamist.config.data_config.channels == (2, 0)
    assert image.shape == (48, 48, 4)
    assert careamist.predict(image).shape == (48, 48, 2)
    assert expected.shape == (48, 48, 2)


@pytest.mark.parametrize(
    ("name", "axis", "span"),
    [
        ("0.1-struct_vertical.zip", "vertical", 5),
        ("0.2-struct_horizontal.ckpt", "horizontal", 9),
        ("0.3-struct_square.ckpt", "square", 3),
    ],
)
def test_struct_masks(name, axis, span):
    config = open_model(FOLDER / name).config
    masking = config.algorithm_config.n2v_config
    assert (masking.struct_mask_axis, masking.struct_mask_span) == (axis, span)
    assert config.data_config.transforms == ()  # as they were trained
    assert masking.masked_pixel_percentage == 1


def test_settings_are_those_of_the_training():
    config = open_model(FOLDER / "0.3-quantile_cyx.ckpt").config
    assert config.experiment_name == "cells"
    data = config.data_config
    assert (data.axes, data.patch_size, data.batch_size) == ("CYX", (16, 16), 2)
    assert (data.normalization.name, data.normalization.lower) == ("quantile", 0.05)
    assert [each.name for each in data.transforms] == ["XYFlip", "XYRandomRotate90"]
    model = open_model(FOLDER / CHECKPOINT)
    assert (model.epochs, model.steps > 0) == (1, True)


def test_intensities_of_targets_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        open_model(FOLDER / "0.1-care.zip")
    assert "intensities of its targets" in caplog.text
    caplog.clear()
    open_model(FOLDER / "0.3-care.zip")
    assert not caplog.text


def altered(tmp_path, change):
    """The package `PLAIN` after a change of its settings."""
    with zipfile.ZipFile(FOLDER / PLAIN) as pack:
        files = {name: pack.read(name) for name in pack.namelist()}
    values = yaml.safe_load(files["careamics.yaml"])
    change(values)
    files["careamics.yaml"] = yaml.safe_dump(values).encode()
    rdf = yaml.safe_load(files["rdf.yaml"])
    del rdf["attachments"][0]["sha256"]
    files["rdf.yaml"] = yaml.safe_dump(rdf).encode()
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as pack:
        for name, content in files.items():
            pack.writestr(name, content)
    return tmp_path / "m.zip"


def setting(path, value):
    def change(values):
        *where, name = path.split(".")
        for step in where:
            values = values[step]
        values[name] = value

    return change


@pytest.mark.parametrize(
    ("scaling", "means", "stds"),
    [
        ({"name": "none"}, (0.0,), (1.0,)),
        ({"name": "min_max", "input_mins": [3.0], "input_maxes": [10.0]}, (3.0,), (7.0,)),
    ],
)
def test_other_scalings(tmp_path, scaling, means, stds):
    model = open_model(altered(tmp_path, setting(SCALING, scaling)))
    assert (model.normalization.means, model.normalization.scales) == (means, stds)
    assert model.config.data_config.normalization.name == scaling["name"]


NETWORK, SCALING = "algorithm_config.model", "data_config.normalization"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (setting("version", "0.4.2"), "of CAREamics 0.4.2"),
        (setting("version", "newest"), "of CAREamics newest"),
        (setting("algorithm_config.algorithm", "hdn"), "trained with 'hdn'"),
        (setting(f"{NETWORK}.architecture", "LVAE"), "a network 'LVAE'"),
        (setting(f"{NETWORK}.final_activation", "Sigmoid"), "'Sigmoid'"),
        (setting(f"{NETWORK}.dilation", 2), "'algorithm_config.model.dilation'"),
        (setting(f"{SCALING}.gamma", 2), "'data_config.normalization.gamma'"),
        (setting(f"{NETWORK}.depth", 3), "but a network of this"),
        (setting(f"{NETWORK}.depth", 11), "depth"),
        (setting(f"{NETWORK}.in_channels", 2), "so channels cannot be independent"),
        (setting("data_config.axes", "QX"), "Q"),
        (setting(SCALING, {"name": "mean_std"}), "normalization of intensities"),
        (setting(f"{SCALING}.input_means", ["x"]), "is not a readable model"),
        (setting(f"{SCALING}.input_means", [1.0, 2.0]), "for 1 channels"),
        (setting("data_config", None), "is not a readable model"),
        (setting(NETWORK, []), "is not a readable model"),
    ],
)
def test_what_is_no_network_here(tmp_path, change, message):
    with pytest.raises(ModelFileError, match=message):
        open_model(altered(tmp_path, change))


def test_other_unknown_settings_are_named(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        open_model(altered(tmp_path, setting("data_config.jitter", 3)))
    assert "'data_config.jitter'" in caplog.text


def test_files_of_a_microscope_whose_depth_is_time(tmp_path):
    def change(values):
        values["data_config"] |= {"axes": "SCTYX", "data_type": "czi"}

    with zipfile.ZipFile(FOLDER / "0.3-n2v2_3d_depth1.zip") as pack:
        volumes = yaml.safe_load(pack.read("careamics.yaml"))
    change(volumes)
    from napari_hush.interop.careamics import careamics_settings

    data = careamics_settings(volumes)["data_config"]
    assert (data["axes"], data["data_type"]) == ("SCZYX", "array")


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint was executed",))


@pytest.mark.parametrize("content", [{"state_dict": Evil()}, {"a": 1}, [1], math.pi])
def test_checkpoints_of_others(tmp_path, content):
    torch.save(content, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="is not a readable model"):
        open_model(tmp_path / "m.ckpt")


def test_a_checkpoint_that_unpacks_without_end(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.ckpt", "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("m/data/0", b"\0" * 1000)
    content = bytearray((tmp_path / "m.ckpt").read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (2**32 - 2).to_bytes(4, "little")
    (tmp_path / "m.ckpt").write_bytes(content)
    with pytest.raises(ModelFileError, match="unpack to"):
        open_model(tmp_path / "m.ckpt")


@pytest.mark.parametrize("count", [-1, 2.5, "7"])
def test_counts_that_are_none(tmp_path, count):
    content = torch.load(FOLDER / CHECKPOINT, weights_only=True)
    torch.save({**content, "epoch": count}, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="its epoch is"):
        open_model(tmp_path / "m.ckpt")


def test_a_checkpoint_without_settings(tmp_path):
    torch.save({"state_dict": {}, "hyper_parameters": {}}, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="has no algorithm_config"):
        open_model(tmp_path / "m.ckpt")


def test_weights_that_are_none(tmp_path):
    content = torch.load(FOLDER / CHECKPOINT, weights_only=True)
    weights = {"model.final_conv.weight": 3}
    torch.save({**content, "state_dict": weights}, tmp_path / "m.ckpt")
    with pytest.raises(ModelFileError, match="not named tensors"):
        open_model(tmp_path / "m.ckpt")


def test_damaged_files(tmp_path):
    for name in (PLAIN, CHECKPOINT):
        content = (FOLDER / name).read_bytes()
        path = tmp_path / name
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(ModelFileError, match="is not a readable model"):
            open_model(path)
