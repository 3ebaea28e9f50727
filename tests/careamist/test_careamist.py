import copy
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from napari_hush import CAREamist
from napari_hush.config import (
    create_care_configuration,
    create_n2n_configuration,
    create_n2v_configuration,
    save_configuration,
)
from napari_hush.errors import (
    ConfigurationError,
    DataError,
    ExistingFileError,
    HushError,
    MissingFileError,
    ModelFileError,
    TrainingError,
)
from napari_hush.events import (
    EpochDone,
    FileWritten,
    ImageStarted,
    StepsDone,
    TilesDone,
    TrainingDone,
    TrainingStarted,
    WarningIssued,
)
from napari_hush.io import read_metadata, read_tiff, write_tiff
from napari_hush.lightning import TrainDataModule


@pytest.fixture
def trained(tiny_config, noisy):
    careamist = CAREamist(tiny_config())
    careamist.train(train_source=noisy)
    return careamist


def weights(careamist):
    return torch.cat([p.ravel() for p in careamist.model.network.parameters()])


# ---- training ----


def test_every_step_and_epoch_is_told(tiny_config, noisy):
    events = []
    careamist = CAREamist(tiny_config(num_epochs=2, num_steps=5), on_progress=events.append)
    careamist.train(train_source=noisy)
    assert isinstance(events[0], TrainingStarted)
    assert (events[0].num_epochs, events[0].steps_per_epoch) == (2, 5)
    assert isinstance(events[-1], TrainingDone)
    assert not events[-1].stopped
    steps = [e for e in events if isinstance(e, StepsDone)]
    assert sum(len(e.losses) for e in steps) == 10
    assert [e.first_step for e in steps] == list(
        np.cumsum([0, *(len(e.losses) for e in steps)])[:-1]
    )
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [0, 1]
    losses = careamist.get_losses()
    assert losses["train_step"] == list(range(10))
    assert len(losses["train_step_loss"]) == 10
    assert losses["train_epoch"] == losses["val_epoch"] == [0, 1]
    assert losses["train_loss"][0] == pytest.approx(np.mean(losses["train_step_loss"][:5]))


def test_same_seed_same_bits_another_seed_others(tiny_config, noisy):
    def train(seed):
        careamist = CAREamist(tiny_config(seed=seed, num_epochs=2))
        careamist.train(train_source=noisy)
        return weights(careamist)

    assert torch.equal(train(1), train(1))
    assert not torch.equal(train(1), train(2))


def test_training_leaves_global_randomness_alone(tiny_config, noisy):
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    CAREamist(tiny_config()).train(train_source=noisy)
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.random.get_rng_state(), before[0])


def test_training_again_goes_on(trained, noisy):
    first = weights(trained).clone()
    statistics = trained.model.normalization
    trained.train(train_source=noisy + 5)
    assert trained.model.epochs == 2
    assert trained.model.normalization == statistics
    assert not torch.equal(weights(trained), first)
    assert trained.get_losses()["train_epoch"] == [0, 1]
    assert trained.get_losses()["train_step"] == list(range(trained.model.steps))


def test_stopping_keeps_the_model(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_epochs=1000))
    done = []

    def stop_at_step_7(event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) > 7:
            careamist.stop_training()
        done.append(event)

    careamist.on_progress = stop_at_step_7
    careamist.train(train_source=noisy)
    assert careamist.is_trained
    assert done[-1].stopped
    assert 7 < careamist.model.steps < 1000
    assert np.isfinite(careamist.predict(noisy)).all()
    careamist.config = tiny_config()
    careamist.on_progress = done.append
    careamist.train(train_source=noisy)
    assert not done[-1].stopped


def test_stopping_before_the_first_step(tiny_config, noisy):
    careamist = CAREamist(tiny_config())
    careamist.on_progress = lambda event: careamist.stop_training()
    careamist.train(train_source=noisy)
    assert careamist.model.steps == 1


