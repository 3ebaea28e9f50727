from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QScrollArea,
    QWidget,
)

from napari_hush.careamist import CAREamist
from napari_hush.config import (
    Configuration,
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
)
from napari_hush.config.base import Frozen
from napari_hush.config.methods import METHODS, method_of, with_method
from napari_hush.config.training import PRESETS
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.lightning import TrainDataModule
from napari_hush.quality import FrameAdvice
from napari_hush.widgets.settings.all_settings import ELSEWHERE, FOLLOWING
from napari_hush.widgets.settings.settings_form import SettingsForm, fresh_configuration

CONFIGURATIONS = {
    "defaults": Configuration(),
    "steps": create_n2v_configuration("a", "array", "YX", [32, 32], 4, 7, num_steps=9),
    "volumes": create_n2v_configuration("b", "tiff", "TZYX", [16, 32, 32], 2),
    "channels": create_n2v_configuration("c", "array", "CYX", [32, 48], 2, n_channels=3),
    "own mask": Configuration.build(
        {
            "algorithm_config": {"n2v_config": {"struct_mask": [[1, 1, 1]]}},
            "training_config": {"gradient_clip_norm": 1.5, "ema_decay": 0.9},
            "data_config": {
                "image_means": [1.5],
                "image_stds": [2],
                "transforms": [{"name": "XYFlip"}],
            },
        }
    ),
    "hidden settings": create_n2v_configuration(
        "d",
        "custom",
        "YX",
        [64, 64],
        16,
        augmentations=[],
        roi_size=5,
        model_params={"depth": 3, "num_channels_init": 8},
        optimizer="SGD",
        optimizer_params={"lr": 0.1, "momentum": 0.9},
        lr_scheduler="StepLR",
        lr_scheduler_params={"step_size": 3},
        seed=7,
    ),
}


@pytest.fixture
def form(qtbot):
    widget = SettingsForm()
    qtbot.addWidget(widget)
    return widget


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_round_trip(qtbot, form, name):
    with qtbot.waitSignal(form.valueChanged):
        form.setValue(CONFIGURATIONS[name])
    assert form.value() == CONFIGURATIONS[name]


def test_starts_with_the_defaults(form):
    assert form.value() == fresh_configuration()
    assert form.preset.value().name == "Balanced"


def test_the_network_follows_the_image(form):
    form.setImage("CZYX", 2)
    config = form.value()
    assert config.data_config.axes == "CZYX"
    assert len(config.data_config.patch_size) == 3
    assert config.algorithm_config.model.conv_dims == 3
    assert config.algorithm_config.model.in_channels == 2
    form.setImage("YX", None)
    assert form.value() == fresh_configuration()


def test_what_cannot_be_is_said_in_a_sentence(qtbot, form):
    box = form.findChild(type(form._patch_size._yx), "patch_size_yx")
    box.setValue(65)
    with pytest.raises(ConfigurationError, match="patch_size along Y is 65"):
        form.value()


# ---- Method and preset


def click(qtbot, form, name):
    button = form.findChild(QAbstractButton, name)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_method_is_what_the_factory_makes(qtbot, form, method):
    form.setImage("CYX", 2)
    click(qtbot, form, f"method_{list(METHODS).index(method.key)}")
    made = form.value()
    given = {
        "experiment_name": made.experiment_name,
        "data_type": "array",
        "axes": "CYX",
        "patch_size": made.data_config.patch_size,
        "batch_size": made.data_config.batch_size,
        "num_epochs": made.training_config.num_epochs,
        "num_steps": made.training_config.num_steps,
    }
    if method.needs_targets:
        create = (
            create_n2n_configuration if method.key == "n2n" else (create_care_configuration)
        )
        assert made == create(**given, n_channels_in=2)
    else:
        struct = "horizontal" if method.key == "structn2v" else "none"
        assert made == create_n2v_configuration(
            **given, n_channels=2, use_n2v2=method.n2v2, struct_n2v_axis=struct
        )


