import copy
import os
import subprocess
import sys

import pytest
import torch

from napari_hush.config import UNetConfig
from napari_hush.models import UNet, fuse_batch_norm, fuse_relu
from napari_hush.models.fusion import _can_fuse, _ConvReLU

if not _can_fuse(torch.float32):
    pytest.skip("this torch has no oneDNN to join layers", allow_module_level=True)


def network(**settings) -> UNet:
    """Folded, with weights and statistics that nothing is zero in."""
    torch.manual_seed(0)
    made = UNet(UNetConfig(num_channels_init=8, **settings))
    for values in (*made.parameters(), *made.buffers()):
        if values.is_floating_point():
            values.data = (
                torch.rand_like(values) - 0.3
                if values.ndim > 1
                else (torch.rand_like(values) + 0.2)
            )
    return fuse_batch_norm(made)


def joined(network: UNet) -> list[_ConvReLU]:
    return [m for m in network.modules() if isinstance(m, _ConvReLU)]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("settings", [{}, {"n2v2": True}, {"use_batch_norm": False}])
def test_fused_layers_make_the_same_bits(bf16, settings):
    plain = network(**settings)
    together = fuse_relu(copy.deepcopy(plain), "bf16" if bf16 else "32")
    if not bf16 or _can_fuse(torch.bfloat16):
        assert len(joined(together)) == 9  # all but the first, which sees one channel
    x = torch.randn(2, 1, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        assert torch.equal(together(x), plain(x))
        assert together(x).dtype == torch.float32


def test_several_channels_are_fused_from_the_second_layer_on():
    plain = network(in_channels=3, num_classes=3, independent_channels=False)
    together = fuse_relu(copy.deepcopy(plain), "32")
    assert len(joined(together)) == 9
    x = torch.randn(2, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        assert torch.equal(together(x), plain(x))


def test_volumes_stay_as_they_are():
    assert joined(fuse_relu(network(conv_dims=3), "32")) == []


def test_without_the_operator_a_network_stays_as_it_is(monkeypatch):
    def gone(*arguments):
        raise RuntimeError("no such operator")

    monkeypatch.setattr("napari_hush.models.fusion._conv_relu", gone)
    _can_fuse.cache_clear()
    assert joined(fuse_relu(network(), "32")) == []
    monkeypatch.undo()
    _can_fuse.cache_clear()
    assert len(joined(fuse_relu(network(), "32"))) == 9


_WITHOUT = """
import torch
from napari_hush.config import UNetConfig
from napari_hush.models import UNet, fuse_batch_norm, fuse_relu

network = fuse_relu(fuse_batch_norm(UNet(UNetConfig(num_channels_init=8))), "bf16")
with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
    print(network(torch.zeros(1, 1, 64, 64)).isfinite().all().item())
"""


@pytest.mark.process
def test_bfloat16_works_where_the_processor_has_no_instructions_for_it():
    command = [sys.executable, "-c", _WITHOUT]
    env = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
