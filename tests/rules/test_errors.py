"""Bad input: one sentence that names what is wrong, before anything starts."""

from contextlib import suppress

import numpy as np
import pytest
import tifffile
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from napari_hush import CAREamist
from napari_hush.config import (
    DataConfig,
    InferenceConfig,
    XYFlipConfig,
    save_configuration,
)
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    HushError,
    MissingFileError,
    SourceTypeError,
    TrainingError,
    UnreadableFileError,
)
from napari_hush.io import write_tiff
from napari_hush.lightning import TrainDataModule

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(100, 10, (48, 52)).astype("float32")
NOT_FINITE = IMAGE.copy()
NOT_FINITE[3, 4] = np.nan


@pytest.fixture
def files(folder):
    """Four files in a folder."""
    return folder([IMAGE] * 4)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    from napari_hush.config import create_n2v_configuration

    config = create_n2v_configuration(
        "m", "array", "YX", [16, 16], 4, 1, 1, model_params={"num_channels_init": 8}
    )
    careamist = CAREamist(config)
    careamist.train(train_source=IMAGE)
    return careamist.save(tmp_path_factory.mktemp("model") / "m.safetensors")


def test_what_is_wrong_with_a_value_is_a_value_error():
    for error in (ConfigurationError, DataError, SourceTypeError, UnreadableFileError):
        assert issubclass(error, ValueError)
    assert issubclass(MissingFileError, FileNotFoundError)
    assert issubclass(ExistingFileError, FileExistsError)


# ---- what is given ----


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"train_source": [IMAGE, "a.tif"]}, ["mixes arrays and paths"]),
        ({"train_source": IMAGE, "val_source": "a.tif"}, ["'a.tif'", "'array'"]),
        ({"train_source": []}, ["list of images is empty"]),
        ({"train_source": IMAGE.tolist()}, ["given as list"]),
        ({"train_source": 7}, ["given as int"]),
    ],
)
def test_kinds_of_input(not_trained, tiny_config, arguments, names):
    not_trained(tiny_config(), SourceTypeError, *names, **arguments)


@pytest.mark.parametrize(
    ("data_type", "data"), [("tiff", IMAGE), ("custom", IMAGE), ("array", "cells.tif")]
)
def test_the_kind_of_input_is_not_that_of_the_configuration(
    not_trained, tiny_config, data_type, data
):
    not_trained(
        tiny_config(data_type=data_type), SourceTypeError, data_type, train_source=data
    )


def test_custom_without_a_function_that_reads(not_trained, tiny_config, files):
    not_trained(
        tiny_config(data_type="custom"),
        ConfigurationError,
        "read_source_func is missing",
        train_source=files,
    )


@pytest.mark.parametrize("both", [True, False])
def test_a_data_module_and_a_source(not_trained, tiny_config, both):
    config = tiny_config()
    arguments = {}
    if both:
        module = TrainDataModule(config.data_config, IMAGE)
        arguments = {"datamodule": module, "train_source": IMAGE}
    not_trained(config, ConfigurationError, "datamodule", "train_source", **arguments)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("train_target", "learns from the noisy images alone"),
        ("val_target", "val_data_target was given without val_data"),
    ],
)
def test_noise2void_takes_no_targets(not_trained, tiny_config, argument, says):
    not_trained(
        tiny_config(),
        ConfigurationError,
        says,
        train_source=IMAGE,
        **{argument: IMAGE},
    )


def test_paths_as_text_and_as_paths_go_together(ready, files):
    """One kind of input, so there is nothing to refuse."""
    module = ready([files / "00.tif", str(files / "01.tif")], data_type="tiff")
    assert len(module.train_dataset) + len(module.val_dataset) == 24


# ---- files ----


def test_a_path_that_is_not_there(not_trained, tiny_config, tmp_path):
    for name in ("nowhere", "nothing.tif"):
        not_trained(
            tiny_config(data_type="tiff"),
            MissingFileError,
            name,
            train_source=tmp_path / name,
        )


def test_a_folder_without_a_file_to_read(not_trained, tiny_config, tmp_path):
    (tmp_path / "notes.txt").touch()
    config = tiny_config(data_type="tiff")
    not_trained(config, SourceTypeError, tmp_path, "*.tif", train_source=tmp_path)


def test_a_file_of_another_type(not_trained, tiny_config, tmp_path):
    (tmp_path / "notes.txt").touch()
    config = tiny_config(data_type="tiff")
    path = tmp_path / "notes.txt"
    not_trained(config, SourceTypeError, "notes.txt", train_source=path)