def test_requests_with_nothing_running_do_nothing(tiny_config, noisy):
    events, careamist = [], CAREamist(tiny_config())

    def at_the_end(event):
        events.append(event)
        if isinstance(event, TrainingDone):
            request()

    def request():
        careamist.pause_training()
        careamist.stop_training()
        careamist.request_model(lambda model: 1 / 0)

    request()
    careamist.on_progress = at_the_end
    careamist.train(train_source=noisy)
    steps = careamist.model.steps
    request()
    careamist.train(train_source=noisy)
    assert careamist.model.steps == 2 * steps
    assert [e.stopped for e in events if isinstance(e, TrainingDone)] == [False, False]
    assert not careamist.is_paused


def test_a_second_training_at_once_is_refused(tiny_config, noisy):
    careamist, errors = CAREamist(tiny_config()), []

    def train_in_another_thread(event):
        if isinstance(event, TrainingStarted):
            thread = threading.Thread(target=train_again)
            thread.start()
            thread.join(60)

    def train_again():
        try:
            careamist.train(train_source=noisy)
        except TrainingError as error:
            errors.append(str(error))

    careamist.on_progress = train_in_another_thread
    careamist.train(train_source=noisy)
    assert "separate CAREamist for each thread" in errors[0]
    assert careamist.get_losses()["train_step"] == list(range(careamist.model.steps))


def test_threads_give_the_bits_of_one_training_alone(tiny_config, noisy):
    """Though another one keeps on setting the random state that all threads share."""

    def train(seed):
        careamist = CAREamist(tiny_config(seed=seed))
        careamist.train(train_source=noisy)
        return careamist.model.sha256

    def draw():
        while not over.is_set():
            torch.manual_seed(0)
            torch.rand(100)

    alone, over = [train(seed) for seed in range(4)], threading.Event()
    other = threading.Thread(target=draw)
    other.start()
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(train, range(4)))
    over.set()
    other.join()
    assert len(set(alone)) == 4
    assert together == alone


def test_a_copy_has_the_callbacks_and_a_model_of_its_own(trained):
    events, callback = [], Callback()
    trained.on_progress, trained.callbacks = events.append, (callback,)
    copied = copy.deepcopy(trained)
    assert copied.on_progress == trained.on_progress
    assert copied.callbacks == (callback,)
    assert copied.model.sha256 == trained.model.sha256
    assert copied.model.network is not trained.model.network
    assert copied.get_losses() == trained.get_losses()


def test_training_and_stopping_from_another_thread(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_epochs=100_000))
    started = threading.Event()
    careamist.on_progress = lambda event: started.set()
    thread = threading.Thread(target=lambda: careamist.train(train_source=noisy))
    thread.start()
    assert started.wait(60)
    careamist.stop_training()
    thread.join(60)
    assert not thread.is_alive()


def test_ctrl_c_ends_with_the_model(tiny_config, noisy):
    import os
    import signal

    before = signal.getsignal(signal.SIGINT)
    careamist = CAREamist(tiny_config(num_epochs=100_000))

    def press(event):
        if isinstance(event, StepsDone) and event.first_step == 0:
            os.kill(os.getpid(), signal.SIGINT)

    careamist.on_progress = press
    careamist.train(train_source=noisy)
    assert careamist.is_trained
    assert signal.getsignal(signal.SIGINT) is before


def test_a_loss_that_diverges_is_told_and_leaves_no_model(noisy, tiny_config):
    config = tiny_config(
        optimizer="SGD",
        optimizer_params={"lr": 1.0},
        model_params={"num_channels_init": 8, "use_batch_norm": False},
    )
    careamist = CAREamist(config)
    brighter = config.data_config.replace(image_means=(0.0,), image_stds=(1e-9,))
    with pytest.raises(TrainingError, match="smaller learning rate"):
        careamist.train(datamodule=TrainDataModule(brighter, noisy))
    assert not careamist.is_trained


