"""Training and prediction with the frames before and after each frame."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import (
    UNetConfig,
    create_n2n_configuration,
    create_n2v_configuration,
    load_configuration,
    save_configuration,
)
from napari_hush.dataset.patch_dataset import RandomStream
from napari_hush.errors import ConfigurationError, DataError, ModelFileError
from napari_hush.events import StepsDone
from napari_hush.io import read_image, write_tiff
from napari_hush.io.frames import middle_frame
from napari_hush.lightning import HushModule, TrainDataModule
from napari_hush.lightning.gradients import Gradients, MicroBatches, algorithm
from napari_hush.models import UNet


@pytest.fixture(scope="module")
def movie():
    rng = np.random.default_rng(0)
    return rng.normal(100, 10, (6, 40, 36)).astype(np.float32)


def configured(axes="TYX", time_context=1, **changes):
    patch = [4, 16, 16] if "Z" in axes else [16, 16]
    model = {"num_channels_init": 8, **({"depth": 1} if "Z" in axes else {})}
    values = {"num_epochs": 1, "num_steps": 2, "model_params": model, **changes}
    return create_n2v_configuration(
        "movie", "array", axes, patch, 4, time_context=time_context, **values
    )


def trained(config, movie, **more):
    careamist = CAREamist(config, enable_progress_bar=False)
    careamist.train(train_source=movie, **more)
    return careamist


@pytest.mark.parametrize("n2v2", [False, True])
def test_only_the_frame_itself_is_masked(n2v2):
    config = configured(use_n2v2=n2v2).algorithm_config
    gradients = Gradients(UNet(config.model), algorithm(config), 0, MicroBatches(print))
    batch = torch.rand(2, 3, 16, 16)
    given = batch.clone()
    seen, answer, _ = gradients.prepare((batch,), RandomStream.TRAINING_MASKS, 0)
    assert torch.equal(batch, given)
    changed = (seen != batch).flatten(2)
    assert not changed[:, [0, 2]].any()
    assert changed[:, 1].any()
    assert torch.equal(answer.values, batch[:, 1].flatten(1).gather(1, answer.pixels))
    assert not changed[:, 1].scatter(1, answer.pixels, False).any()
    loss = gradients.algorithm.loss(middle_frame(batch, 1), answer)
    assert float(loss) == 0


def test_draws_are_those_without_other_frames():
    masked = []
    for n in (0, 1):
        config = configured(time_context=n).algorithm_config
        gradients = Gradients(UNet(config.model), algorithm(config), 0, MicroBatches(print))
        batch = torch.arange(2.0 * 256).reshape(2, 1, 16, 16).repeat(1, 2 * n + 1, 1, 1)
        seen, _, _ = gradients.prepare((batch,), RandomStream.TRAINING_MASKS, 3)
        masked.append(middle_frame(seen, n))
    assert torch.equal(*masked)


@pytest.mark.parametrize(
    ("axes", "shape", "channels"),
    [
        ("TYX", (6, 40, 36), None),
        ("STYX", (2, 3, 20, 24), None),
        ("TCYX", (4, 2, 20, 24), 2),
        ("TZYX", (3, 6, 20, 24), None),
    ],
)
def test_results_have_frames_and_channels_of_the_movie(axes, shape, channels):
    movie = np.random.default_rng(1).normal(100, 10, shape).astype(np.float32)
    careamist = trained(configured(axes, n_channels=channels), movie)
    result = careamist.predict(movie)
    assert result.shape == shape
    assert np.isfinite(result).all()
    assert len(careamist.trained.normalization.means) == (channels or 1)


def test_a_frame_depends_on_its_neighbors_alone(movie):
    careamist = trained(configured(), movie)
    before = careamist.predict(movie)
    other = movie.copy()
    other[3] += 20
    changed = (before != careamist.predict(other)).any(axis=(1, 2)).tolist()
    assert changed == [False, False, True, True, True, False]


def test_channels_together_see_all_frames_of_all_channels():
    movie = np.random.default_rng(1).normal(100, 10, (3, 2, 20, 24)).astype(np.float32)
    config = configured("TCYX", n_channels=2, independent_channels=False)
    careamist = trained(config, movie)
    before = careamist.predict(movie)
    movie[0, 1] += 20
    changed = before != careamist.predict(movie)
    assert changed[1, 0].any()


def test_tiles_lazy_results_and_files_are_the_same(movie, tmp_path):
    pytest.importorskip("dask")
    careamist = trained(configured(time_context=2), movie)
    whole = careamist.predict(movie)
    small = careamist.predict(movie, tile_size=(16, 16))
    np.testing.assert_allclose(small, whole, atol=1e-3)
    lazy = careamist.predict(movie, tile_size=(16, 16), lazy=True)
    np.testing.assert_array_equal(np.asarray(lazy), small)
    write_tiff(tmp_path / "movie.tif", movie, "TYX")
    (written,) = careamist.predict_to_disk(
        tmp_path / "movie.tif", prediction_dir=tmp_path / "out", tile_size=(16, 16)
    )
    np.testing.assert_array_equal(read_image(written)[0], small)


def test_files_stay_on_disk(movie, tmp_path):
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", movie, "TYX")
    config = configured()
    config = config.replace(data_config=config.data_config.replace(data_type="tiff"))
    on_disk = {"use_in_memory": False, "val_minimum_split": 1, "time_context": 1}
    module = TrainDataModule(config.data_config, tmp_path, **on_disk)
    careamist = trained(config, None, datamodule=module)
    assert not module.storage.in_memory
    (batch,) = next(iter(module.train_dataloader()))
    assert batch.shape == (4, 3, 16, 16)
    assert float(batch.mean()) == pytest.approx(0, abs=0.2)
    assert len(module.get_data_statistics()[0]) == 1
    assert careamist.predict(tmp_path)[0].shape == movie.shape


def test_statistics_are_those_of_the_frames(movie):
    whole = {"val_percentage": 0.0, "val_minimum_split": 0}
    found = []
    for n in (0, 2):
        module = TrainDataModule(configured().data_config, movie, **whole, time_context=n)
        module.setup()
        found.append(module.get_data_statistics())
    assert found[0] == found[1]


def test_masked_pixels_are_no_targets(movie):
    masked = np.ma.masked_array(movie, np.zeros(movie.shape, bool))
    masked[:, 10:30, 10:30] = np.ma.masked
    careamist = trained(configured(), masked)
    assert np.isfinite(careamist.predict(movie)).all()


def test_pairs(movie):
    config = create_n2n_configuration(
        "pairs",
        "array",
        "TYX",
        [16, 16],
        4,
        num_epochs=1,
        num_steps=2,
        model_params={"num_channels_init": 8},
        time_context=1,
    )
    careamist = trained(config, movie, train_target=movie[::-1].copy())
    assert careamist.predict(movie).shape == movie.shape


@pytest.mark.filterwarnings(
    "ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"
)
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated")
def test_a_trainer_of_the_user(movie):
    import pytorch_lightning as L

    config = configured()
    module = HushModule(config)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = L.Trainer(max_steps=2, accelerator="cpu", **quiet, enable_model_summary=False)
    trainer.fit(
        module, datamodule=TrainDataModule(config.data_config, movie, time_context=1)
    )
    assert module.steps == 2
    forgotten = TrainDataModule(config.data_config, movie)
    with pytest.raises(ConfigurationError, match="time_context 0 but the network 1"):
        trainer.fit(HushModule(config), datamodule=forgotten)


class Cut(Exception):
    """Stands for whatever ends a run without asking."""


def test_a_run_that_was_cut_off_is_resumed(movie, tmp_path):
    config = configured(num_epochs=2, num_steps=3)
    training = config.training_config.replace(checkpoint_every=0)
    config = config.replace(training_config=training)
    whole = trained(config, movie)

    def fail(event):
        if isinstance(event, StepsDone) and event.first_step + len(event.losses) >= 4:
            raise Cut

    with pytest.raises(Cut):
        CAREamist(config, on_progress=fail).train(
            train_source=movie, checkpoint_dir=tmp_path
        )
    resumed = trained(config, movie, resume=tmp_path)
    assert resumed.trained.sha256 == whole.trained.sha256


def test_files_of_models_and_settings(movie, tmp_path):
    config = configured(time_context=2)
    assert load_configuration(save_configuration(config, tmp_path / "c.yml")) == config
    careamist = trained(config, movie)
    path = careamist.save(tmp_path / "movie.safetensors")
    opened = CAREamist(path)
    assert opened.trained.network.config.time_context == 2
    np.testing.assert_array_equal(opened.predict(movie), careamist.predict(movie))
    for suffix in (".onnx", ".pt", ".zip"):
        with pytest.raises(ModelFileError, match="2 frames before and after"):
            opened.export(tmp_path / f"movie{suffix}")


def test_movies_that_do_not_suit(movie):
    careamist = trained(configured(time_context=1), movie)
    with pytest.raises(DataError, match="needs 3 frames along T"):
        careamist.predict(movie[:2])
    with pytest.raises(DataError, match="no T axis"):
        careamist.predict(movie[0], axes="YX")
    with pytest.raises(DataError, match="needs 3 frames along T"):
        trained(configured(), movie[:2])
    with pytest.raises(ConfigurationError, match="have no T; name the axis of the frames"):
        configured("SYX")
    with pytest.raises(ConfigurationError, match="see one frame only"):
        UNetConfig.build({"time_context": 1, "variant": "careamics"})
