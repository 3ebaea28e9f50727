"""Pretraining: what it draws, the bits it gives, and that it removes noise."""

import hashlib
import json
import os
import signal
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from pretraining.__main__ import RECIPES, main
from pretraining.camera import Detector
from pretraining.training import (
    Batch,
    Recipe,
    Scene,
    Scenes,
    draw,
    load_weights,
    loss_of,
    pretrain,
)
from safetensors import safe_open
from safetensors.torch import load_file

from napari_hush.config import UNetConfig
from napari_hush.errors import ConfigurationError
from napari_hush.models import UNet
from napari_hush.models.built_in import within_squares

SMALL = {"depth": 1, "num_channels_init": 8}
TINY = Recipe(
    network=SMALL,
    steps=6,
    batch_size=2,
    patch_size=(16, 16),
    scene_size=(32, 32),
    scenes=3,
    new_every=2,
    warm_up=2,
)
VOLUME = replace(
    TINY,
    network={**SMALL, "conv_dims": 3},
    patch_size=(8, 16, 16),
    scene_size=(8, 24, 24),
)
PLANES = replace(
    TINY,
    network={**SMALL, "time_context": 2},
    patch_size=(5, 16, 16),
    scene_size=(12, 24, 24),
)
KINDS = {
    "denoiser": TINY,
    "blind": replace(TINY, goal="blind"),
    "lines": replace(TINY, goal="blind", lines=True),
    "volume": VOLUME,
    "planes": PLANES,
}


