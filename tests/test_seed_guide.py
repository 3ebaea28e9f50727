"""The two code blocks of the guide this package follows, but for the import root."""

import numpy as np
import pytest

SIMPLEST = """
import numpy as np
from napari_hush.config import create_n2v_configuration
from napari_hush.lightning import TrainDataModule

train_array = np.random.rand(128, 128)

config = create_n2v_configuration(
    experiment_name="n2v_2D",
    data_type="array",
    axes="YX",
    patch_size=[64, 64],
    batch_size=1,
    num_epochs=1,
)

data_module = TrainDataModule(
    data_config=config.data_config, train_data=train_array
)
"""

CUSTOM_TYPE = """
from pathlib import Path
from typing import Any

import numpy as np
from napari_hush.config import create_n2v_configuration
from napari_hush.lightning import TrainDataModule


def read_npy(
    path: Path,
    *args: Any,
    **kwargs: Any,
) -> np.ndarray:
    return np.load(path)


# example data
train_array = np.random.rand(128, 128)
np.save("train_array.npy", train_array)

# configuration
config = create_n2v_configuration(
    experiment_name="n2v_2D",
    data_type="custom",
    axes="YX",
    patch_size=[32, 32],
    batch_size=1,
    num_epochs=1,
)

data_module = TrainDataModule(
    data_config=config.data_config,
    train_data="train_array.npy",
    read_source_func=read_npy,
    extension_filter="*.npy",
)
data_module.prepare_data()
data_module.setup()

# check dataset output
dataloader = data_module.train_dataloader()
print(dataloader.dataset[0][0].shape)
"""

CUSTOM_TRAINING = """
from pathlib import Path
from typing import Any

import numpy as np
from napari_hush import CAREamist
from napari_hush.config import create_n2v_configuration
from napari_hush.lightning import TrainDataModule


def read_npy(
    path: Path,
    *args: Any,
    **kwargs: Any,
) -> np.ndarray:
    return np.load(path)


# example data
train_array = np.random.rand(128, 128)
np.save("train_array.npy", train_array)

# configuration
config = create_n2v_configuration(
    experiment_name="n2v_2D",
    data_type="custom",
    axes="YX",
    patch_size=[32, 32],
    batch_size=1,
    num_epochs=1,
)

# Data module for custom types
data_module = TrainDataModule(
    data_config=config.data_config,
    train_data="train_array.npy",
    read_source_func=read_npy,
    extension_filter="*.npy",
)

# CAREamist
careamist = CAREamist(source=config)

# Train
careamist.train(datamodule=data_module)
"""


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_simplest_way_to_instantiate():
    names = {}
    exec(SIMPLEST, names)  # noqa: S102
    assert names["data_module"].train_data is names["train_array"]


def test_custom_data_types(capsys):
    exec(CUSTOM_TYPE, {})  # noqa: S102
    assert "(1, 32, 32)" in capsys.readouterr().out.replace("[", "(").replace("]", ")")


def test_custom_types_for_training():
    names = {}
    exec(CUSTOM_TRAINING, names)  # noqa: S102
    careamist = names["careamist"]
    assert careamist.is_trained
    losses = careamist.get_losses()["train_step_loss"]
    assert len(losses) == 16 - 5  # patches less val_minimum_split
    assert np.isfinite(losses).all()
