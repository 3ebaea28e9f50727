"""R56 to R60: the loop, and the order in which patches come."""

import pytest
import torch
from pytorch_lightning import Callback

from napari_hush import CAREamist
from napari_hush.config import (
    TrainingConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    create_n2v_configuration,
)
from napari_hush.events import EpochDone, StepsDone, TrainingDone
from napari_hush.lightning.module import HushModule
from napari_hush.models import UNet

ALL = (XYFlipConfig(), XYRandomRotate90Config())


class SeePatches(Callback):
    """Keeps the batches of every epoch."""

    def __init__(self):
        self.epochs = []

    def on_train_epoch_start(self, trainer, module):
        self.epochs.append([])

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        self.epochs[-1].append(batch[0].clone())


@pytest.mark.parametrize("steps", [2, 7])
def test_r56_num_steps_is_the_number_of_steps_of_an_epoch(tiny_config, noisy, steps):
    """A pass holds three; two are part of one, seven go over the data again."""
    careamist = CAREamist(tiny_config(num_steps=steps, num_epochs=2))
    careamist.train(train_source=noisy)
    assert careamist.model.steps == 2 * steps


def test_r56_without_it_an_epoch_is_one_pass(tiny_config, noisy):
    careamist = CAREamist(tiny_config())
    careamist.train(train_source=noisy)  # 12 patches, one of them for validation
    assert careamist.model.steps == 3


def test_r56_going_over_the_data_again_they_are_newly_augmented(tiny_config, noisy):
    seen = SeePatches()
    careamist = CAREamist(tiny_config(num_steps=6, batch_size=1), callbacks=[seen])
    careamist.train(train_source=noisy[:32, :32], val_percentage=0, val_minimum_split=0)
    patches = {tuple(batch.ravel().tolist()) for batch in seen.epochs[0]}
    assert len(patches) > 4  # more than the four windows there are


def test_r57_defaults():
    config = create_n2v_configuration(
        experiment_name="a", data_type="array", axes="YX", patch_size=[64, 64], batch_size=8
    )
    module = HushModule(config, UNet(config.algorithm_config.model), 10)
    found = module.configure_optimizers()
    assert type(found["optimizer"]) is torch.optim.Adam
    assert found["optimizer"].param_groups[0]["lr"] == 1e-3
    schedule = found["lr_scheduler"]
    assert type(schedule) is torch.optim.lr_scheduler.CosineAnnealingLR
    assert schedule.T_max == 10
    assert config.algorithm_config.n2v_config.masked_pixel_percentage == 5
    assert config.algorithm_config.n2v_config.roi_size == 11


def test_r57_the_learning_rate_ends_near_zero(tiny_config, noisy):
    events = []
    CAREamist(tiny_config(num_epochs=10), on_progress=events.append).train(
        train_source=noisy
    )
    rates = [event.learning_rate for event in events if isinstance(event, StepsDone)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-5


def test_r58_stopping_ends_after_the_current_step_without_validation(tiny_config, noisy):
    events = []
    careamist = CAREamist(tiny_config(num_epochs=9, num_steps=50))

    class StopAtThird(Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if batch_idx == 2:
                careamist.stop_training()

    careamist.callbacks, careamist.on_progress = (StopAtThird(),), events.append
    careamist.train(train_source=noisy)
    assert careamist.model.steps == 3
    (epoch,) = [event for event in events if isinstance(event, EpochDone)]
    assert epoch.val_loss is None
    assert isinstance(events[-1], TrainingDone)
    assert events[-1].stopped


def test_r58_training_again_continues_with_the_first_statistics(tiny_config, noisy):
    careamist = CAREamist(tiny_config(num_steps=1))
    careamist.train(train_source=noisy)
    scaling, before = careamist.model.normalization, careamist.model.network.state_dict()
    before = {name: weights.clone() for name, weights in before.items()}
    careamist.train(train_source=noisy * 3 + 500)
    assert careamist.model.normalization == scaling
    assert (careamist.model.epochs, careamist.model.steps) == (2, 2)
    after = careamist.model.network.state_dict()
    moved = max(float((after[n] - before[n]).abs().max()) for n in before if "last" in n)
    assert 0 < moved < 0.1  # one step on, not anew


def test_r59_a_model_file_is_trained_on(tiny_config, noisy, tmp_path):
    careamist = CAREamist(tiny_config(num_steps=1))
    careamist.train(train_source=noisy)
    again = CAREamist(careamist.save(tmp_path / "m.safetensors"))
    again.train(train_source=noisy)
    careamist.train(train_source=noisy)
    assert again.model.epochs == 2
    for name, weights in careamist.model.network.state_dict().items():
        assert torch.equal(weights, again.model.network.state_dict()[name])


def test_r60_training_does_not_end_early_by_itself(tiny_config, noisy):
    events = []
    config = tiny_config(
        num_epochs=15, num_steps=1, optimizer="SGD", optimizer_params={"lr": 1e-30}
    )
    CAREamist(config, on_progress=events.append).train(train_source=noisy)
    assert sum(isinstance(event, EpochDone) for event in events) == 15


# ---- the same batches, whoever prepares them ----


def batches(module):
    return torch.cat([batch for (batch,) in module.train_dataloader()])


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers_gives_the_same_batches(either, numbered, workers):
    images = numbered(5)
    alone, helped = (either(images, transforms=ALL, num_workers=n) for n in (0, workers))
    assert torch.equal(batches(alone), batches(helped))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_any_number_of_workers_gives_the_same_validation_batches(either, numbered):
    found = []
    for workers in (0, 1, 4):
        module = either(numbered(5), num_workers=workers)
        found.append(torch.cat([batch for (batch,) in module.val_dataloader()]))
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize("steps", [None, 5, 40])
def test_a_run_taken_up_again_sees_the_same_order(either, numbered, steps):
    """Three epochs in one run; and one, then two, in another."""
    images = numbered(4)

    def epochs(first, count):
        module = either(images, transforms=ALL)
        module.pace(TrainingConfig(num_steps=steps), first)
        loader = module.train_dataloader()
        for epoch in range(count):
            loader.batch_sampler.sampler.set_epoch(epoch)
            yield torch.cat([batch for (batch,) in loader])

    whole = list(epochs(0, 3))
    for before, after in zip(whole, [*epochs(0, 1), *epochs(1, 2)], strict=True):
        assert torch.equal(before, after)
    assert not torch.equal(whole[0], whole[1])


def test_a_stopped_run_goes_on_with_the_patches_of_the_next_epoch(
    tiny_config, folder, numbered
):
    data = {"train_source": folder(numbered(3)), "use_in_memory": False}

    def run(*epochs):
        seen = SeePatches()
        careamist = CAREamist(tiny_config(data_type="tiff"), callbacks=[seen])
        for count in epochs:
            careamist.config = careamist.config.replace(
                training_config=careamist.config.training_config.replace(num_epochs=count)
            )
            careamist.train(**data)
        return [torch.cat(epoch) for epoch in seen.epochs]

    for one, other in zip(run(3), run(1, 2), strict=True):
        assert torch.equal(one, other)