@pytest.mark.parametrize("method", ["n2v", "n2n", "care"])
@pytest.mark.parametrize("steps", [4, 20])
def test_a_learning_rate_of_1_ends_in_one_warning(method, steps):
    y, x = np.indices((192, 192))
    clean = 100 + 20 * (np.sin(x / 5) + np.cos(y / 7)).astype("float32")
    noise = np.random.default_rng(0).normal(0, 10, (2, 192, 192)).astype("float32")
    target = {"n2v": None, "n2n": clean + noise[1], "care": clean}[method]
    make = {
        "n2v": create_n2v_configuration,
        "n2n": create_n2n_configuration,
        "care": create_care_configuration,
    }[method]
    events = []
    careamist = CAREamist(
        make(
            *("diverging", "array", "YX", [32, 32], 4),
            num_epochs=2,
            num_steps=steps,
            optimizer_params={"lr": 1.0},
            model_params={"num_channels_init": 8, "depth": 1},
        ),
        on_progress=events.append,
    )
    careamist.train(train_source=clean + noise[0], train_target=target)
    (warning,) = (event for event in events if isinstance(event, WarningIssued))
    assert warning.about == "loss"
    assert "smaller learning rate" in warning.message
    share = careamist.model.built_in_share
    assert (share is not None) == (method == "n2v")
    if share:
        assert f"the built-in denoiser makes up {share.percent}" in warning.message


def test_an_error_in_the_callback_surfaces(tiny_config, noisy):
    def fail(event):
        raise RuntimeError("the listener broke")

    with pytest.raises(RuntimeError, match="the listener broke"):
        CAREamist(tiny_config(), on_progress=fail).train(train_source=noisy)


def test_what_to_train_on(tiny_config, noisy):
    for arguments in ({}, {"train_source": noisy, "datamodule": object()}):
        with pytest.raises(
            ConfigurationError, match="either a datamodule or a train_source"
        ):
            CAREamist(tiny_config()).train(**arguments)


def test_an_optimizer_that_does_not_accept_a_value(tiny_config, noisy):
    config = tiny_config(optimizer_params={"betas": (2, 3)})
    with pytest.raises(ConfigurationError, match="Adam does not accept"):
        CAREamist(config).train(train_source=noisy)


@pytest.mark.parametrize(
    "schedule", [("ReduceLROnPlateau", {"patience": 0}), ("StepLR", {"step_size": 1})]
)
def test_schedules_lower_the_learning_rate(tiny_config, noisy, schedule):
    events = []
    name, parameters = schedule
    # The loss cannot improve on this rate, so that the plateau is found at once.
    config = tiny_config(
        lr_scheduler=name,
        lr_scheduler_params=parameters,
        num_epochs=8,
        optimizer_params={"lr": 1e-6},
        model_params={"num_channels_init": 8, "use_batch_norm": False},
    )
    CAREamist(config, on_progress=events.append).train(train_source=noisy)
    rates = [e.learning_rate for e in events if isinstance(e, StepsDone)]
    assert rates[0] == pytest.approx(1e-6)
    assert rates[-1] < rates[0]


@pytest.mark.parametrize("axes", ["ZYX", "CYX", "TZCYX"])
def test_volumes_and_channels(tiny_config, axes):
    size = {"T": 2, "Z": 8, "C": 2, "Y": 16, "X": 20}
    image = np.random.default_rng(0).normal(10, 2, [size[a] for a in axes])
    config = tiny_config(
        axes=axes,
        patch_size=[8, 16, 16] if "Z" in axes else [16, 16],
        n_channels=2 if "C" in axes else None,
    )
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    assert careamist.predict(image).shape == image.shape