@pytest.mark.parametrize("use_in_memory", [True, False])
@pytest.mark.parametrize("cut", [3, 60, 5000])
def test_a_damaged_file_among_good_ones(
    not_trained, tiny_config, files, use_in_memory, cut
):
    broken = files / "02.tif"
    broken.write_bytes(broken.read_bytes()[:cut])
    not_trained(
        tiny_config(data_type="tiff"),
        UnreadableFileError,
        "02.tif",
        train_source=files,
        use_in_memory=use_in_memory,
    )


def test_a_damaged_file_among_those_to_denoise(refused, model_file, files):
    broken = files / "03.tif"
    broken.write_bytes(broken.read_bytes()[:-100])
    done = []
    careamist = CAREamist(model_file, on_progress=done.append)
    with refused(UnreadableFileError, "03.tif"):
        careamist.predict(files)
    assert done == []


@pytest.mark.parametrize("use_in_memory", [True, False])
def test_a_packed_file_that_cannot_be_unpacked(
    not_trained, tiny_config, files, use_in_memory
):
    path = files / "02.tif"
    tifffile.imwrite(path, IMAGE, compression="zlib")
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        start, count = page.dataoffsets[0], page.databytecounts[0]
    content = bytearray(path.read_bytes())
    content[start : start + count] = bytes(count)
    path.write_bytes(content)
    not_trained(
        tiny_config(data_type="tiff"),
        UnreadableFileError,
        "02.tif",
        train_source=files,
        use_in_memory=use_in_memory,
    )


def test_nothing_is_overwritten(refused, model_file, tmp_path):
    careamist = CAREamist(model_file)
    with refused(ExistingFileError, "m.safetensors"):
        careamist.save(model_file)
    path = write_tiff(tmp_path / "a.tif", IMAGE, "YX")
    with refused(ExistingFileError, "a.tif"):
        write_tiff(path, IMAGE, "YX")


def test_files_that_are_no_source_of_a_model(refused, tmp_path, tiny_config):
    with refused(MissingFileError, "no.safetensors"):
        CAREamist(tmp_path / "no.safetensors")
    with refused(MissingFileError, "no.yml"):
        CAREamist(tmp_path / "no.yml")
    (tmp_path / "a.yml").write_text("data_config: 7")
    with refused(ConfigurationError, "a.yml", "data_config"):
        CAREamist(tmp_path / "a.yml")
    with refused(ConfigurationError, "config.json", ".yml"):
        save_configuration(tiny_config(), tmp_path / "config.json")


# ---- pixels, axes, shapes ----


@pytest.mark.parametrize("dtype", ["complex64", "U5", "S5", "object", "datetime64[s]"])
def test_pixels_that_are_no_real_numbers(not_trained, tiny_config, dtype):
    image = IMAGE.astype("int64").astype(dtype)
    not_trained(
        tiny_config(), DataError, str(image.dtype), "real numbers", train_source=image
    )


@pytest.mark.parametrize(
    ("axes", "shape", "letter"),
    [("YX", (0, 32), "Y"), ("TYX", (0, 32, 32), "T"), ("CYX", (2, 32, 0), "X")],
)
def test_an_axis_that_holds_nothing(not_trained, tiny_config, axes, shape, letter):
    config = tiny_config(axes=axes, n_channels=2 if "C" in axes else None)
    not_trained(config, DataError, shape, f"{letter} axis", train_source=np.zeros(shape))


@pytest.mark.parametrize("shape", [(32,), (3, 32, 32), ()])
def test_axes_and_dimensions(not_trained, tiny_config, shape):
    not_trained(tiny_config(), DataError, "'YX'", shape, train_source=np.zeros(shape))


def test_axes_and_dimensions_of_a_file(not_trained, tiny_config, files):
    config = tiny_config(data_type="tiff", axes="XY")
    not_trained(config, DataError, "00.tif", "XY", train_source=files)


@pytest.mark.parametrize("use_in_memory", [True, False])
def test_a_reader_that_returns_other_axes(refused, ready, files, use_in_memory):
    with refused(DataError, "00.tif", "'YX'", "(2, 48, 52)"):
        ready(
            files,
            data_type="custom",
            read_source_func=lambda path, axes: np.stack([IMAGE, IMAGE]),
            use_in_memory=use_in_memory,
        )


def test_a_reader_that_fails_or_returns_no_pixels(refused, ready, files):
    def fails(path, axes):
        raise KeyError("no such plane")

    for reader, names in [
        (fails, ["fails", "no such plane"]),
        (lambda p, a: None, ["NoneType"]),
    ]:
        with refused(UnreadableFileError, "00.tif", *names):
            ready(files, data_type="custom", read_source_func=reader)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("together", [True, False])
