"""Previews: the current model, handed out between two steps, leaving no trace."""

import itertools
import random

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import InferenceConfig
from napari_hush.errors import ConfigurationError, DataError
from napari_hush.events import PreviewFailed, TrainingDone
from napari_hush.io import open_images
from napari_hush.lightning import PreviewCallback, model_callbacks
from napari_hush.lightning.control import RunClock
from napari_hush.models import Model
from napari_hush.prediction import ImageProgress, denoise


def never():
    return False


def ignore(event):
    pass


def trained(config, noisy, *callbacks, on_progress=ignore):
    careamist = CAREamist(config, callbacks=callbacks, on_progress=on_progress)
    careamist.train(train_source=noisy)
    return careamist


@pytest.fixture
def averaged(tiny_config):
    config = tiny_config(num_steps=6)
    return config.replace(training_config=config.training_config.replace(ema_decay=0.9))


def always(take):
    return PreviewCallback(take, share=1.0, every_s=0.0)


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_training_comes_out_the_same_bit_by_bit(tiny_config, noisy, ema_decay):
    config = tiny_config(num_epochs=2, num_steps=4)
    config = config.replace(
        training_config=config.training_config.replace(ema_decay=ema_decay)
    )
    (image,) = open_images(noisy, "array", "YX")
    pictures = []

    def take(model):
        result = np.zeros_like(noisy)
        known = model.normalization
        inference = InferenceConfig(image_means=known.means, image_stds=known.stds)
        denoise(model, image, result, inference, ImageProgress(ignore))
        pictures.append(result)
        # whatever else somebody might do
        torch.rand(3), np.random.rand(3), random.random()
        model.network.train()
        for tensor in model.network.state_dict().values():
            tensor.zero_()

    with_previews = trained(config, noisy, always(take))
    without = trained(config, noisy)
    assert len(pictures) > 1
    assert not np.array_equal(pictures[0], pictures[-1])
    found = with_previews.model.network.state_dict()
    for name, tensor in without.model.network.state_dict().items():
        assert torch.equal(found[name], tensor), name
    assert with_previews.get_losses() == without.get_losses()


def test_global_randomness_is_put_back(tiny_config, noisy):
    def take(model):
        torch.rand(3), np.random.rand(3), random.random()

    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    trained(tiny_config(num_steps=3), noisy, always(take))
    assert (torch.rand(1), np.random.rand(), random.random()) == expected


def test_it_gets_the_weights_of_the_moment_in_evaluation_mode(averaged, noisy, monkeypatch):
    ticks = itertools.count()  # whatever the machine is busy with
    monkeypatch.setattr(RunClock, "__call__", lambda clock: next(ticks))
    models = []
    careamist = trained(averaged, noisy, always(models.append))
    assert all(isinstance(model, Model) for model in models)
    assert not any(model.network.training for model in models)
    assert [model.steps for model in models] == [*range(models[0].steps, 7)]
    last, final = (m.network.state_dict() for m in (models[-1], careamist.model))
    assert all(torch.equal(last[name], tensor) for name, tensor in final.items())
    assert models[-1].normalization == careamist.model.normalization


def test_what_goes_wrong_in_a_preview_is_told_and_ends_previews_alone(tiny_config, noisy):
    calls, events = [], []

    def take(model):
        calls.append(model)
        raise DataError("The layer is gone.")

    callback = always(take)
    careamist = trained(
        tiny_config(num_steps=5), noisy, callback, on_progress=events.append
    )
    assert len(calls) == 1
    (failed,) = (e for e in events if isinstance(e, PreviewFailed))
    assert failed.reason == "The layer is gone."
    assert failed.step == calls[0].steps
    assert isinstance(events[-1], TrainingDone)
    assert careamist.model.steps == 5
    careamist.train(train_source=noisy)  # a new run tries anew
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("share", "every_s", "cost", "calls"),
    [
        (0.05, 3.0, 0.0, [3, 6, 9]),  # as often as allowed
        (0.05, 3.0, 0.1, [3, 7, 11]),  # cheap enough; rests between two calls
        (0.05, 3.0, 1.0, [3, 23, 43]),  # 1 s within 20 s, and as much in any other 20 s
        (1.0, 0.0, 0.0, [1, 2, 3]),
    ],
)
def test_previews_keep_to_their_share_of_the_time(tiny_config, share, every_s, cost, calls):
    """One step per second, by a clock of our own."""
    now = [0.0]
    taken = []

    class Module(model_callbacks.HushModule):
        def model(self):
            return None

    def take(model):
        taken.append(round(now[0]))
        now[0] += cost

    config = tiny_config()
    network = torch.nn.Linear(1, 1)
    module = Module(config, network, 1, clock=lambda: now[0])
    callback = PreviewCallback(take, share=share, every_s=every_s)
    callback.on_train_start(None, module)
    while len(taken) < len(calls):
        now[0] = float(int(now[0]) + 1)
        callback.on_train_batch_end(None, module)
    assert taken == calls


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.5}, {"every_s": -1}])
def test_impossible_budgets(wrong):
    with pytest.raises(ConfigurationError, match="give a share above 0"):
        PreviewCallback(ignore, **wrong)
