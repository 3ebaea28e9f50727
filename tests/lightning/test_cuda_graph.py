"""Recorded steps compute what single calls do; only NVIDIA GPUs record."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.lightning import gradients as steps
from napari_hush.lightning.cuda_graph import StepGraph

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs an NVIDIA GPU and a torch built for it"
)


def test_nothing_is_captured_on_a_processor():
    graph = StepGraph(torch.device("cpu"), [])

    def learn(batch, generator):
        raise AssertionError("called")

    for _ in range(9):
        batch = (torch.ones(2, 1, 8, 8),)
        assert graph.gradients(batch, 0, learn) is None
    assert not graph.is_captured


class Stand:
    """In the place of torch.cuda.CUDAGraph: replays by computing again."""

    def register_generator_state(self, generator):
        pass

    def replay(self):
        self.again()


@contextmanager
def recording(graph, capture_error_mode):
    yield


def test_gradients_reach_the_weights_whoever_took_them_away(tiny_config, monkeypatch):
    """Lightning takes them before it validates, after each of these epochs."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Stand)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    replays = []

    class OnProcessor(StepGraph):
        def __init__(self, device, weights):
            super().__init__(device, weights)
            self._possible = True

        def _capture(self, batch, step):
            done = super()._capture(batch, step)

            def again():
                self._remove_gradients()
                self._loss.copy_(step(self._batch, self._generator))
                for mine, weight in zip(self._gradients, self._weights, strict=True):
                    mine.copy_(weight.grad)
                self._remove_gradients()
                replays.append(1)

            self._graph.again = again
            return done

    noisy = np.random.default_rng(0).poisson(20, (96, 96)).astype("float32")
    config = tiny_config(num_epochs=3, num_steps=6)
    size = config.algorithm_config.model.replace(use_batch_norm=False)
    algorithm = config.algorithm_config.replace(model=size)
    config = config.replace(algorithm_config=algorithm)
    plain = CAREamist(config)
    plain.train(train_source=noisy)
    monkeypatch.setattr(steps, "StepGraph", OnProcessor)
    replayed = CAREamist(config)
    replayed.train(train_source=noisy)

    assert len(replays) > 12
    assert replayed.get_losses() == plain.get_losses()
    assert replayed.get_losses()["val_loss"]


def losses(config, noisy, monkeypatch, *, recorded, **more):
    graphs = []

    class Watched(StepGraph):
        def __init__(self, device, weights):
            super().__init__(device if recorded else torch.device("cpu"), weights)
            graphs.append(self)

        def give_up(self):
            raise AssertionError("given up")

    monkeypatch.setattr(steps, "StepGraph", Watched)
    careamist = CAREamist(config)
    kept = []
    original = Watched.gradients

    def gradients(self, *args):
        loss = original(self, *args)
        kept.append(self.is_captured)
        return loss

    monkeypatch.setattr(Watched, "gradients", gradients)
    careamist.train(train_source=noisy, **more)
    assert any(kept) is recorded
    return careamist.get_losses()["train_step_loss"], careamist.model


@needs_gpu
@pytest.mark.parametrize("method", ["n2v", "n2v2", "struct", "n2v-3d", "care"])
def test_same_losses_as_step_by_step(method, monkeypatch):
    rng = np.random.default_rng(0)
    noisy = rng.poisson(20, (9, 72, 72) if method == "n2v-3d" else (130, 130))
    noisy = noisy.astype("float32")
    size = {"num_channels_init": 8, "depth": 1, "use_batch_norm": False}
    axes, patch = ("ZYX", [8, 32, 32]) if method == "n2v-3d" else ("YX", [32, 32])
    given = ("recorded", "array", axes, patch, 4, 2, 11)
    more = {}
    if method == "care":
        config = create_care_configuration(
            *given[:-1], num_steps=given[-1], model_params=size
        )
        more = {"train_target": noisy * 2 + 1}
    else:
        config = create_n2v_configuration(
            *given,
            model_params=size,
            use_n2v2=method == "n2v2",
            struct_n2v_axis="horizontal" if method == "struct" else "none",
        )
    training = config.training_config.replace(precision="32", gradient_clip_norm=1.0)
    config = config.replace(training_config=training)

    one, model = losses(config, noisy, monkeypatch, recorded=False, **more)
    two, again = losses(config, noisy, monkeypatch, recorded=True, **more)

    assert len(one) == len(two) == 22
    assert np.allclose(one, two, rtol=2e-3)
    # Adam turns the least of gradients into whole steps, so weights may part by some.
    learning_rate = config.algorithm_config.optimizer.learning_rate
    for a, b in zip(model.network.parameters(), again.network.parameters(), strict=True):
        assert torch.allclose(a, b, atol=8 * learning_rate)
    assert all(p.grad is None for p in again.network.parameters())


@needs_gpu
def test_batches_of_another_size_are_done_step_by_step(monkeypatch):
    noisy = np.random.default_rng(0).normal(size=(96, 96)).astype("float32")
    size = {"num_channels_init": 8, "depth": 1}
    config = create_n2v_configuration(
        "odd", "array", "YX", [16, 16], 5, 3, None, model_params=size
    )
    found, _ = losses(config, noisy, monkeypatch, recorded=True)
    assert np.isfinite(found).all()


@needs_gpu
def test_a_tiled_image_is_the_whole_one():
    noisy = np.random.default_rng(0).normal(40, 9, (300, 260)).astype("float32")
    size = {"num_channels_init": 8, "depth": 2}
    config = create_n2v_configuration(
        "tiles", "array", "YX", [32, 32], 4, 1, 9, model_params=size
    )
    config = config.replace(training_config=config.training_config.replace(precision="32"))
    careamist = CAREamist(config)
    careamist.train(train_source=noisy)
    whole = careamist.predict(noisy, tile_size=[512, 512])
    for tile in ([64, 64], [32, 128]):
        found = careamist.predict(noisy, tile_size=tile)
        assert np.abs(found - whole).max() < 1e-3 * np.ptp(whole)
    careamist_cpu = CAREamist(
        config.replace(training_config=config.training_config.replace(device="cpu"))
    )
    careamist_cpu.model = careamist.model
    assert np.abs(careamist_cpu.predict(noisy) - whole).max() < 0.02 * np.ptp(whole)