# ---- denoising ----


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A briefly trained model of the default width, as a file."""
    from napari_hush.config import create_n2v_configuration

    rng = np.random.default_rng(0)
    image = rng.normal(1000, 50, (64, 64)).astype("float32")
    config = create_n2v_configuration(
        experiment_name="m",
        data_type="array",
        axes="YX",
        patch_size=[32, 32],
        batch_size=2,
        num_epochs=2,
        model_params={"num_channels_init": 16},
    )
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    return careamist.save(tmp_path_factory.mktemp("model") / "m.safetensors")


def test_save_load_predict_gives_the_same_bits(trained, noisy, tmp_path):
    path = trained.save(tmp_path / "m.safetensors")
    assert np.array_equal(CAREamist(path).predict(noisy), trained.predict(noisy))


def test_constant_in_constant_out(model):
    careamist = CAREamist(model)
    for shape in [(1, 1), (7, 80), (129, 70)]:
        clean = careamist.predict(np.full(shape, 1000, "uint16"))
        assert np.ptp(clean) < 1e-3


def test_tiles_do_not_show(model):
    """Sizes 1 to 70, against the same image denoised in one piece; float32."""
    careamist = CAREamist(model)
    scale = careamist.model.normalization.stds[0]
    rng = np.random.default_rng(1)
    for size in range(1, 71):
        image = rng.normal(1000, 50, (size, 71 - size)).astype("float32")
        whole = careamist.predict(image)
        tiled = careamist.predict(image, tile_size=[16, 24], batch_size=3)
        assert whole.shape == image.shape
        assert np.abs(whole - tiled).max() / scale < 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float64", "bool"])
def test_any_type_of_pixel(model, dtype):
    image = np.ones((20, 30), dtype)
    clean = CAREamist(model).predict(image)
    assert clean.dtype == np.float32
    assert np.isfinite(clean).all()


@pytest.mark.parametrize("axes", ["SYX", "YXT", "XSY", "SYTX", "YX"])
def test_axes_come_back_as_they_were(model, axes):
    size = {"S": 2, "T": 3, "Y": 12, "X": 20}
    rng = np.random.default_rng(0)
    image = rng.normal(1000, 50, [size[a] for a in axes]).astype("float32")
    careamist = CAREamist(model)
    clean = careamist.predict(image, axes=axes)
    assert clean.shape == image.shape
    canonical = [axes.index(a) for a in "STYX" if a in axes]
    frames = image.transpose(canonical).reshape(-1, 12, 20)
    expected = np.stack([careamist.predict(frame, axes="YX") for frame in frames])
    np.testing.assert_allclose(
        clean.transpose(canonical).reshape(-1, 12, 20), expected, rtol=1e-6
    )


def test_a_result_fills_up_in_place(model):
    events = []
    careamist = CAREamist(model, on_progress=events.append)
    image = np.random.default_rng(0).normal(1000, 50, (3, 70, 2, 40)).astype("float32")
    out = np.zeros_like(image)
    assert careamist.predict(image, axes="SYTX", tile_size=[32, 32], out=out) is out
    np.testing.assert_allclose(out, careamist.predict(image, axes="SYTX"), rtol=1e-6)
    started = events[0]
    assert isinstance(started, ImageStarted)
    assert started.num_tiles == 6 * 3 * 2
    tiles = [e for e in events if isinstance(e, TilesDone)][: started.num_tiles]
    assert [e.done for e in tiles] == list(range(1, started.num_tiles + 1))


def test_a_cancelled_result_keeps_its_tiles(model):
    careamist = CAREamist(model)
    image = np.random.default_rng(0).normal(1000, 50, (64, 64)).astype("float32")
    done = []
    careamist.on_progress = done.append
    out = np.full_like(image, -1)
    careamist.predict(image, tile_size=[32, 32], out=out, should_stop=lambda: len(done) > 2)
    whole = CAREamist(model).predict(image)
    np.testing.assert_allclose(out[:32], whole[:32], rtol=1e-5)
    assert (out[32:] == -1).all()


def test_cancelled_in_the_first_of_two_images_there_is_no_second_result(model):
    careamist = CAREamist(model)
    images = [np.full((64, 64), grey, "float32") for grey in (900, 1100)]
    done = []
    careamist.on_progress = done.append
    results = careamist.predict(
        images, tile_size=[32, 32], should_stop=lambda: len(done) > 2
    )
    assert len(results) == 1


@pytest.mark.parametrize("versions", [2, 4, 8])
def test_averaging_over_versions(model, versions):
    """Flips and rotations of the image flip and rotate the result."""
    careamist = CAREamist(model)
    image = np.random.default_rng(0).normal(1000, 50, (24, 40)).astype("float32")
    clean = careamist.predict(image, tta=versions)
    same = {2: [np.fliplr], 4: [np.fliplr, np.flipud], 8: [np.fliplr, np.transpose]}
    for turn in same[versions]:
        turned = careamist.predict(turn(image).copy(), tta=versions)
        # Sizes are padded at one end, so the flipped image has other padding.
        inner = slice(8, -8)
        np.testing.assert_allclose(turned[inner], turn(clean)[inner], rtol=1e-4)
    assert not np.allclose(clean, careamist.predict(image), rtol=1e-5)
    if versions == 8:
        np.testing.assert_array_equal(clean, careamist.predict(image, tta=True))


def test_files_and_folders(model, tmp_path):
    rng = np.random.default_rng(0)
    images = [rng.normal(1000, 50, shape).astype("float32") for shape in [(20, 30), (8, 9)]]
    for name, image in zip("ab", images, strict=True):
        write_tiff(tmp_path / f"{name}.tif", image, "YX")
    careamist = CAREamist(model)
    results = careamist.predict(tmp_path)
    for result, image in zip(results, images, strict=True):
        np.testing.assert_array_equal(result, careamist.predict(image))
    assert len(careamist.predict(tmp_path / "a.tif")) == 1


def test_several_arrays(model):
    results = CAREamist(model).predict([np.ones((8, 8)), np.ones((9, 12))])
    assert [r.shape for r in results] == [(8, 8), (9, 12)]


@pytest.mark.parametrize(
    ("source", "arguments", "says"),
    [
        (np.ones((2, 8, 8)), {}, "name 2 dimensions but the data has 3"),
        (np.ones((2, 8, 8)), {"axes": "ZYX"}, "trained in 2D but the array has the axes"),
        (np.ones((2, 8, 8)), {"axes": "CYX"}, "on 1 channel but the array has 2"),
        (np.full((8, 8), np.nan), {}, "array has NaN"),
        (np.ones((8, 8)), {"tile_size": [8]}, "need 2, one each for Y, X"),
        (np.ones((8, 8)), {"tta": 3}, "tta.*given: 3"),
        (np.ones((8, 8)), {"out": np.ones((8, 8))}, "out is float64"),
        (np.ones((8, 8)), {"out": np.ones((8, 9), "f4")}, r"of shape \(8, 9\)"),
        ([np.ones((8, 8))], {"out": np.ones((8, 8), "f4")}, "of a single array"),
    ],
)
def test_what_cannot_be_denoised(model, source, arguments, says):
    with pytest.raises((DataError, ConfigurationError), match=says):
        CAREamist(model).predict(source, **arguments)


# ---- sources ----


def test_a_configuration_file(tiny_config, tmp_path):
    path = save_configuration(tiny_config(), tmp_path)
    assert CAREamist(path).config == tiny_config()


def test_a_model_as_source(trained, noisy):
    careamist = CAREamist(source=trained.model)
    assert careamist.model is trained.model
    assert careamist.config == trained.model.config
    np.testing.assert_array_equal(careamist.predict(noisy), trained.predict(noisy))


def test_former_keywords_work_with_a_warning(tiny_config, noisy, tmp_path):
    careamist = CAREamist(tiny_config())
    with pytest.warns(DeprecationWarning, match="is now checkpoint_"):
        careamist.train(train_source=noisy, state_dir=tmp_path, state_needed=True)
    write_tiff(tmp_path / "a.tif", noisy, "YX")
    with pytest.warns(DeprecationWarning, match="judge .* is now check"):
        clean = careamist.predict(noisy, judge=False)
    with pytest.warns(DeprecationWarning, match="judge .* is now check"):
        (target,) = careamist.predict_to_disk(
            tmp_path / "a.tif", prediction_dir=tmp_path / "clean", judge=False
        )
    np.testing.assert_array_equal(read_tiff(target), clean)


def test_settings_of_files_are_checked_before_any_is_opened(trained, tmp_path):
    write_tiff(tmp_path / "a.tif", np.ones((8, 8), "float32"), "YX")
    with pytest.raises(ConfigurationError, match="tile_siz"):
        trained.predict_to_disk(tmp_path / "a.tif", tile_siz=[8, 8])


def test_nothing_to_denoise_with(tiny_config, noisy, tmp_path):
    careamist = CAREamist(tiny_config())
    with pytest.raises(TrainingError, match="train one first"):
        careamist.predict(noisy)
    with pytest.raises(TrainingError, match="train one first"):
        careamist.save(tmp_path / "m.safetensors")


def test_what_is_no_source(tmp_path):
    with pytest.raises(MissingFileError):
        CAREamist(tmp_path / "no.safetensors")
    (tmp_path / "m.ckpt").write_bytes(b"anything")
    with pytest.raises(ModelFileError, match=r"m\.ckpt"):
        CAREamist(tmp_path / "m.ckpt")
    assert issubclass(ModelFileError, HushError)


# ---- does it work? ----


def test_noise_goes_down(tiny_config):
    """White noise on a smooth picture: the error must at least halve."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    clean = 100 * np.sin(x / 9) * np.cos(y / 11)
    image = (clean + rng.normal(0, 40, clean.shape)).astype("float32")
    config = tiny_config(
        num_steps=60, batch_size=8, optimizer_params={"lr": 5e-3}, patch_size=[32, 32]
    )
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    before = np.mean((image - clean) ** 2)
    after = np.mean((careamist.predict(image) - clean) ** 2)
    assert after < before / 4