@pytest.mark.parametrize("there", METHODS.values(), ids=METHODS)
@pytest.mark.parametrize("back", METHODS.values(), ids=METHODS)
def test_from_any_method_to_any_other_and_back_nothing_is_lost(there, back):
    own = {"training_config": {"num_epochs": 7}, "data_config": {"seed": 3}}
    tree = with_method(Configuration.build(own).model_dump(), back)
    again = with_method(with_method(tree, there), back)
    assert method_of(with_method(tree, there)) is there
    assert again == tree
    Configuration.build(with_method(tree, there))


def test_structn2v_asks_for_its_direction_and_reach(qtbot, form):
    row = form.findChild(object, "struct_mask_axis")
    assert not row.isVisibleTo(form)
    click(qtbot, form, "method_2")
    assert row.isVisibleTo(form)
    row.setValue("cross")
    form.findChild(object, "struct_mask_span").setValue(9)
    masks = form.value().algorithm_config.n2v_config
    assert (masks.struct_mask_axis, masks.struct_mask_span) == ("cross", 9)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_sets_epochs_and_steps_and_own_numbers_lift_it(qtbot, form, preset):
    click(qtbot, form, f"preset_{PRESETS.index(preset)}")
    training = form.value().training_config
    assert (training.num_epochs, training.num_steps) == (preset.num_epochs, 50)
    form.setLength({"num_epochs": 8, "num_steps": 17})  # as the speed of the device asks
    assert form.findChild(object, "num_steps").value() == 17
    assert form.preset.value() is preset
    form.findChild(object, "num_epochs").setValue(9)
    assert form.preset.value() is None


# ---- All settings


def test_frames_before_and_after_are_for_movies_and_follow_the_advice(form):
    def shown():
        return form.value().algorithm_config.model.time_context

    field = form.findChild(QWidget, "time_context")
    advice = FrameAdvice(2, 0.0, False, "alike")
    form.followFrames(advice)  # of an image that is no movie any more
    assert (shown(), field.isVisibleTo(form.fold.content())) == (0, False)
    form.setImage("TYX", None)
    form.followFrames(advice)
    assert (shown(), field.isVisibleTo(form.fold.content())) == (2, True)
    form.setImage("YX", None)
    assert (shown(), field.isVisibleTo(form.fold.content())) == (0, False)
    form.setImage("TYX", None)
    field.setValue(1)
    form.followFrames(advice)
    assert shown() == 1
    form.reset()
    form.followFrames(advice)
    assert shown() == 2


@pytest.fixture
def open_form(form):
    form.fold.expand()
    for fold in form._all.folds.values():
        fold.expand()
    return form


def test_groups_are_made_when_they_are_opened(form):
    assert form.findChild(object, "all_depth") is None
    form.fold.expand()
    assert form.findChild(object, "all_depth") is None
    form._all.folds["network"].expand()
    assert form.findChild(object, "all_depth").value() == 2


def fields_of(kind, above=()):
    for name, field in kind.model_fields.items():
        annotation, path = field.annotation, (*above, name)
        if isinstance(annotation, type) and issubclass(annotation, Frozen):
            yield from fields_of(annotation, path)
        else:
            yield ".".join(path), field


def test_every_field_of_the_configuration_is_reachable_with_its_help(open_form):
    paths = dict(fields_of(Configuration))
    assert paths.keys() > FOLLOWING | ELSEWHERE
    for path, field in paths.items():
        if path in FOLLOWING | ELSEWHERE:
            continue
        name = path.rpartition(".")[2]
        editor = open_form.findChild(QWidget, f"all_{name}")
        assert editor is not None, name
        assert field.description.partition("None")[0] in editor.toolTip()
        assert "None" not in editor.toolTip()
        assert editor.accessibleName()


