"""The current model, and those before it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from napari_hush.widgets.model.current_model import MAX_EARLIER, CurrentModel


class Engine:
    """Has a model, as the engine does, and does nothing."""

    def __init__(self, steps: int) -> None:
        self.model = SimpleNamespace(steps=steps)
        self.snapshots = (SimpleNamespace(steps=1, model=SimpleNamespace(steps=1)),)

    def go_back(self, snapshot) -> None:
        self.model = snapshot.model


@pytest.fixture
def hand() -> CurrentModel:
    return CurrentModel()


def test_there_is_no_model_at_first(hand):
    assert hand.model is None
    assert hand.name == ""
    assert hand.earlier == []
    assert hand.snapshots == ()


def test_the_model_before_can_be_restored(hand):
    first, second = Engine(10), Engine(20)
    before, after = first.model, second.model
    hand.take(first, "one", kept=False)
    hand.noteSaved(Path("folder/saved.safetensors"))
    hand.take(second, "two", kept=False)
    assert hand.model is after
    (earlier,) = hand.earlier
    assert "10 steps" in hand.goBackTo(earlier)
    assert (hand.model, hand.name, hand.kept) == (before, "saved", True)
    (undone,) = hand.earlier  # and forth again
    hand.goBackTo(undone)
    assert (hand.model, hand.name, hand.kept) == (after, "two", False)


def test_the_model_before_training_on_can_be_restored(hand):
    engine = Engine(10)
    before = engine.model
    hand.take(engine, "cells", kept=True)
    engine.model = SimpleNamespace(steps=20)  # what training on does
    hand.take(engine, "cells", kept=False)
    hand.goBackTo(hand.earlier[0])
    assert engine.model is before
    assert hand.kept


def test_a_restored_snapshot_is_not_saved(hand):
    hand.take(Engine(10), "cells", kept=True)
    assert "after 1 step." in hand.goBackTo(hand.snapshots[0])
    assert hand.model.steps == 1
    assert not hand.kept
    assert hand.earlier[0].model.steps == 10


def test_only_the_last_models_are_kept(hand):
    for steps in range(10):
        hand.take(Engine(steps), "cells", kept=False)
    assert [one.model.steps for one in hand.earlier] == [8, 7, 6][:MAX_EARLIER]