def bits(folder):
    """Hash of all tensors of a state: networks and optimizer."""
    found = hashlib.sha256()
    for name, value in sorted(load_file(folder / "state.safetensors").items()):
        found.update(name.encode() + value.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.parametrize("recipe", KINDS.values(), ids=KINDS)
class TestBits:
    def test_same_bits_twice_and_after_an_interruption(self, recipe, tmp_path):
        for name in ("once", "twice"):
            pretrain(recipe, tmp_path / name)
        steps = iter([False, False, True])
        stopped = tmp_path / "stopped"
        assert pretrain(recipe, stopped, should_stop=lambda: next(steps)) is None
        with safe_open(stopped / "state.safetensors", "pt") as file:
            assert file.metadata()["step"] == "3"
        pretrain(recipe, stopped)
        assert bits(tmp_path / "once") == bits(tmp_path / "twice") == bits(stopped)

    def test_what_is_drawn_depends_on_seed_and_step_alone(self, recipe):
        scenes, later = Scenes(recipe), Scenes(recipe)
        for step in range(5):
            wanted = draw(recipe, scenes.at(step), step)
        found = draw(recipe, later.at(4), 4)
        for name, value in vars(wanted).items():
            assert torch.equal(getattr(found, name), value)
        other = replace(recipe, seed=9)
        assert not torch.equal(draw(other, later.at(4), 4).noisy, wanted.noisy)


def test_another_recipe_needs_another_folder(tmp_path):
    pretrain(replace(TINY, steps=1), tmp_path)
    with pytest.raises(ConfigurationError, match="another recipe; give another folder"):
        pretrain(TINY, tmp_path)


def test_patches_are_normalized_pairs_of_the_given_shape():
    recipe = replace(TINY, batch_size=64, scenes=32, scene_size=(48, 48))
    batch = draw(recipe, Scenes(recipe).at(0), 0)
    assert batch.noisy.shape == batch.clean.shape == (64, 1, 16, 16)
    assert batch.noisy.dtype == batch.clean.dtype == torch.float32
    assert ((batch.noise > 0) & (batch.noise <= 1)).all()
    assert batch.spread.log().std().item() == pytest.approx(0.4, rel=0.3)
    assert batch.noisy.std().item() == pytest.approx(1, rel=0.5)
    # The noise that the batch tells is the one in it.
    error = (batch.noisy - batch.clean).square().flatten(1).mean(1)
    told = batch.noise * batch.spread.square()
    assert (error.mean() / told.mean()).item() == pytest.approx(1, rel=0.3)


def test_a_perfect_answer_has_no_loss_and_noise_left_has_one():
    for goal in ("denoiser", "blind"):
        recipe = replace(TINY, goal=goal)
        batch = draw(recipe, Scenes(recipe).at(0), 0)
        assert loss_of(recipe, batch, lambda _, b=batch: b.clean, 0).item() == 0
        assert loss_of(recipe, batch, lambda _, b=batch: b.noisy, 0).item() > 1


def test_what_can_be_reached_depends_on_noise_and_detail():
    """Noise of variance n over detail of variance d in a tenth f of all frequencies.

    A Wiener filter leaves f d n / (d + f n).
    """
    parts = {"noise": 0.2, "detail": 0.5, "spread": 2.0}
    batch = Batch(*(torch.zeros(1, 1, 8, 8),) * 2, **_tensors(parts))
    wiener = 0.1 * 0.5 * 0.2 / (0.5 + 0.1 * 0.2)
    wanted = 2.0**2 * (wiener + 0.01 * (0.5 + 0.2) + 5e-4)
    assert batch.reachable(0.01).item() == pytest.approx(wanted, rel=1e-5)
    smooth = replace(batch, **_tensors({"detail": 0.0}))
    assert smooth.reachable(0).item() == pytest.approx(2.0**2 * 5e-4, rel=1e-5)


def _tensors(values):
    return {name: torch.tensor([value]) for name, value in values.items()}


def test_detail_is_what_a_mean_of_nine_pixels_takes_away():
    recipe = replace(TINY, batch_size=1)
    for image, share in ((np.ones, 0), (_checkers, 1)):  # of the variance without noise
        values = image((32, 32)).astype(np.float32)
        flat = np.full_like(values, values.mean())
        scene = Scene(values, float(values.mean()), float(values.var()), flat)
        batch = draw(recipe, [scene], 0)
        wanted = share * (1 - batch.noise.item())
        assert batch.detail.item() == pytest.approx(wanted, rel=0.03, abs=1e-6)


def test_a_denoiser_sees_what_is_finer_than_wide_gradients():
    x = np.linspace(0, 1, 256, dtype=np.float32)
    wide = np.tile(x, (256, 1))
    recipe = replace(TINY, batch_size=4, patch_size=(64, 64))
    scenes = [Scene(wide, 0.5, float(within_squares(torch.from_numpy(wide)[None])), wide)]
    assert draw(recipe, scenes, 0).clean.abs().max() == 0
    blind = replace(recipe, goal="blind")
    flat = [Scene(wide, 0.5, float(wide.var()), np.full_like(wide, 0.5))]
    assert draw(blind, flat, 0).clean.abs().max() > 0.5


def _checkers(shape):
    return np.indices(shape).sum(0) % 2


def test_weights_in_2d_denoise_a_volume_of_equal_planes_as_each_plane():
    flat, deep = (UNet(UNetConfig(conv_dims=n, **SMALL)).eval() for n in (2, 3))
    load_weights(deep, flat.state_dict())
    plane = torch.randn(1, 1, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, found = flat(plane), deep(plane[:, :, None].expand(-1, -1, 8, -1, -1))
    for z in range(8):
        torch.testing.assert_close(found[:, :, z], wanted, atol=1e-5, rtol=1e-5)


def test_planes_around_one_are_its_frames(monkeypatch):
    """Above and below at equal steps, or reflected at the border of the stack."""
    bright = Detector(photons=1e9, gain=1e-9)
    monkeypatch.setattr("pretraining.training.random_detector", lambda *_, **__: bright)
    doubled = np.broadcast_to(2.0 ** np.arange(12)[:, None, None], (12, 24, 24))
    scene = Scene(doubled.astype("f4"), 1.0, 1.0, np.zeros(doubled.shape, "f4"))
    batch = draw(replace(PLANES, batch_size=200), [scene], 0)
    assert batch.noisy.shape == (200, 5, 16, 16)
    assert batch.clean.shape == (200, 1, 16, 16)
    ratios = (batch.noisy / batch.clean).mean((2, 3)).log2().round().int()
    seen = Counter(map(tuple, ratios.tolist()))
    above = [(-2, -1, 0, 1, 2), (-4, -2, 0, 2, 4)]
    usual = [*above, *(planes[::-1] for planes in above)]
    border = [(2, 1, 0, 1, 2), (0, -1, 0, 1, 2)]
    border += [tuple(2 * plane for plane in planes) for planes in border]
    border += [planes[::-1] for planes in border]
    assert set(seen) <= {*usual, *border}
    assert all(seen[planes] > 10 for planes in usual)
    assert 5 < sum(seen[planes] for planes in set(border)) < 50


def test_weights_for_one_frame_see_the_middle_one():
    one, five = (UNet(UNetConfig(time_context=n, **SMALL)).eval() for n in (0, 2))
    load_weights(five, one.state_dict())
    frames = torch.randn(1, 5, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(five(frames), one(frames[:, 2:3]))


def test_weights_of_another_architecture_are_refused():
    networks = [UNet(UNetConfig(num_channels_init=n, depth=1)) for n in (8, 16)]
    with pytest.raises(ConfigurationError, match="another architecture"):
        load_weights(networks[0], networks[1].state_dict())


def test_it_goes_on_from_weights_that_are_given(tmp_path):
    recipe = replace(TINY, steps=1, rate=0.0, frozen_from=0.0)
    first = pretrain(replace(TINY, seed=5), tmp_path / "first")
    second = pretrain(recipe, tmp_path / "second", start=first)
    with safe_open(second, "pt") as file:
        kept = json.loads(file.metadata()["recipe"])["start"]
    assert kept == hashlib.sha256(first.read_bytes()).hexdigest()
    before, after = load_file(first), load_file(second)
    for name, value in before.items():
        assert torch.equal(after[name], value), name


def test_the_rate_rises_and_falls():
    recipe = Recipe(steps=1000, warm_up=100, rate=1e-3)
    rates = [recipe.rate_at(step) for step in (0, 49, 99, 500, 999)]
    assert rates[:2] == pytest.approx([1e-5, 5e-4], rel=0.01)
    assert rates[3] == pytest.approx(5e-4)
    assert rates[4] < 1e-8
    assert max(recipe.rate_at(step) for step in range(1000)) < 1e-3


def test_a_hundred_steps_remove_noise(tmp_path):
    recipe = replace(TINY, steps=100, batch_size=4, scenes=16, rate=1e-2, ema=0.9)
    weights = pretrain(recipe, tmp_path)
    network = UNet(UNetConfig(**SMALL)).eval()
    network.load_state_dict(load_file(weights))
    with safe_open(weights, "pt") as file:
        assert json.loads(file.metadata()["recipe"]) == json.loads(
            json.dumps(asdict(recipe))
        )
    unseen = replace(recipe, batch_size=64, seed=77)
    batch = draw(unseen, Scenes(unseen).at(0), 0)
    with torch.no_grad():
        found = network(batch.noisy)
    after, before = (
        (image - batch.clean).square().flatten(1).mean(1) for image in (found, batch.noisy)
    )
    gained = 10 * torch.log10(before / after)
    assert gained.mean() > 3
    steps = [line.split(",")[0] for line in (tmp_path / "curve.csv").read_text().split()]
    assert steps == ["100"]


class TestCommand:
    def test_built_in_networks(self):
        sizes = {name: len(recipe.scene_size) for name, recipe in RECIPES.items()}
        assert sizes == {name: int(name[-2]) for name in RECIPES}
        assert {n for n, r in RECIPES.items() if r.goal == "blind"} == {
            *("n2v-2d", "n2v2-2d", "n2v-3d"),
        }
        assert len({recipe.seed for recipe in RECIPES.values()}) == len(RECIPES)

    def test_a_signal_stops_it_and_the_same_command_goes_on(
        self, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setitem(RECIPES, "denoiser-2d", TINY)
        whole = Scenes.at

        def killed(scenes, step):
            if step == 2:
                os.kill(os.getpid(), signal.SIGTERM)
            return whole(scenes, step)

        command = ["denoiser-2d", "--to", str(tmp_path / "a"), "--threads", "1"]
        monkeypatch.setattr(Scenes, "at", killed)
        assert main(command) == 1
        assert "goes on from here" in capsys.readouterr().out
        monkeypatch.setattr(Scenes, "at", whole)
        assert main(command) == 0
        assert main([*command[:2], str(tmp_path / "b"), *command[3:]]) == 0
        assert bits(tmp_path / "a") == bits(tmp_path / "b")

    def test_a_folder_of_another_recipe_is_refused_in_a_sentence(
        self, tmp_path, monkeypatch, capsys
    ):
        monkeypatch.setitem(RECIPES, "denoiser-2d", TINY)
        command = ["denoiser-2d", "--to", str(tmp_path), "--threads", "1", "--steps"]
        assert main([*command, "1"]) == 0
        assert main([*command, "2"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
