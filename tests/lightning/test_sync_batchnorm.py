"""Batch normalization over the parts of a batch is that over the whole."""

import copy
import threading

import pytest
import torch
from torch import nn

from napari_hush.config import UNetConfig
from napari_hush.lightning.process_group import ProcessGroup, SyncedBatchNorms, plain
from napari_hush.models import UNet, fuse_batch_norm


class Threads(ProcessGroup):
    """Threads that add up tensors as processes would."""

    def __init__(self, count):
        super().__init__(0, count)
        self.meet = threading.Barrier(count, timeout=30)
        self.brought = {}

    def total(self, tensor):
        self.brought[threading.get_ident()] = tensor.clone()
        self.meet.wait()
        total = torch.stack(list(self.brought.values())).sum(0)
        self.meet.wait()
        self.brought.clear()
        self.meet.wait()
        return tensor.copy_(total)


def in_threads(jobs):
    failed = []

    def guarded(job):
        try:
            job()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("sizes", [(3, 2), (1, 4), (5, 0)])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_parts_give_what_the_whole_gives(dims, sizes, offset):
    torch.manual_seed(0)
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dims](4)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    whole = (torch.randn(5, 4, *(6,) * dims) + offset).requires_grad_()
    ahead = torch.randn_like(whole)
    alone = copy.deepcopy(norm)
    wanted = alone(whole)
    wanted.backward(ahead)

    ranks = Threads(2)
    norms = [
        SyncedBatchNorms(ranks).apply(copy.deepcopy(nn.Sequential(norm)))[0] for _ in sizes
    ]
    parts = [part.detach().clone().requires_grad_() for part in whole.split(sizes)]
    found = [None, None]

    def job(number):
        def work():
            result = norms[number](parts[number])
            result.backward(ahead.split(sizes)[number])
            found[number] = result.detach()

        return work

    in_threads([job(0), job(1)])
    near = 2e-3 if offset else 1e-5  # float32 has four digits less at 1000
    close = {"rtol": near, "atol": near}
    torch.testing.assert_close(torch.cat(found), wanted.detach(), **close)
    torch.testing.assert_close(torch.cat([p.grad for p in parts]), whole.grad, **close)
    for name in ("weight", "bias"):
        total = sum(getattr(n, name).grad for n in norms)
        torch.testing.assert_close(total, getattr(alone, name).grad, **close)
    for n in norms:
        for name, buffer in alone.named_buffers():
            torch.testing.assert_close(dict(n.named_buffers())[name], buffer, **close)


def test_in_evaluation_the_bits_are_those_of_the_plain_one():
    network = UNet(UNetConfig(num_channels_init=8)).eval()
    x = torch.randn(2, 1, 16, 16)
    wanted = network(x)
    shared = SyncedBatchNorms(ProcessGroup()).apply(copy.deepcopy(network))
    assert torch.equal(shared(x), wanted)
    assert torch.equal(copy.deepcopy(shared)(x), wanted)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fuse_batch_norm(shared).modules())


def test_they_can_be_made_plain_again():
    network = UNet(UNetConfig(num_channels_init=8))
    kinds, names = [type(m) for m in network.modules()], list(network.state_dict())
    shared = SyncedBatchNorms(ProcessGroup()).apply(network)
    assert [type(m) for m in shared.modules()] != kinds
    assert list(shared.state_dict()) == names
    assert [type(m) for m in plain(shared).modules()] == kinds
