import ast
import inspect
import itertools

import pytest

from napari_hush.config import (
    Configuration,
    DataConfig,
    InferenceConfig,
    N2VManipulateConfig,
    TrainingConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.errors import ConfigurationError

GIVEN = {
    "experiment_name": "cells",
    "data_type": "array",
    "axes": "YX",
    "patch_size": [64, 64],
    "batch_size": 4,
    "num_epochs": 3,
}


def test_what_is_given_arrives():
    config = create_n2v_configuration(
        **GIVEN,
        num_steps=7,
        roi_size=5,
        masked_pixel_percentage=0.5,
        augmentations=[XYFlipConfig(flip_y=False)],
        optimizer="AdamW",
        optimizer_params={"lr": 0.01, "weight_decay": 0.1},
        lr_scheduler="StepLR",
        lr_scheduler_params={"step_size": 2},
        model_params={"depth": 3},
        seed=5,
    )
    assert config.experiment_name == "cells"
    assert config.data_config.patch_size == (64, 64)
    assert config.data_config.transforms == (XYFlipConfig(flip_y=False),)
    assert config.data_config.seed == 5
    assert config.training_config == TrainingConfig(num_epochs=3, num_steps=7)
    assert config.algorithm_config.model.depth == 3
    assert config.algorithm_config.n2v_config.roi_size == 5
    assert config.algorithm_config.optimizer.learning_rate == 0.01
    assert config.algorithm_config.optimizer.parameters == {"weight_decay": 0.1}
    assert config.algorithm_config.lr_scheduler.step_size == 2


def test_the_network_follows_the_axes():
    config = create_n2v_configuration(
        **{**GIVEN, "axes": "CZYX", "patch_size": [8, 64, 64]}, n_channels=2
    )
    assert config.algorithm_config.model.conv_dims == 3
    assert config.algorithm_config.model.in_channels == 2


def test_no_augmentation():
    assert create_n2v_configuration(**GIVEN, augmentations=[]).data_config.transforms == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"axes": "YXYX"}, "repeat a letter"),
        ({"axes": "CYX"}, "n_channels is not given"),
        ({"n_channels": 3}, "axes 'YX' have no C"),
        ({"data_type": "jpeg"}, r"data_config\.data_type.*'jpeg'"),
        ({"patch_size": [64]}, "need 2, one each for Y, X"),
        ({"patch_size": [64, 4]}, "patch_size along X is 4; use 8 or more"),
        ({"patch_size": [62, 64]}, "along Y is 62.*multiple of 4, for example 6[04]"),
        ({"batch_size": 0}, "batch_size.*given: 0"),
        ({"num_epochs": 0}, "num_epochs.*given: 0"),
        ({"experiment_name": "  "}, "experiment_name"),
        ({"experiment_name": "a/b"}, "experiment_name"),
        ({"roi_size": 4}, "must be odd.*try 5"),
        ({"roi_size": 23}, "roi_size.*given: 23"),
        ({"masked_pixel_percentage": 11}, "masked_pixel_percentage"),
        ({"masked_pixel_percentage": 0.05, "patch_size": [8, 8]}, "less than one pixel"),
        ({"lr_scheduler": "Magic"}, "'Magic'"),
        ({"lr_scheduler": "StepLR"}, "step_size: Field required"),
        ({"lr_scheduler_params": {"speed": 1}}, "speed"),
        ({"model_params": {"width": 3}}, "width"),
        ({"optimizer_params": {"lr": -1}}, "learning_rate"),
    ],
)
def test_one_sentence_says_what_is_wrong(changes, says):
    with pytest.raises(ConfigurationError, match=says) as caught:
        create_n2v_configuration(**{**GIVEN, **changes})
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_frozen_and_replaced():
    config = DataConfig()
    with pytest.raises(ValueError, match="frozen"):
        config.batch_size = 3
    assert config.replace(batch_size=3).batch_size == 3
    with pytest.raises(ConfigurationError, match="batch_size"):
        config.replace(batch_size=-1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image_means": (1.0,)}, "give both or none"),
        ({"image_means": (1.0, 2.0), "image_stds": (1.0,)}, "one of each per channel"),
        ({"image_means": (1.0,), "image_stds": (0.0,)}, "above 0"),
        ({"transforms": (XYFlipConfig(), XYFlipConfig())}, "give each one once"),
        ({"transforms": ({"name": "XYFlip", "flip_x": 0, "flip_y": 0},)}, "both off"),
    ],
)
def test_data_that_contradict_themselves(changes, says):
    with pytest.raises(ConfigurationError, match=says):
        DataConfig.build(changes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"conv_dims": 3}, "set conv_dims to 2"),
        ({"in_channels": 2, "num_classes": 2}, "have no C"),
        ({"num_classes": 2}, "cannot be independent"),
        (
            {"num_classes": 2, "independent_channels": False},
            "set both to the same number",
        ),
    ],
)
def test_network_and_data_agree(change, says):
    with pytest.raises(ConfigurationError, match=says):
        Configuration.build({"algorithm_config": {"model": change}})


