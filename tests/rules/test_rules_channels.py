"""Channels: all of them alike, together, or some of them; RGB."""

import numpy as np
import pytest

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.errors import ConfigurationError, DataError

GIVEN = {
    "experiment_name": "channels",
    "data_type": "array",
    "patch_size": [16, 16],
    "batch_size": 4,
    "num_epochs": 1,
    "num_steps": 3,
    "model_params": {"num_channels_init": 8},
}
MEANS = np.array([100.0, 5000.0, 30.0])


@pytest.fixture
def image():
    """Three channels of very different intensities, CYX."""
    noise = np.random.default_rng(0).normal(0, 3, (3, 40, 36))
    return (noise + MEANS[:, None, None]).astype("float32")


@pytest.mark.parametrize("independent", [True, False])
@pytest.mark.parametrize("choice", [(1,), (2, 0)])
def test_a_subset_is_all_that_is_trained_on_and_denoised(image, choice, independent):
    config = create_n2v_configuration(
        **GIVEN, axes="CYX", channels=choice, independent_channels=independent
    )
    assert config.algorithm_config.model.in_channels == len(choice)
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    assert careamist.model.normalization.means == pytest.approx(
        image[list(choice)].mean((1, 2)), rel=0.01
    )
    clean = careamist.predict(image)
    assert clean.shape == (len(choice), 40, 36)
    assert clean.mean((1, 2)) == pytest.approx(MEANS[list(choice)], rel=0.1)
    others = image.copy()
    others[[c for c in range(3) if c not in choice]] = 0
    np.testing.assert_array_equal(careamist.predict(others), clean)


def test_a_subset_gives_what_the_channels_by_themselves_give(image):
    results = []
    for source, choice in ((image, {"channels": (0, 2)}), (image[[0, 2]], {})):
        counts = {} if choice else {"n_channels": 2}
        config = create_n2v_configuration(**GIVEN, axes="CYX", **choice, **counts)
        careamist = CAREamist(config)
        careamist.train(train_source=source)
        results.append(careamist.predict(source))
    np.testing.assert_array_equal(*results)


def test_a_model_of_one_channel_denoises_an_image_that_is_that_channel(image):
    careamist = CAREamist(create_n2v_configuration(**GIVEN, axes="YXC", channels=[1]))
    careamist.train(train_source=np.moveaxis(image, 0, -1))
    alone = careamist.predict(image[1], axes="YX")
    assert alone.shape == (40, 36)
    np.testing.assert_array_equal(alone, careamist.predict(image, axes="CYX")[0])


def test_targets_have_a_choice_of_their_own(image):
    config = create_care_configuration(
        **GIVEN, axes="CYX", channels=[0, 1], target_channels=[2]
    )
    careamist = CAREamist(config)
    careamist.train(train_source=image, train_target=image)
    assert careamist.model.target_normalization.means == pytest.approx([30], rel=0.01)
    clean = careamist.predict(image)
    assert clean.shape == (1, 40, 36)
    assert clean.mean() == pytest.approx(30, rel=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"axes": "YX", "channels": [0]}, "have no C"),
        ({"axes": "CYX", "channels": []}, "empty"),
        ({"axes": "CYX", "channels": [1, 1]}, "repeats a channel"),
        ({"axes": "CYX", "channels": [-1]}, "greater than or equal to 0"),
        ({"axes": "CYX", "channels": [0, 1], "n_channels": 3}, "2 channels are given"),
    ],
)
def test_choices_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        create_n2v_configuration(**GIVEN, **settings)


def test_a_channel_that_an_image_lacks_is_named(image):
    careamist = CAREamist(create_n2v_configuration(**GIVEN, axes="CYX", channels=[2]))
    with pytest.raises(
        DataError, match="Channel 2 was chosen but the array has 2 channels"
    ):
        careamist.train(train_source=image[:2])
    careamist.train(train_source=image)
    with pytest.raises(DataError, match="Channel 2 was chosen but the array has 1 channel"):
        careamist.predict(image[:1])


@pytest.mark.parametrize("independent", [True, False])
def test_rgb_goes_in_and_comes_out_as_it_is(independent):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (40, 36, 3)).astype("uint8")
    config = create_n2v_configuration(
        **GIVEN, axes="YXC", n_channels=3, independent_channels=independent
    )
    careamist = CAREamist(config)
    careamist.train(train_source=picture)
    assert careamist.predict(picture).shape == picture.shape
    fitted = careamist.predict(picture, dtype="source")
    assert (fitted.shape, fitted.dtype) == (picture.shape, picture.dtype)
