"""structN2V: masks in the configuration, and augmentation that fits them."""

from types import SimpleNamespace

import numpy as np
import pytest

from napari_hush.config import (
    Configuration,
    N2VManipulateConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    create_n2v_configuration,
    load_configuration,
    save_configuration,
)
from napari_hush.config.transforms import fitting_transforms, misfit_of
from napari_hush.dataset.augmentation import transformed
from napari_hush.errors import ConfigurationError
from napari_hush.quality import check_data

FLIPS = XYFlipConfig()
TURNS = XYRandomRotate90Config()
HALF = XYRandomRotate90Config(half_turns_only=True)
GIVEN = {
    "experiment_name": "struct",
    "data_type": "array",
    "batch_size": 2,
    "num_epochs": 1,
}


def flat(**settings):
    return create_n2v_configuration(**GIVEN, axes="YX", patch_size=[16, 16], **settings)


def deep(**settings):
    return create_n2v_configuration(**GIVEN, axes="ZYX", patch_size=[8, 16, 16], **settings)


@pytest.mark.parametrize(
    ("mask", "fit"),
    [
        (None, [FLIPS, TURNS]),
        (np.ones((3, 3)), [FLIPS, TURNS]),
        (np.ones((1, 5)), [FLIPS, HALF]),
        (np.ones((5, 1)), [FLIPS, HALF]),
        (np.eye(3), [HALF]),
        ([[0, 0, 0], [1, 1, 0], [0, 0, 0]], [XYFlipConfig(flip_x=False)]),
        ([[0, 1, 0], [0, 1, 0], [0, 0, 0]], [XYFlipConfig(flip_y=False)]),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], []),
        ([[0, 1, 0], [0, 1, 1], [0, 0, 0]], []),
    ],
)
def test_patches_are_turned_only_as_the_mask_allows(mask, fit):
    config = flat(struct_n2v_mask=mask)
    assert list(config.data_config.transforms) == fit


@pytest.mark.parametrize("seed", range(30))
def test_fitting_operations_leave_the_mask_as_it_is(seed):
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 2, (3, 3))
    for operation in range(8):  # masks with and without symmetry
        if rng.random() < 0.3:
            mask |= transformed(mask, operation)
    mask[0, 0] |= not mask.any()
    mask[1, 1] = 1
    mask[0, 0] |= mask.sum() == 1
    fit = fitting_transforms(N2VManipulateConfig.build({"struct_mask": mask}), 2)
    mirrors = next((t for t in fit if isinstance(t, XYFlipConfig)), None)
    turns = next((t for t in fit if isinstance(t, XYRandomRotate90Config)), None)
    allowed = {
        4: mirrors is not None and mirrors.flip_x,
        6: mirrors is not None and mirrors.flip_y,
        2: turns is not None,
        1: turns is not None and not turns.half_turns_only,
    }
    for operation, does in allowed.items():
        assert np.array_equal(transformed(mask, operation), mask) == does


def test_noise_along_z_has_no_direction_in_the_plane():
    config = deep(struct_n2v_axis="z")
    assert config.data_config.transforms == (FLIPS, TURNS)


def test_a_slanted_mask_in_3d_is_not_mirrored_away():
    mask = np.zeros((3, 3, 3), int)
    mask[0, 1, 0] = mask[2, 1, 2] = mask[1, 1, 1] = 1
    assert deep(struct_n2v_mask=mask).data_config.transforms == (
        XYFlipConfig(flip_x=False),
    )


@pytest.mark.parametrize("mask", [np.eye(3, dtype=bool), [[0, 1, 0]], np.ones((3, 1, 1))])
def test_masks_survive_a_file(mask, tmp_path):
    make = deep if np.ndim(mask) == 3 else flat
    config = make(struct_n2v_mask=mask) if np.sum(mask) > 1 else None
    if config is None:
        with pytest.raises(ConfigurationError, match="contains no neighbor"):
            make(struct_n2v_mask=mask)
        return
    path = save_configuration(config, tmp_path / "config.yml")
    assert load_configuration(path) == config
    assert Configuration.model_validate_json(config.model_dump_json()) == config
    kept = config.algorithm_config.n2v_config.struct_mask
    np.testing.assert_array_equal(np.array(kept), np.asarray(mask))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((2, 3)), "2 x 3.*sides must be odd"),
        (np.ones((33, 1)), "33 x 1.*31 at most"),
        ([[1, 1, 1], [1, 1]], "equally long"),
        ([[[1], [1]], [[1]], [[1]]], "equally long"),
        ([[1, 2, 1]], "0 or 1"),
        ([[0, 1, 0]], "contains no neighbor"),
        ([1, 1, 1], "struct_mask"),
        ("cross", "struct_mask"),
        ([], "struct_mask"),
        ([[]], "struct_mask"),
    ],
)
def test_what_is_no_mask_is_refused(mask, message):
    with pytest.raises(ConfigurationError, match=message):
        flat(struct_n2v_mask=mask)


def test_a_mask_and_an_axis_are_one_too_many():
    with pytest.raises(ConfigurationError, match="give one of them"):
        flat(struct_n2v_mask=np.eye(3), struct_n2v_axis="horizontal")


@pytest.mark.parametrize(
    "settings", [{"struct_n2v_axis": "z"}, {"struct_n2v_mask": np.ones((3, 1, 1))}]
)
def test_hiding_along_z_needs_volumes(settings):
    with pytest.raises(ConfigurationError, match=r"extends along Z.*'YX' are 2D"):
        flat(**settings)


def test_given_augmentation_that_turns_the_noise_is_refused():
    with pytest.raises(ConfigurationError, match="flipping along X does not fit"):
        flat(struct_n2v_mask=np.eye(3), augmentations=[FLIPS])
    with pytest.raises(ConfigurationError, match="90 degrees does not fit the vertical"):
        flat(struct_n2v_axis="vertical", augmentations=[TURNS])
    flat(struct_n2v_mask=np.eye(3), augmentations=[])


def test_misfits_are_named_as_people_see_them():
    names = {
        (4,): "flipping along X",
        (5,): "flipping along a diagonal",
        (6,): "flipping along Y",
        (3,): "rotation by 270 degrees",
    }
    corner = N2VManipulateConfig(struct_mask=((0, 0, 1), (0, 0, 0), (0, 0, 0)))
    for operations, name in names.items():
        assert misfit_of(corner, 2, [SimpleNamespace(operations=operations)]) == name


def test_axis_and_span_of_a_noise_check_are_taken_as_they_are():
    white = np.random.default_rng(0).normal(100, 10, (128, 128))
    report = check_data(white, "YX")
    assert (report.axis, report.span) == ("none", 1)
    given = flat(struct_n2v_axis=report.axis, struct_n2v_span=report.span)
    assert given == flat()
    with pytest.raises(ConfigurationError, match="struct_mask_span"):
        flat(struct_n2v_axis="horizontal", struct_n2v_span=1)