def test_statistics_per_channel():
    with pytest.raises(ConfigurationError, match="give one per channel"):
        Configuration.build(
            {"data_config": {"image_means": (1.0, 2.0), "image_stds": (1.0, 2.0)}}
        )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tile_size": (64,)}, "need 2, one each for Y, X"),
        ({"tile_size": (64, 0)}, "must be 1 or more"),
        ({"image_stds": (1.0, 2.0)}, "one of each per channel"),
    ],
)
def test_inference(changes, says):
    with pytest.raises(ConfigurationError, match=says):
        InferenceConfig.build({"image_means": (0.0,), "image_stds": (1.0,), **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"struct_n2v_span": 4}, "struct_mask_span must be odd.*try 5"),
        ({"use_n2v2": True, "model_params": {"residual": True}}, "residual"),
        ({"model_params": {"n2v2": True}}, "needs the strategy 'median'"),
        (
            {
                "struct_n2v_axis": "vertical",
                "augmentations": [XYRandomRotate90Config()],
            },
            "does not fit the vertical struct mask",
        ),
    ],
)
def test_kin_of_n2v_that_contradict_themselves(changes, says):
    with pytest.raises(ConfigurationError, match=says):
        create_n2v_configuration(**{**GIVEN, **changes})


def test_noise_with_a_direction_is_never_turned_by_quarters():
    config = create_n2v_configuration(**GIVEN, struct_n2v_axis="horizontal")
    (turn,) = (t for t in config.data_config.transforms if "Rotate" in t.name)
    assert turn.half_turns_only


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"loss": "n2v"}, "'n2v' is not for care; use"),
        ({"speed": 3}, "no argument 'speed'"),
        ({"model_params": {"n2v2": True}}, "not for care; set n2v2"),
    ],
)
def test_care(changes, says):
    assert create_care_configuration(**GIVEN).algorithm_config.loss == "mae"
    assert create_n2n_configuration(**GIVEN).algorithm_config.loss == "mse"
    with pytest.raises(ConfigurationError, match=says):
        create_care_configuration(**{**GIVEN, **changes})


def test_every_field_has_a_help_text():
    def check(model):
        for name, field in model.model_fields.items():
            assert field.description or name == "name", f"{model.__name__}.{name}"
            if hasattr(field.annotation, "model_fields"):
                check(field.annotation)

    check(Configuration)
    check(InferenceConfig)


def test_help_texts_are_those_that_python_itself_reads():
    def fields(model):
        parts = [one.annotation for one in model.model_fields.values()]
        inner = [part for part in parts if hasattr(part, "model_fields")]
        return [model, *(one for part in inner for one in fields(part))]

    found = 0
    for model in {*fields(Configuration), *fields(InferenceConfig)}:
        (tree,) = ast.parse(inspect.getsource(model)).body
        for field, below in itertools.pairwise(tree.body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                text = inspect.cleandoc(below.value.value)
                assert model.model_fields[field.target.id].description == text
                found += 1
    assert found > 60


def test_fewer_pixels_are_masked_by_default_where_each_hides_neighbours():
    plain, struct = N2VManipulateConfig(), N2VManipulateConfig(struct_mask_axis="square")
    assert struct.masked_pixel_percentage < plain.masked_pixel_percentage
    given = N2VManipulateConfig(struct_mask_axis="square", masked_pixel_percentage=4)
    assert given.masked_pixel_percentage == 4
