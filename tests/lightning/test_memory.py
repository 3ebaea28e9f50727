"""Memory that runs out: fewer patches at once, and the same training."""

import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration
from napari_hush.errors import TrainingError
from napari_hush.events import BatchSplit, StepsDone
from napari_hush.lightning import HushModule, gradients
from napari_hush.models import UNet


@pytest.fixture
def small_device(monkeypatch):
    """A device on which `fits` patches fit through the network, from call `after` on."""
    real = UNet.forward

    def build(fits, after=0, error=torch.OutOfMemoryError):
        calls = []

        def forward(self, x):
            calls.append(len(x))
            result = real(self, x)  # batch normalization has measured before it fails
            if len(calls) > after and len(x) > fits:
                raise error("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return result

        monkeypatch.setattr(UNet, "forward", forward)
        return calls

    return build


def trained(config, noisy, **more):
    events = []
    careamist = CAREamist(config, on_progress=events.append)
    careamist.train(train_source=noisy, **more)
    return careamist, events


def splits(events):
    return [(e.old, e.new) for e in events if isinstance(e, BatchSplit)]


def config_of(method, tiny_config, **changes):
    model = {"num_channels_init": 8, "use_batch_norm": False}
    if method == "n2v":
        return tiny_config(batch_size=6, model_params=model, **changes)
    return create_care_configuration(
        "pairs", "array", "YX", [16, 16], 6, model_params=model, **changes
    )


@pytest.mark.parametrize("method", ["n2v", "care"])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_parts_of_a_batch_teach_what_the_whole_does(
    method, error, tiny_config, noisy, small_device
):
    config = config_of(method, tiny_config, num_epochs=1, num_steps=4)
    more = {} if method == "n2v" else {"train_target": 2 * noisy}
    whole, before = trained(config, noisy, **more)
    small_device(fits=2, after=2, error=error)
    by_parts, events = trained(config, noisy, **more)
    assert not splits(before)
    assert splits(events) == [(6, 3), (3, 2)]
    assert by_parts.model.steps == whole.model.steps == 4
    torch.testing.assert_close(
        by_parts.get_losses()["train_step_loss"],
        whole.get_losses()["train_step_loss"],
        rtol=1e-4,
        atol=1e-5,
    )
    wanted = whole.model.network.state_dict()
    for name, tensor in by_parts.model.network.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-3, atol=1e-4)


def test_the_failed_attempt_leaves_no_trace(tiny_config, small_device):
    """The step that did not fit is done again with the weights and statistics it had."""
    config = tiny_config()
    network = UNet(config.algorithm_config.model)
    small_device(fits=2)
    module = HushModule(config, network, 1)
    before = {n: t.clone() for n, t in network.state_dict().items()}
    batch = (torch.randn(4, 1, 16, 16),)
    failed = []
    undo = module.micro_batches.run

    def watch(size, work, forget):
        def undone():
            forget()
            failed.append({n: t.clone() for n, t in network.state_dict().items()})
            assert all(p.grad is None for p in network.parameters())

        return undo(size, work, undone)

    module.micro_batches.run = watch
    module.gradients.backward(*module.gradients.prepare(batch, 4, 0))
    assert len(failed) == 1
    for name, tensor in before.items():
        if tensor.is_floating_point():
            assert torch.equal(failed[0][name], tensor), name


def test_what_was_learnt_about_the_room_holds_for_later_steps(
    tiny_config, noisy, small_device
):
    calls = small_device(fits=2)
    _, events = trained(tiny_config(batch_size=4, num_steps=3), noisy)
    assert splits(events) == [(4, 2)]
    assert calls.count(4) == 1
    assert sum(len(e.losses) for e in events if isinstance(e, StepsDone)) == 3


def test_not_even_one_patch(tiny_config, noisy, small_device):
    small_device(fits=0)
    careamist = CAREamist(tiny_config(batch_size=4))
    with pytest.raises(TrainingError, match=r"Not even one patch .* smaller patches"):
        careamist.train(train_source=noisy)
    assert careamist.model is None


def test_other_errors_are_not_taken_for_memory(tiny_config, noisy, small_device):
    small_device(fits=0, error=lambda text: RuntimeError("sizes do not match"))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        CAREamist(tiny_config()).train(train_source=noisy)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (MemoryError(), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_are_about_memory(error, says):
    assert gradients.is_out_of_memory(error) is says


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
def test_parts_put_together_are_the_whole(size):
    seen = torch.arange(5.0)[:, None]
    pieces = list(gradients.split_batch(seen, seen * 2, size))
    assert torch.equal(torch.cat([piece[0] for piece in pieces]), seen)
    assert torch.equal(torch.cat([piece[1] for piece in pieces]), seen * 2)
    assert sum(piece[2] for piece in pieces) == pytest.approx(1)
