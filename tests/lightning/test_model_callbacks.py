"""Models of earlier moments, and the way back to them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_hush import CAREamist
from napari_hush.errors import TrainingError
from napari_hush.events import SnapshotTaken, TrainingStarted
from napari_hush.lightning import Snapshot, thinned


@pytest.fixture
def ready(tiny_config, noisy):
    """Train `epochs` times five steps and keep `count` snapshots."""

    def build(epochs, count, **training):
        config = tiny_config(num_epochs=epochs, num_steps=5)
        config = config.replace(
            training_config=config.training_config.replace(snapshots=count, **training)
        )
        events = []
        careamist = CAREamist(config, on_progress=events.append)
        careamist.train(train_source=noisy)
        return careamist, events

    return build


def steps(careamist):
    return [snapshot.steps for snapshot in careamist.snapshots]


def state(model):
    return torch.cat([t.double().ravel() for t in model.network.state_dict().values()])


def test_snapshots_are_spread_evenly_and_the_last_is_the_model(ready):
    careamist, events = ready(epochs=4, count=5)
    assert steps(careamist) == [4, 8, 12, 16, 20]
    assert [s.epoch for s in careamist.snapshots] == [0, 1, 2, 3, 4]
    taken = [e for e in events if isinstance(e, SnapshotTaken)]
    assert [e.step for e in taken] == steps(careamist)
    assert [e.loss for e in taken] == [s.loss for s in careamist.snapshots]
    assert torch.equal(state(careamist.snapshots[-1].model), state(careamist.model))
    assert careamist.snapshots[-1].model.epochs == careamist.model.epochs == 4
    losses = careamist.get_losses()["train_step_loss"]
    for number, snapshot in enumerate(careamist.snapshots):
        mine = losses[4 * number : 4 * number + 4]
        assert snapshot.loss == pytest.approx(np.mean(mine), rel=1e-5)


def test_none(ready):
    assert ready(epochs=2, count=0)[0].snapshots == ()


def test_averaged_weights_are_what_snapshots_hold(ready):
    careamist, _ = ready(epochs=1, count=1, ema_decay=0.9)
    assert torch.equal(state(careamist.snapshots[-1].model), state(careamist.model))


def test_going_back_and_on_from_there(ready, noisy):
    careamist, events = ready(epochs=2, count=2)
    final = careamist.model
    early = careamist.snapshots[0]
    careamist.go_back(early)
    assert careamist.model is early.model
    assert careamist.model.steps == 5
    before = state(early.model).clone()
    first = careamist.predict(noisy)
    careamist.go_back(careamist.snapshots[1])  # and forward again
    assert torch.equal(state(careamist.model), state(final))
    assert not np.array_equal(careamist.predict(noisy), first)
    careamist.go_back(early)
    events.clear()
    careamist.train(train_source=noisy)
    (started,) = (e for e in events if isinstance(e, TrainingStarted))
    assert started.first_epoch == 1
    assert careamist.model.steps == 15
    assert torch.equal(state(early.model), before)
    losses = careamist.get_losses()
    assert losses["train_step"] == list(range(15))
    assert losses["train_epoch"] == [0, 1, 2]
    assert steps(careamist)[-1] == 15
    assert sorted(steps(careamist)) == steps(careamist)


def test_more_training_thins_out_what_there_is(ready, noisy):
    careamist, _ = ready(epochs=2, count=4)
    for _ in range(3):
        careamist.train(train_source=noisy)
        assert len(steps(careamist)) == 4
    assert careamist.model.steps == steps(careamist)[-1] == 40
    assert steps(careamist)[0] <= 20


def test_not_while_training_runs(ready, noisy):
    careamist, events = ready(epochs=1, count=1)
    snapshot = careamist.snapshots[0]

    def meddle(event):
        if isinstance(event, TrainingStarted):
            careamist.go_back(snapshot)

    careamist.on_progress = meddle
    with pytest.raises(TrainingError, match="being trained; stop it first"):
        careamist.train(train_source=noisy)
    careamist.on_progress = events.append
    careamist.go_back(snapshot)


@given(st.lists(st.integers(1, 10**6), unique=True, max_size=40), st.integers(1, 12))
def test_thinning_keeps_the_last_and_the_order(numbers, count):
    numbers = sorted(numbers)
    kept = [s.steps for s in thinned([Snapshot(0, n, 0.0, None) for n in numbers], count)]
    assert len(kept) == min(len(numbers), count)
    assert kept == sorted(set(kept) & set(numbers))
    assert kept[-1:] == numbers[-1:]


def test_thinning_what_comes_steadily_stays_even():
    kept = []
    for number in range(1, 1001):
        kept = thinned([*kept, Snapshot(0, number, 0.0, None)], 10)
    gaps = np.diff([0, *(s.steps for s in kept)])
    assert gaps.max() <= 300