def test_opening_everything_changes_nothing(open_form):
    assert open_form.value() == fresh_configuration()


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_round_trip_with_everything_open(open_form, name):
    open_form.setValue(CONFIGURATIONS[name])
    for seed in (2**32 - 1, CONFIGURATIONS[name].data_config.seed):
        open_form.findChild(object, "all_seed").setValue(seed)  # writes its whole group
    assert open_form.value() == CONFIGURATIONS[name]


def test_a_field_that_was_changed_has_a_way_back(qtbot, open_form):
    field = open_form.findChild(object, "all_learning_rate")
    reset = open_form.findChild(object, "reset_learning_rate")
    assert not reset.isVisibleTo(open_form)
    field.selectAll()
    qtbot.keyClicks(field, "3e-4")
    assert open_form.value().algorithm_config.optimizer.learning_rate == 3e-4
    assert reset.isVisibleTo(open_form)
    qtbot.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert open_form.value() == fresh_configuration()


@pytest.mark.parametrize("text", ["2", "fast", "", "-1"])
def test_a_number_that_cannot_be_is_marked_and_refused(qtbot, open_form, text):
    field = open_form.findChild(object, "all_learning_rate")
    field.clear()
    qtbot.keyClicks(field, text)
    assert field.property("wrong")
    with pytest.raises(ConfigurationError, match="learning_rate"):
        open_form.value()


def test_reset_brings_back_everything_but_the_image(qtbot, open_form):
    open_form.setImage("CZYX", 3)
    untouched = open_form.value()
    click(qtbot, open_form, "method_3")
    open_form.findChild(object, "all_num_channels_init").setValue(16)
    open_form.findChild(object, "all_background")._on.setChecked(True)
    assert open_form.value() != untouched
    open_form.reset()
    assert open_form.value() == untouched


# ---- Patches and the room for them


def room_of(form, room):
    form.fitPatches(room)
    config = form.value()
    return config.data_config.patch_size, config.algorithm_config.model.pool_z


def box(form, name):
    return form.findChild(type(form._patch_size._yx), f"patch_size_{name}")


def test_patches_fit_into_the_image_and_grow_again(form):
    assert form.fitPatches((40, 300)) == "Patch size 40 × 64, to fit the image"
    assert form.value().data_config.patch_size == (40, 64)
    assert form.fitPatches((512, 512)) == ""
    assert form.value() == fresh_configuration()


def levels_for(planes):
    """How many of two levels downsample Z, leaving 4 planes or more of an even number."""
    return 2 if planes in (16, 20) else 1 if planes % 2 == 0 and planes >= 8 else 0


@pytest.mark.parametrize("planes", [*range(1, 17), 20])
def test_thin_stacks_are_trained_in_3d_with_all_their_planes(form, planes):
    form.setImage("ZYX", None)
    used = min(planes, 16)
    count = levels_for(used)
    pool_z = (False,) * (2 - count) + (True,) * count
    assert room_of(form, (planes, 96, 96))[0] == (used, 64, 64)
    assert form.value().algorithm_config.model.pooling[0] == pool_z
    assert (box(form, "z").minimum(), box(form, "z").maximum()) == (1, planes)
    assert room_of(form, None)[0] == (16, 64, 64)
    assert form.value().algorithm_config.model.pooling[0] == (True, True)


@pytest.mark.parametrize(("planes", "typed"), [(14, "5"), (5, "3"), (5, "1"), (31, "9")])
def test_a_number_of_planes_that_is_typed_stays(qtbot, form, planes, typed):
    form.setImage("ZYX", None)
    form.fitPatches((planes, 40, 40))
    field = box(form, "z")
    field.selectAll()
    qtbot.keyClicks(field, typed)
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert field.value() == int(typed)
    assert form.value().data_config.patch_size[0] == int(typed)