def test_other_channels_than_configured(not_trained, tiny_config, channels, together):
    config = tiny_config(axes="CYX", n_channels=2, independent_channels=not together)
    image = RNG.normal(0, 1, (channels, 32, 32))
    not_trained(config, DataError, f"{channels} channel", 2, train_source=image)


def test_images_of_different_channels(not_trained, tiny_config):
    config = tiny_config(axes="CYX", n_channels=2)
    images = [RNG.random((2, 32, 32)), RNG.random((3, 32, 32))]
    not_trained(config, DataError, "array 1", "3 channels", train_source=images)


def test_validation_images_of_other_channels(not_trained, tiny_config):
    not_trained(
        tiny_config(axes="CYX", n_channels=2),
        DataError,
        "3 channels",
        train_source=RNG.random((2, 32, 32)),
        val_source=RNG.random((3, 32, 32)),
    )


def test_a_patch_larger_than_the_image(not_trained, tiny_config):
    not_trained(
        tiny_config(), DataError, "16 pixels along X", "only 15", train_source=IMAGE[:, :15]
    )
    not_trained(
        tiny_config(),
        DataError,
        "only 15",
        train_source=IMAGE,
        val_source=IMAGE[:15],
    )


@pytest.mark.parametrize("argument", ["train_source", "val_source"])
@pytest.mark.parametrize("use_in_memory", [True, False])
def test_pixels_that_are_no_numbers(
    not_trained, tiny_config, folder, argument, use_in_memory
):
    broken = folder([IMAGE, IMAGE, NOT_FINITE, IMAGE])
    arguments = {"train_source": folder([IMAGE] * 4), argument: broken}
    not_trained(
        tiny_config(data_type="tiff"),
        DataError,
        "02.tif",
        "NaN",
        use_in_memory=use_in_memory,
        **arguments,
    )


def test_pixels_that_are_no_numbers_under_given_statistics(not_trained, tiny_config):
    config = tiny_config()
    data = config.data_config.replace(image_means=(100.0,), image_stds=(10.0,))
    not_trained(config, DataError, "NaN", datamodule=TrainDataModule(data, NOT_FINITE))


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        ([IMAGE], ["2", "1 target"]),
        ([IMAGE, IMAGE[:32]], ["01.tif", "(48, 52)", "(32, 52)"]),
    ],
)
def test_targets_that_do_not_belong(refused, ready, folder, targets, names):
    with refused(ValueError, *names):
        ready(folder([IMAGE] * 2), data_type="tiff", train_data_target=folder(targets))


def test_targets_for_training_but_not_for_validation(refused, ready):
    for given, lacking in [
        ("train_data_target", "val_data_target"),
        ("val_data_target", "train_data_target"),
    ]:
        with refused(ConfigurationError, given, lacking):
            ready(IMAGE, val_data=IMAGE, **{given: IMAGE})


# ---- the split ----


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"val_percentage": 2}, ["val_percentage is 2", "0 and 1"]),
        ({"val_percentage": "a"}, ["val_percentage is 'a'", "0 and 1"]),
        ({"val_minimum_split": 0.5}, ["val_minimum_split is 0.5", "0 or more"]),
        ({"val_minimum_split": 13}, ["13", "12 patches", "smaller patches"]),
        ({"val_minimum_split": -1}, ["-1", "0 or more"]),
    ],
)
def test_splits_out_of_range(not_trained, tiny_config, arguments, names):
    not_trained(tiny_config(), DataError, *names, train_source=IMAGE, **arguments)


def test_too_few_files_to_set_any_aside(not_trained, tiny_config, files):
    not_trained(
        tiny_config(data_type="tiff"),
        DataError,
        "4 of 4 files",
        train_source=files,
        use_in_memory=False,
        val_minimum_split=4,
    )


# ---- settings ----


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"axes": "CYX"}, ["'CYX'", "n_channels"]),
        ({"n_channels": 2}, ["'YX'", "n_channels is 2"]),
        ({"augmentations": [XYFlipConfig(), XYFlipConfig()]}, ["XYFlip, XYFlip"]),
        ({"data_type": "oib"}, ["'oib'"]),
        ({"axes": "YXQ"}, ["'YXQ'", "'Q'"]),
        ({"axes": "YYX"}, ["'YYX'"]),
        ({"axes": "ZY"}, ["'ZY'", "X"]),
        ({"patch_size": [16]}, ["patch_size", "Y, X"]),
        ({"patch_size": [16, 18]}, ["along X is 18", "multiple of 4"]),
        ({"patch_size": [4, 16]}, ["along Y is 4", "8 or more"]),
        ({"patch_size": [8, 8], "masked_pixel_percentage": 0.1}, ["[8, 8]", "0.1 %"]),
        ({"roi_size": 4}, ["roi_size", "4"]),
        ({"batch_size": 0}, ["batch_size", "0"]),
        ({"experiment_name": "a/b"}, ["experiment_name", "a/b"]),
        ({"optimizer": "Lion"}, ["optimizer", "Lion"]),
        ({"lr_scheduler": "StepLR"}, ["step_size"]),
    ],
)
def test_settings_that_cannot_be(refused, tiny_config, settings, names):
    with refused(ConfigurationError, *names):
        tiny_config(**settings)


