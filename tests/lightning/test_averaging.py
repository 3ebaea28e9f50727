"""Moving-average weights and clipped gradients."""

import pytest
import pytorch_lightning as L
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration
from napari_hush.lightning import HushModule, new_network
from napari_hush.lightning.module import EMAWeights
from napari_hush.models import UNet


class Watch(L.Callback):
    """Copy the trained weights after every step, and note the length of its gradients."""

    def __init__(self):
        self.states = []
        self.norms = []

    def on_train_batch_end(self, trainer, module, *others):
        state = module.network.state_dict()
        self.states.append({name: t.detach().clone() for name, t in state.items()})
        gradients = [p.grad.ravel() for p in module.network.parameters()]
        self.norms.append(float(torch.cat(gradients).norm()))


def trained(config, noisy, **training):
    config = config.replace(training_config=config.training_config.replace(**training))
    watch = Watch()
    careamist = CAREamist(config, callbacks=[watch])
    careamist.train(train_source=noisy)
    return careamist, watch


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_the_model_is_the_ramped_average_of_all_steps(tiny_config, noisy, decay):
    careamist, watch = trained(tiny_config(num_steps=12), noisy, ema_decay=decay)
    start = new_network(careamist.config).state_dict()
    for name, found in careamist.model.network.state_dict().items():
        wanted = start[name].double()
        for t, state in enumerate(watch.states):
            keep = min(decay, (1 + t) / (10 + t))
            wanted = keep * wanted + (1 - keep) * state[name]
        if not found.is_floating_point():  # batch normalization counts its batches
            wanted = watch.states[-1][name]
        torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-4, atol=1e-6)


def test_averaging_does_not_change_what_is_trained(tiny_config, noisy):
    plain, steps = trained(tiny_config(num_steps=6), noisy, ema_decay=0.0)
    averaged, others = trained(tiny_config(num_steps=6), noisy, ema_decay=0.99)
    assert plain.get_losses()["train_step_loss"] == averaged.get_losses()["train_step_loss"]
    for name, tensor in steps.states[-1].items():
        assert torch.equal(tensor, others.states[-1][name])
        assert torch.equal(tensor, plain.model.network.state_dict()[name])


def test_a_single_step_forgets_most_of_the_random_start(tiny_config):
    network = UNet(tiny_config().algorithm_config.model)
    average = EMAWeights(network, 0.999)
    with torch.no_grad():
        network.last.bias.fill_(10.0)
        average.network.last.bias.fill_(0.0)
    average.update(0)
    assert float(average.network.last.bias) == pytest.approx(9.0)


def test_the_average_shares_no_memory_and_needs_no_gradients(tiny_config):
    network = UNet(tiny_config().algorithm_config.model)
    average = EMAWeights(network, 0.9).network
    places = {p.data_ptr() for p in network.parameters()}
    assert not places & {p.data_ptr() for p in average.parameters()}
    assert not any(p.requires_grad for p in average.parameters())
    assert not average.training
    assert network.training


def test_validation_judges_the_average(tiny_config, noisy):
    seen = []

    class Compare(L.Callback):
        def on_validation_start(self, trainer, module):
            module.best_network.register_forward_hook(lambda *call: seen.append(call))

    config = tiny_config(num_steps=2)
    config = config.replace(training_config=config.training_config.replace(ema_decay=0.9))
    CAREamist(config, callbacks=[Compare()]).train(train_source=noisy)
    assert seen


def test_training_on_starts_from_the_average(tiny_config, noisy):
    careamist, _ = trained(tiny_config(num_steps=5), noisy, ema_decay=0.9)
    before = careamist.model.network.state_dict()
    first = []

    class Start(L.Callback):
        def on_train_start(self, trainer, module):
            first.append({n: t.clone() for n, t in module.network.state_dict().items()})

    careamist.callbacks = [Start()]
    careamist.train(train_source=noisy)
    assert all(torch.equal(first[0][name], tensor) for name, tensor in before.items())
    assert all(p.requires_grad for p in careamist.model.network.parameters())


def test_gradients_are_no_longer_than_allowed(tiny_config, noisy):
    _, free = trained(tiny_config(num_steps=4), noisy)
    _, short = trained(tiny_config(num_steps=4), noisy, gradient_clip_norm=0.01)
    assert min(free.norms) > 0.02
    assert max(short.norms) <= 0.01 * 1.001


def test_a_schedule_by_epochs_goes_by_the_monitored_loss(noisy):
    config = create_care_configuration(
        "pairs",
        "array",
        "YX",
        [16, 16],
        4,
        num_epochs=4,
        optimizer="SGD",
        optimizer_params={"lr": 1e-6},
        lr_scheduler="ReduceLROnPlateau",
        lr_scheduler_params={"patience": 0, "factor": 0.1},
        model_params={"num_channels_init": 8, "use_batch_norm": False},
    )
    rates = []

    class Rates(L.Callback):
        def on_train_epoch_start(self, trainer, module):
            assert isinstance(module, HushModule)
            rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    CAREamist(config, callbacks=[Rates()]).train(train_source=noisy, train_target=2 * noisy)
    assert rates[0] == rates[1] == 1e-6  # the first loss is the best so far
    assert rates[-1] < 1e-6