@pytest.mark.parametrize("side", [8, 9, 13, 20, 63])
def test_small_images_are_trained_with_the_largest_patch(form, side):
    assert room_of(form, (side, 100))[0] == (side // 4 * 4, 64)
    assert room_of(form, (side, side))[0] == (side // 4 * 4,) * 2
    assert box(form, "yx").minimum() == 8
    assert box(form, "yx").maximum() == side // 4 * 4


@pytest.mark.parametrize("shape", [(1, 20, 20), (3, 24, 17), (5, 20, 40), (14, 20, 20)])
def test_the_engine_trains_on_what_the_form_fits(form, shape):
    pixels = np.random.default_rng(0).normal(100, 9, shape).astype(np.float32)
    form.setImage("ZYX", None)
    form.fitPatches(shape)
    config = form.value()
    network = config.algorithm_config.model.replace(num_channels_init=8)
    config = config.replace(
        algorithm_config=config.algorithm_config.replace(model=network),
        data_config=config.data_config.replace(batch_size=1),
        training_config=config.training_config.replace(num_epochs=1, num_steps=1),
    )
    engine = CAREamist(config)
    data = TrainDataModule(config.data_config, pixels, val_minimum_split=1)  # as the dock
    engine.train(datamodule=data)
    assert engine.predict(source=pixels).shape == shape


def test_each_side_that_was_set_returns_when_there_is_room(form):
    form.setImage("ZYX", None)
    form.fitPatches((5, 40, 40))
    box(form, "z").setValue(3)
    assert room_of(form, None)[0] == (3, 64, 64)
    box(form, "yx").setValue(32)
    assert room_of(form, (5, 17, 300))[0] == (3, 16, 32)
    assert form.wished().data_config.patch_size == (3, 32, 32)
    assert form.value().data_config.patch_size == (3, 16, 32)


def test_levels_that_downsample_z_are_kept_where_they_were_set(form):
    made = create_n2v_configuration(
        "a", "array", "ZYX", [16, 32, 32], 2, model_params={"pool_z": (False, True)}
    )
    form.setValue(made)
    assert room_of(form, (7, 99, 99)) == ((6, 32, 32), (False, True))
    with pytest.raises(DataError, match=r"1 pixel along Z .* downsamples less"):
        form.fitPatches((1, 99, 99))


def test_an_image_that_is_too_small_is_said(form):
    with pytest.raises(DataError, match=r"7 pixels along Y in the part.* at least 8"):
        form.fitPatches((7, 40), "the part")


# ---- Room


@pytest.fixture
def narrow(open_form):
    scroll = QScrollArea()
    scroll.setWidgetResizable(True)
    yield scroll
    scroll.takeWidget()  # the form outlives it


@pytest.mark.parametrize(("width", "points"), [(262, 9), (524, 18)], ids=["300", "200 %"])
@pytest.mark.parametrize("method", [0, 2], ids=["N2V", "structN2V"])
def test_nothing_is_cut_off_in_a_narrow_dock(
    qtbot, open_form, narrow, width, points, method
):
    open_form.setStyleSheet(f"* {{ font-size: {points}pt; }}")
    click(qtbot, open_form, f"method_{method}")
    narrow.setWidget(open_form)
    open_form.setMaximumWidth(width)
    narrow.resize(width + 40, 400)
    narrow.show()
    kinds = (QLabel, QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit)

    def cut_off():
        return [
            one.objectName() or one.text()
            for kind in kinds
            for one in open_form.findChildren(kind)
            if one.isVisible()
            and one.objectName() != "qt_spinbox_lineedit"
            and one.height() < one.minimumSizeHint().height()
        ]

    qtbot.waitUntil(lambda: not cut_off(), timeout=3000)
    assert open_form.width() == width
    for box in open_form.findChildren(QComboBox):
        if box.isVisible():
            text = box.fontMetrics().horizontalAdvance(box.currentText())
            assert text <= box.width() - 28, box.currentText()  # beside the arrow