# ---- other algorithms ----


@pytest.fixture
def pair():
    """A clean picture and two noisy ones, 64 x 64."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    clean = 100 * np.sin(x / 9) * np.cos(y / 11)
    return clean, *(clean + rng.normal(0, 40, (2, 64, 64)))


def paired(create, **changes):
    values = {
        "experiment_name": "pairs",
        "data_type": "array",
        "axes": "YX",
        "patch_size": [32, 32],
        "batch_size": 4,
        "num_steps": 60,
        "num_epochs": 1,
        "optimizer_params": {"lr": 5e-3},
        "model_params": {"num_channels_init": 8},
    }
    return create(**{**values, **changes})


@pytest.mark.parametrize("create", [create_n2n_configuration, create_care_configuration])
def test_learning_from_pairs_in_the_targets_intensities(create, pair, tmp_path):
    clean, first, second = pair
    target = 7 * (second if create is create_n2n_configuration else clean) + 3000
    careamist = CAREamist(paired(create))
    careamist.train(train_source=first, train_target=target)
    found = CAREamist(careamist.save(tmp_path / "m.safetensors")).predict(first)
    assert (
        np.mean((found - 7 * clean - 3000) ** 2) < np.mean((7 * first - 7 * clean) ** 2) / 3
    )
    np.testing.assert_array_equal(found, careamist.predict(first))


def test_more_channels_out_than_in(pair):
    _, first, second = pair
    config = paired(
        create_care_configuration,
        axes="CYX",
        n_channels_in=1,
        n_channels_out=2,
        num_steps=2,
    )
    assert not config.algorithm_config.model.independent_channels
    careamist = CAREamist(config)
    careamist.train(train_source=first[None], train_target=np.stack([first, second]))
    assert careamist.predict(first[None]).shape == (2, 64, 64)


def test_targets_where_they_belong(pair, tiny_config):
    _, first, second = pair
    with pytest.raises(ConfigurationError, match="leave targets out"):
        CAREamist(tiny_config()).train(train_source=first, train_target=second)
    with pytest.raises(ConfigurationError, match="give train_target"):
        CAREamist(paired(create_care_configuration)).train(train_source=first)
    with pytest.raises(DataError, match=r"The targets have 2 channels but .* return 1"):
        CAREamist(paired(create_care_configuration, axes="CYX", n_channels_in=1)).train(
            train_source=first[None], train_target=np.stack([first, second])
        )


@pytest.mark.parametrize("axes", ["YX", "ZYX"])
@pytest.mark.parametrize(
    "method",
    [{"use_n2v2": True}, {"struct_n2v_axis": "horizontal"}],
    ids=["n2v2", "struct"],
)
def test_kin_of_n2v(tiny_config, axes, method):
    image = np.random.default_rng(0).normal(10, 2, (8, 16, 20)[-len(axes) :])
    config = tiny_config(axes=axes, patch_size=(8, 16, 16)[-len(axes) :], **method)
    careamist = CAREamist(config)
    careamist.train(train_source=image)
    assert np.isfinite(careamist.predict(image)).all()
    tiled = careamist.predict(image, tile_size=(8, 8, 8)[-len(axes) :])
    scale = careamist.model.normalization.stds[0]
    assert np.abs(tiled - careamist.predict(image)).max() / scale < 1e-5


# ---- the normalization stays that of the weights ----


def data_module(config, noisy, **statistics):
    data = TrainDataModule(config.data_config.replace(**statistics), noisy)
    data.prepare_data()
    return data


def test_a_data_module_that_scales_otherwise_is_refused(tiny_config, noisy):
    config = tiny_config(num_steps=1)
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    model = careamist.model
    with pytest.raises(ConfigurationError, match="scales the images by the means"):
        careamist.train(datamodule=data_module(config, 3 * noisy + 7))
    assert careamist.model is model
    known = model.normalization
    careamist.train(
        datamodule=data_module(
            config, 3 * noisy + 7, image_means=known.means, image_stds=known.stds
        )
    )
    assert careamist.model.normalization == known
    assert careamist.model.epochs == 2


def test_the_same_data_module_trains_on(tiny_config, noisy):
    config = tiny_config(num_steps=1)
    careamist = CAREamist(config)
    data = data_module(config, noisy)
    careamist.train(datamodule=data)
    known = careamist.model.normalization
    careamist.train(datamodule=data)
    assert (careamist.model.normalization, careamist.model.epochs) == (known, 2)


def test_targets_that_are_scaled_otherwise_are_refused(tiny_config, noisy):
    config = create_n2n_configuration(
        "pairs",
        "array",
        "YX",
        [16, 16],
        4,
        1,
        model_params={"num_channels_init": 8},
        num_steps=1,
    )
    careamist = CAREamist(config)
    careamist.train(train_source=noisy, train_target=3 * noisy)
    model = careamist.model
    known = model.normalization
    data = config.data_config.replace(image_means=known.means, image_stds=known.stds)
    with pytest.raises(ConfigurationError, match="scales the targets by the means"):
        careamist.train(
            datamodule=TrainDataModule(data, noisy, train_data_target=2 * noisy)
        )
    assert careamist.model is model


# ---- files to files ----


@pytest.fixture
def folder(tmp_path):
    """Two images, one of them in an inner folder, with dots in its name."""
    rng = np.random.default_rng(0)
    images = {}
    for name in ("a.tif", "inner/b.v1.tif"):
        path = tmp_path / "noisy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        images[name] = rng.normal(1000, 50, (20, 30)).astype("float32")
        write_tiff(path, images[name], "YX")
    return tmp_path / "noisy", images


def test_files_are_denoised_into_files(model, folder, tmp_path):
    source, images = folder
    careamist = CAREamist(model, work_dir=tmp_path)
    targets = careamist.predict_to_disk(source)
    root = tmp_path / "predictions"
    assert targets == [root / "a.tif", root / "inner" / "b.v1.tif"]
    for target, image in zip(targets, images.values(), strict=True):
        np.testing.assert_array_equal(read_tiff(target), careamist.predict(image))
    with pytest.raises(ExistingFileError, match=r"a\.tif' already exists"):
        careamist.predict_to_disk(source)
    assert careamist.predict_to_disk(source, overwrite=True) == targets


def test_results_keep_the_pixel_sizes_of_their_source(model, tmp_path):
    image = np.random.default_rng(0).normal(1000, 50, (20, 30)).astype("float32")
    sizes = {
        "scale": {"Y": 0.25, "X": 0.5},
        "units": {"Y": "micrometer", "X": "micrometer"},
    }
    write_tiff(tmp_path / "a.tif", image, "YX", **sizes)
    CAREamist(model).predict_to_disk(
        tmp_path / "a.tif", prediction_dir=tmp_path / "clean.tif"
    )
    known = read_metadata(tmp_path / "clean.tif")
    assert {a: known.scale[a] for a in "YX"} == pytest.approx(sizes["scale"])
    assert known.units["X"] == "micrometer"


def test_a_result_never_replaces_another_source(model, folder):
    source, images = folder
    write_tiff(source / "inner" / "a.tif", images["a.tif"], "YX")
    before = (source / "inner" / "a.tif").read_bytes()
    files = [source / "a.tif", source / "inner" / "a.tif"]
    with pytest.raises(ConfigurationError, match=r"would replace '.*inner.a\.tif'"):
        CAREamist(model).predict_to_disk(
            files, prediction_dir=source / "inner", overwrite=True
        )
    assert (source / "inner" / "a.tif").read_bytes() == before


def test_a_stopped_job_writes_no_result_that_is_not_whole(model, folder, tmp_path):
    written = []

    def heed(event):
        if isinstance(event, FileWritten):
            written.append(event.path)

    careamist = CAREamist(model, work_dir=tmp_path, on_progress=heed)
    targets = careamist.predict_to_disk(folder[0], should_stop=lambda: bool(written))
    assert targets == written == [tmp_path / "predictions" / "a.tif"]
    assert not (tmp_path / "predictions" / "inner").exists()


def test_results_in_a_format_of_ones_own(model, folder, tmp_path):
    def write(path, array, *, scale):
        np.save(path, array * scale)

    careamist = CAREamist(model, work_dir=tmp_path)
    settings = {"write_func": write, "write_func_kwargs": {"scale": 2.0}}
    (target, _) = careamist.predict_to_disk(
        folder[0], write_type="custom", write_extension="npy", **settings
    )
    clean = careamist.predict(folder[1]["a.tif"])
    np.testing.assert_allclose(np.load(target), 2 * clean)


def test_what_cannot_go_to_files(model, folder, tmp_path):
    source, images = folder
    careamist = CAREamist(model, work_dir=tmp_path)
    for arguments, says in [
        ({"source": images["a.tif"]}, "Arrays have no names"),
        ({"source": source, "write_type": "custom"}, "write_func or write_extension"),
        ({"source": source, "write_type": "png"}, "can be 'tiff', 'zarr' or 'custom'"),
        (
            {"source": [source / "a.tif", source.parent / "noisy" / "a.tif"]},
            "would both be written",
        ),
    ]:
        with pytest.raises(ValueError, match=says):
            careamist.predict_to_disk(**arguments)
    assert not (tmp_path / "predictions").exists()


@pytest.mark.parametrize("method", ["predict", "predict_to_disk"])
def test_help_lists_every_predict_setting(method):
    shown = inspect.signature(getattr(CAREamist, method)).parameters
    assert {"tile_size", "tile_overlap", "tta", "dtype", "axes"} <= shown.keys()
    assert "settings" not in shown