def test_an_augmentation_that_is_not_known(refused, tiny_config):
    with refused(ConfigurationError, "XYFlip"):
        tiny_config(augmentations=["XYFlip"])


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"image_means": (1.0,)}, ["image_means", "image_stds"]),
        ({"image_means": (1.0,), "image_stds": (1.0, 2.0)}, ["1 entries", "2"]),
        pytest.param(
            {"image_means": (float("nan"),), "image_stds": (1.0,)}, ["image_means"]
        ),
        ({"patch": (16, 16)}, ["patch"]),
    ],
)
def test_settings_of_the_data_that_cannot_be(refused, settings, names):
    with refused(ConfigurationError, *names):
        DataConfig.build(settings)


def test_patches_that_the_network_cannot_halve(not_trained, tiny_config):
    config = tiny_config()
    data = config.data_config.replace(patch_size=(13, 16))
    not_trained(config, ValueError, 13, 4, datamodule=TrainDataModule(data, IMAGE))


def test_a_dataset_that_does_not_tell_its_statistics(not_trained, tiny_config):
    class Own(TrainDataModule):
        def setup(self, stage=None):
            self.train_dataset = [(np.zeros((1, 16, 16), "float32"),)] * 4

    config = tiny_config(num_steps=1)
    not_trained(
        config,
        ConfigurationError,
        "get_data_statistics",
        datamodule=Own(config.data_config, IMAGE),
    )


def test_a_dataset_that_can_only_be_iterated_over(not_trained, tiny_config):
    class Own(TrainDataModule):
        def setup(self, stage=None):
            self.train_dataset = torch.utils.data.ChainDataset([])

    config = tiny_config(num_steps=1)
    module = Own(config.data_config, IMAGE)
    not_trained(config, ConfigurationError, "ChainDataset", datamodule=module)


@pytest.mark.parametrize("callback", [ModelCheckpoint, lambda: EarlyStopping("val_loss")])
def test_a_callback_works_or_is_refused_beforehand(tiny_config, tmp_path, callback):
    events = []
    careamist = CAREamist(
        tiny_config(num_steps=1),
        work_dir=tmp_path,
        callbacks=[callback()],
        on_progress=events.append,
    )
    with suppress(ConfigurationError):
        careamist.train(train_source=IMAGE)
    assert careamist.is_trained or events == []


# ---- denoising ----


def test_denoising_before_training(refused, tiny_config):
    with refused(TrainingError, "train one first"):
        CAREamist(tiny_config()).predict(IMAGE)


@pytest.mark.parametrize(
    ("source", "arguments", "names"),
    [
        (np.stack([IMAGE, IMAGE]), {}, ["'YX'", "(2, 48, 52)"]),
        (IMAGE[None], {"axes": "CZYX"}, ["'CZYX'"]),
        (np.stack([IMAGE, IMAGE]), {"axes": "CYX"}, ["1 channel", "2"]),
        (IMAGE[None], {"axes": "ZYX"}, ["2D", "ZYX"]),
        (IMAGE, {"tile_size": [0, 16]}, ["tile_size", "[0, 16]"]),
        (IMAGE, {"tile_size": [16]}, ["tile_size", "Y, X"]),
        (IMAGE, {"tile_overlap": [-2, 0]}, ["tile_overlap"]),
        (IMAGE, {"batch_size": 0}, ["batch_size"]),
        (IMAGE, {"tta": 3}, ["tta", "3"]),
        (IMAGE, {"data_type": "tiff"}, ["'tiff'"]),
        (NOT_FINITE, {}, ["the array", "NaN"]),
        ("nowhere.tif", {}, ["nowhere.tif"]),
        ([IMAGE, IMAGE.astype(complex)], {}, ["array 1", "complex128"]),
    ],
)
def test_what_cannot_be_denoised(refused, model_file, source, arguments, names):
    with refused(HushError, *names):
        CAREamist(model_file).predict(source, **arguments)


@pytest.mark.parametrize(
    "settings", [{}, {"image_means": (), "image_stds": ()}, {"image_means": (1.0,)}]
)
def test_prediction_needs_statistics(refused, settings):
    with refused(ConfigurationError, "image_"):
        InferenceConfig.build(settings)
