"""Arguments under the names of CAREamics 0.1 to 0.3, and unknown ones."""

from pathlib import Path

import numpy as np
import pytest

from napari_hush import CAREamist, config, denoise
from napari_hush.arguments import INSTEAD, OURS, by_any_name
from napari_hush.config import XYFlipConfig, XYRandomRotate90Config
from napari_hush.errors import ConfigurationError, UnknownArgumentError
from napari_hush.lightning import PredictDataModule, TrainDataModule

COMMON = {
    "experiment_name": "cells",
    "data_type": "array",
    "axes": "YX",
    "patch_size": [16, 16],
    "batch_size": 2,
}


@by_any_name
def predict(source, *, tta=1, data_type=None):
    """Denoise."""
    return source, tta, data_type


def test_names_of_careamics_are_passed_by_ours():
    assert predict(pred_data=3, tta_transforms=True) == (3, True, None)
    assert predict(3, loading=None, in_memory=None, pred_data_target=None) == (3, 1, None)
    assert predict.__doc__ == "Denoise."


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sauce": 1}, r"predict\(\) has no argument 'sauce'; did you mean 'source'\?"),
        ({"pred_dat": 1}, "did you mean 'pred_data'"),
        ({"zzz": 1}, "there are data_type, source, tta"),
        ({"source": 1, "pred_data": 2}, "CAREamics' name for source.*give source only"),
        ({"source": 1, "channels": [0]}, "as in CAREamics; give them to the factory"),
    ],
)
def test_unknown_arguments_are_explained(given, says):
    with pytest.raises(UnknownArgumentError, match=says) as caught:
        predict(**given)
    assert isinstance(caught.value, TypeError)


def test_a_script_of_careamics(tiny_config, noisy, tmp_path):
    careamist = CAREamist(config=tiny_config(num_steps=1), work_dir=tmp_path)
    careamist.train(train_data=noisy, val_data=noisy)
    clean = careamist.predict(pred_data=noisy, tile_overlap=(16, 16))
    path = careamist.save(tmp_path / "m.safetensors")
    again = CAREamist(checkpoint_path=path)
    assert np.array_equal(again.predict(noisy), clean)


@pytest.mark.parametrize(
    "call",
    [
        lambda: CAREamist("m.safetensors", wrok_dir="."),
        lambda: denoise(np.zeros((8, 8)), "m.safetensors", titel_size=1),
        lambda: TrainDataModule(config.DataConfig(), np.zeros((8, 8)), lodaing=1),
        lambda: PredictDataModule(None, np.zeros((8, 8)), lodaing=1),
        lambda: config.create_n2v_configuration(**COMMON, lodaing=1),
        lambda: config.create_care_configuration(**COMMON, lodaing=1),
        lambda: config.create_n2n_configuration(**COMMON, lodaing=1),
    ],
)
def test_every_public_function_explains_what_it_does_not_know(call):
    with pytest.raises(UnknownArgumentError, match="has no argument"):
        call()


def test_factories_of_careamics():
    n2v = config.create_structn2v_config(**COMMON, struct_n2v_axes="horizontal")
    assert n2v.algorithm_config.n2v_config.struct_mask_axis == "horizontal"
    for name, method in (("n2v", "n2v"), ("care", "care"), ("n2n", "n2n")):
        for kind in ("", "advanced_"):
            made = getattr(config, f"create_{kind}{name}_config")(**COMMON)
            assert made.algorithm_config.algorithm == method


@pytest.mark.parametrize(
    ("names", "transforms"),
    [
        (["x_flip"], (XYFlipConfig(flip_y=False),)),
        (["rotate_90", "y_flip"], (XYFlipConfig(flip_x=False), XYRandomRotate90Config())),
        (["x_flip", "y_flip"], (XYFlipConfig(),)),
        ([], ()),
        ([XYRandomRotate90Config()], (XYRandomRotate90Config(),)),
    ],
)
def test_augmentations_by_name(names, transforms):
    for create in (config.create_n2v_config, config.create_care_config):
        made = create(**COMMON, augmentations=names)
        assert made.data_config.transforms == transforms


def test_patches_to_validate_on():
    for create in (config.create_n2v_config, config.create_care_config):
        data = create(**COMMON, n_val_patches=8).data_config
        assert (data.max_val_patches, data.val_percentage) == (8, 0.5)


def test_an_unknown_augmentation():
    with pytest.raises(ConfigurationError, match="no augmentation 'z_flip'"):
        config.create_n2v_config(**COMMON, augmentations=["z_flip"])


def test_the_page_has_all_names_of_careamics():
    page = Path(__file__).parents[1] / "docs" / "careamics.md"
    text = page.read_text(encoding="utf-8")
    names = {*OURS, *INSTEAD} - {
        "model_constraints",
        "pred_data_target",
        "dataloader_params",
    }
    assert [name for name in sorted(names) if name not in text] == []
