"""`HushModule` and the data modules in a Trainer of the user."""

import numpy as np
import pytest
import pytorch_lightning as L
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import IterableDataset

from napari_hush import CAREamist
from napari_hush.config import InferenceConfig, create_care_configuration
from napari_hush.errors import ConfigurationError
from napari_hush.lightning import HushModule, PredictDataModule, TrainDataModule

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"
    ),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*is deprecated"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
    pytest.mark.filterwarnings("ignore:You called `self.log"),
]


def trainer(folder, *callbacks, **more):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return L.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[*callbacks],
        enable_checkpointing=bool(callbacks),
        **{**quiet, **more},
    )


def weights(model):
    return torch.cat([t.double().ravel() for t in model.network.state_dict().values()])


@pytest.fixture
def config(tiny_config):
    found = tiny_config(num_epochs=4, num_steps=3)
    wanted = {"device": "cpu", "precision": "32", "ema_decay": 0.9}
    return found.replace(training_config=found.training_config.replace(**wanted))


def test_a_trainer_of_ones_own_ends_with_the_bits_of_ours(config, noisy, tmp_path):
    module = HushModule(config)
    ours = CAREamist(config)
    ours.train(train_source=noisy)
    mine = trainer(tmp_path, max_epochs=4)
    mine.fit(
        module, datamodule=TrainDataModule(config.data_config, noisy, val_minimum_split=1)
    )
    assert torch.equal(weights(module.model()), weights(ours.model))
    assert (module.epochs, module.steps) == (4, 12)
    for name in ("train_loss", "val_loss"):
        expected = ours.get_losses()[name][-1]
        assert float(mine.logged_metrics[name]) == pytest.approx(expected, rel=1e-5)


def test_a_run_goes_on_from_a_file_with_the_same_bits(config, noisy, tmp_path):
    data = [TrainDataModule(config.data_config, noisy) for _ in range(2)]
    keep = ModelCheckpoint(tmp_path, "{epoch}", every_n_epochs=1, save_top_k=-1)
    whole, resumed = HushModule(config), HushModule(config)
    trainer(tmp_path, keep, max_epochs=4).fit(whole, datamodule=data[0])
    halfway = tmp_path / "epoch=1.ckpt"
    opened = CAREamist(halfway).model
    assert (opened.epochs, opened.steps) == (2, 6)
    trainer(tmp_path, max_epochs=4).fit(resumed, datamodule=data[1], ckpt_path=halfway)
    assert torch.equal(weights(resumed.model()), weights(whole.model()))
    assert (resumed.epochs, resumed.steps) == (4, 12)


def test_tiles_of_trainer_predict_make_the_image_of_predict(config, noisy, tmp_path):
    module, data = HushModule(config), TrainDataModule(config.data_config, noisy)
    keep = ModelCheckpoint(tmp_path, "mine")
    mine = trainer(tmp_path, keep, max_epochs=1)
    mine.fit(module, datamodule=data)
    loaded = HushModule.load_from_checkpoint(tmp_path / "mine.ckpt")
    means, stds = data.get_data_statistics()
    stack = np.stack([noisy, noisy + 5])[:, None]
    tiles = PredictDataModule(
        InferenceConfig(
            data_type="array",
            axes="SCYX",
            image_means=means,
            image_stds=stds,
            tile_size=[16, 16],
        ),
        stack,
    )
    expected = CAREamist(tmp_path / "mine.ckpt").predict(stack, axes="SCYX", check=False)
    for one in (module, loaded):
        (found,) = tiles.assemble(mine.predict(one, datamodule=tiles))
        assert found.shape == stack.shape
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_pairs_are_in_the_intensities_of_the_target(noisy, tmp_path):
    config = create_care_configuration(
        "care",
        "array",
        "YX",
        [16, 16],
        4,
        num_steps=40,
        model_params={"num_channels_init": 8},
    )
    data = TrainDataModule(config.data_config, noisy, train_data_target=10 * noisy)
    module = HushModule(config)
    trainer(tmp_path, max_epochs=1).fit(module, datamodule=data)
    found = CAREamist(module.model()).predict(noisy, check=False)
    assert found.mean() == pytest.approx(10 * noisy.mean(), rel=0.05)


def test_what_does_not_fit(config, noisy, tmp_path):
    with pytest.raises(ConfigurationError, match="max_epochs or max_steps"):
        trainer(tmp_path, max_epochs=-1).fit(
            HushModule(config), datamodule=TrainDataModule(config.data_config, noisy)
        )


class Stream(IterableDataset):
    """Six patches, of the numbers 0 to 5, in this order."""

    def __iter__(self):
        return ((torch.full((1, 16, 16), float(number)),) for number in range(6))


class StreamData(TrainDataModule):
    def setup(self, stage=None):
        self.train_dataset = Stream()
        self.val_dataset = Stream()


def test_a_dataset_that_can_only_be_iterated_over(config, noisy):
    statistics = config.data_config.replace(image_means=[0], image_stds=[1])
    data = StreamData(statistics, noisy)
    careamist = CAREamist(config)
    careamist.train(datamodule=data)
    assert careamist.model.steps == 12
    assert len(careamist.get_losses()["val_loss"]) == 4
    seen = [[int(patch.mean()) for patch in batch] for (batch,) in data.train_dataloader()]
    assert seen == [[0, 1, 2, 3], [4, 5, 0, 1], [2, 3, 4, 5]]
    endless = config.replace(training_config=config.training_config.replace(num_steps=None))
    with pytest.raises(ConfigurationError, match="num_steps"):
        CAREamist(endless).train(datamodule=StreamData(statistics, noisy))
